"""What people and clients hold of roles and groups that are not ours.

The configuration has no word for most of it (a right in `realm-management`, a role that somebody
made in the console, a group of theirs that carries one), so nothing of it is ever given here. It is
read so that it can be seen, and taken away where policy says so: `admin_sync.ownership` decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from admin_sync.check.references import RESERVED_ROLES
from admin_sync.diff import Action, Change
from admin_sync.keycloak.adapter import Reader, Writer, is_managed, is_managed_client, is_managed_role
from admin_sync.keycloak.iam import lookup
from admin_sync.keycloak.iam.group import by_path
from admin_sync.keycloak.iam.opening import openings
from admin_sync.model import Json, Resource
from admin_sync.refs import RIGHT, right

EVERYONE: Final = "every new account"

_OWN_ACCOUNT: Final = frozenset({"account", "account-console"})
"""Clients whose roles let people see and change their own account and nobody else's."""


class RightAdapter:
    """Reads rights that nobody can declare; takes them away."""

    kind = RIGHT

    def read(self, reader: Reader) -> Iterable[Resource]:
        """Every foreign role and every foreign group with roles that a person has, directly; what comes with roles
        that everybody has or that are ours; what the tokens of our clients may carry beside what is declared; what
        of the realm's settings lets somebody in."""
        names = _Foreign(reader)
        yield from _of_people(reader, names)
        yield from _of_services(reader, names)
        yield from _of_roles(names)
        yield from _of_tokens(reader)
        yield from openings(reader)

    def write(self, writer: Writer, change: Change) -> None:
        """Take one right away."""
        if change.action is not Action.DELETE or change.before is None:
            raise ValueError(f"{change.ref} cannot be given")
        attrs, holder = change.before.attrs, change.before.server_id
        if "group" in attrs:
            writer.connection.delete(f"{writer.path}/users/{holder}/groups/{attrs['group_id']}")
            return
        owner = attrs.get("owner")
        role = lookup.role(writer, attrs["role"]) if owner is None else lookup.client_role(writer, owner, attrs["role"])
        below = "realm" if owner is None else f"clients/{lookup.client(writer, owner)}"
        if attrs.keys() & {"everyone", "to_role"}:
            place = f"{writer.path}/roles-by-id/{holder}/composites"
        elif "tokens_of_client" in attrs:
            place = f"{writer.path}/clients/{holder}/scope-mappings/{below}"
        elif "tokens_of_scope" in attrs:
            place = f"{writer.path}/client-scopes/{holder}/scope-mappings/{below}"
        else:
            place = f"{writer.path}/users/{holder}/role-mappings/{below}"
        writer.connection.delete(place, [role])


class _Foreign:
    """Which roles and groups of an export are not ours and could give something."""

    def __init__(self, reader: Reader) -> None:
        exported = reader.export.get("roles") or {}
        # Anybody can call a role `default-roles-…`; which one it is the realm says.
        known = (reader.representation or {}).get("defaultRole") or {}
        default = known.get("name") or f"default-roles-{reader.realm.lower()}"
        built_in = {*RESERVED_ROLES, default}
        self.roles = [
            one["name"]
            for one in exported.get("realm") or ()
            if not is_managed_role(one) and one["name"] not in built_in
        ]
        self.carriers: list[tuple[str, Mapping[str, Json], Json]] = []
        """Roles that are no news when somebody has them, so what they bring along has to be: how a holder of one is
        called, the attribute that says so, and the role."""
        for one in exported.get("realm") or ():
            if one["name"] == default:
                self.carriers.append((EVERYONE, {"everyone": True}, one))
            elif one["name"] in RESERVED_ROLES:
                self.carriers.append((f"holders of role {one['name']}", {"to_role": one["name"]}, one))
        for client, listed in (exported.get("client") or {}).items():
            for one in listed:
                if client in _OWN_ACCOUNT or is_managed(one):
                    name = f"{client}:{one['name']}"
                    self.carriers.append((f"holders of {name}", {"to_role": name}, one))
        self.client_roles = [
            (client, one["name"])
            for client, listed in (exported.get("client") or {}).items()
            for one in listed
            if client not in _OWN_ACCOUNT and not is_managed(one)
        ]
        self.groups: dict[str, str] = {}
        giving: set[str] = set()
        ours: set[str] = set()
        for path, group in by_path(reader.export.get("groups") or ()):
            parent = path.rpartition("/")[0]
            if is_managed(group) or parent in ours:
                ours.add(path)
            elif parent in giving or group.get("realmRoles") or any((group.get("clientRoles") or {}).values()):
                giving.add(path)
                self.groups[path] = group["id"]


def _of_people(reader: Reader, foreign: _Foreign) -> Iterator[Resource]:
    services = {account["username"] for account in reader.export.get("users") or ()}

    def people(listed: Iterable[Json]) -> Iterator[tuple[str, str]]:
        for person in listed:
            if person["username"] not in services:
                # A user name may look like somebody else's e-mail address, and a grant names a person by e-mail.
                yield str(person.get("email") or f"account {person['username']}").lower(), person["id"]

    for (owner, role), listed in reader.client_role_members(foreign.client_roles).items():
        for person, server_id in people(listed):
            attrs = {"user": person, "owner": owner, "role": role}
            yield Resource(right(person, f"{owner}:{role}"), attrs, server_id=server_id)
    for role, listed in reader.role_members(foreign.roles).items():
        for person, server_id in people(listed):
            yield Resource(right(person, f"role {role}"), {"user": person, "role": role}, server_id=server_id)
    members = reader.group_members(foreign.groups.values())
    for path, group in foreign.groups.items():
        for person, server_id in people(members[group]):
            attrs = {"user": person, "group": path, "group_id": group}
            yield Resource(right(person, f"group {path}"), attrs, server_id=server_id)


def _of_services(reader: Reader, foreign: _Foreign) -> Iterator[Resource]:
    """Foreign realm roles of our clients' accounts; their client roles are bindings, because some can be declared."""
    ours = {client["clientId"] for client in reader.export.get("clients") or () if is_managed_client(client)}
    for account in reader.export.get("users") or ():
        client = account.get("serviceAccountClientId")
        for role in sorted(set(foreign.roles) & set(account.get("realmRoles") or ())) if client in ours else ():
            ref = right(f"client {client}", f"role {role}")
            yield Resource(ref, {"client": client, "role": role}, server_id=account["id"])


def _of_roles(foreign: _Foreign) -> Iterator[Resource]:
    """What roles bring along that hold it as composites. Those of our realm roles are attributes of the roles."""
    for holder, attrs, carrier in foreign.carriers:
        composites: Mapping[str, Any] = carrier.get("composites") or {}
        for role in sorted(set(composites.get("realm") or ()) & set(foreign.roles)):
            yield Resource(right(holder, f"role {role}"), {**attrs, "role": role}, server_id=carrier["id"])
        for owner, names in sorted((composites.get("client") or {}).items()):
            for role in sorted(names) if owner not in _OWN_ACCOUNT else ():
                whole = {**attrs, "owner": owner, "role": role}
                yield Resource(right(holder, f"{owner}:{role}"), whole, server_id=carrier["id"])


def _of_tokens(reader: Reader) -> Iterator[Resource]:
    """Realm roles that tokens of our clients may carry by a scope mapping of the client or of one of our scopes.

    A client's roles in a client's scope are an attribute of the client, because they can be declared.
    """
    clients = {one["clientId"]: one["id"] for one in reader.export.get("clients") or () if is_managed_client(one)}
    scopes = {one["name"]: one["id"] for one in reader.export.get("clientScopes") or () if is_managed(one)}

    def holders(mapping: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Json], str]]:
        client, scope = mapping.get("client"), mapping.get("clientScope")
        if client in clients:
            yield f"tokens of client {client}", {"tokens_of_client": client}, clients[client]
        if scope in scopes:
            yield f"tokens of scope {scope}", {"tokens_of_scope": scope}, scopes[scope]

    for mapping in reader.export.get("scopeMappings") or ():
        for name, attrs, server_id in holders(mapping):
            for role in sorted(mapping.get("roles") or ()):
                yield Resource(right(name, f"role {role}"), {**attrs, "role": role}, server_id=server_id)
    for owner, mappings in sorted((reader.export.get("clientScopeMappings") or {}).items()):
        for mapping in mappings:
            for name, attrs, server_id in holders(mapping) if "clientScope" in mapping else ():
                for role in sorted(mapping.get("roles") or ()):
                    whole = {**attrs, "owner": owner, "role": role}
                    yield Resource(right(name, f"{owner}:{role}"), whole, server_id=server_id)
