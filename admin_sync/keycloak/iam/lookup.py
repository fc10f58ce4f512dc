"""From names to the ids and representations that Keycloak wants in a request, each asked for once."""

from __future__ import annotations

from admin_sync.keycloak.adapter import Writer
from admin_sync.keycloak.connection import segment
from admin_sync.model import Json, Ref
from admin_sync.refs import CLIENT, CLIENT_ROLE, GROUP, ORGANIZATION, ORGANIZATION_GROUP, ROLE, USER

SCOPE = "client_scope_id"


def role(writer: Writer, name: str) -> Json:
    """A realm role as role mappings want it."""

    def ask() -> str | None:
        found = writer.connection.get(f"{writer.path}/roles/{segment(name)}")
        return found["id"] if found else None

    return {"id": writer.id_of(Ref(ROLE, name), ask), "name": name}


def client(writer: Writer, client_id: str) -> str:
    """The server's id of a client."""

    def ask() -> str | None:
        found = writer.connection.get(f"{writer.path}/clients", clientId=client_id)
        return found[0]["id"] if found else None

    return writer.id_of(Ref(CLIENT, client_id), ask)


def client_role(writer: Writer, client_id: str, name: str) -> Json:
    """A client's role as role mappings want it."""

    def ask() -> str | None:
        found = writer.connection.get(f"{writer.path}/clients/{client(writer, client_id)}/roles/{segment(name)}")
        return found["id"] if found else None

    return {"id": writer.id_of(Ref(CLIENT_ROLE, f"{client_id}/{name}"), ask), "name": name, "clientRole": True}


def service_account(writer: Writer, client_id: str) -> str:
    """The server's id of the account that belongs to a client."""

    def ask() -> str | None:
        found = writer.connection.get(f"{writer.path}/clients/{client(writer, client_id)}/service-account-user")
        return found["id"] if found else None

    return writer.id_of(Ref("service_account", client_id), ask)


def user(writer: Writer, email: str) -> str:
    """The server's id of a person by e-mail address."""

    def ask() -> str | None:
        found = writer.connection.get(f"{writer.path}/users", email=email, exact=True)
        return found[0]["id"] if found else None

    return writer.id_of(Ref(USER, email.lower()), ask)


def group(writer: Writer, path: str) -> str:
    """The server's id of a group by its path."""

    def ask() -> str | None:
        escaped = "/".join(segment(name) for name in path.split("/"))
        found = writer.connection.get(f"{writer.path}/group-by-path/{escaped}")
        return found["id"] if found else None

    return writer.id_of(Ref(GROUP, path), ask)


def organization(writer: Writer, alias: str) -> str:
    """The server's id of an organization."""

    def ask() -> str | None:
        pages = writer.connection.pages(f"{writer.path}/organizations")
        return next((found["id"] for found in pages if found["alias"] == alias), None)

    return writer.id_of(Ref(ORGANIZATION, alias), ask)


def organization_group(writer: Writer, alias: str, name: str) -> str:
    """The server's id of a group inside an organization."""

    def ask() -> str | None:
        pages = writer.connection.pages(f"{writer.path}/organizations/{organization(writer, alias)}/groups")
        return next((found["id"] for found in pages if found["name"] == name), None)

    return writer.id_of(Ref(ORGANIZATION_GROUP, f"{alias}/{name}"), ask)


def scope(writer: Writer, name: str) -> str:
    """The server's id of a client scope."""

    def ask() -> str | None:
        for found in writer.connection.get(f"{writer.path}/client-scopes") or ():
            writer.remember(Ref(SCOPE, found["name"]), found["id"])
        return None

    try:
        return writer.id_of(Ref(SCOPE, name), ask)
    except LookupError:
        return writer.id_of(Ref(SCOPE, name), lambda: None)
