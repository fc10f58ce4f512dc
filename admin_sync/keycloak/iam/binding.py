"""Who has what: every grant that is not part of another object.

Read by role and by group, so that the number of requests follows roles, groups and pages, never
people. A grant of one of our roles is ours whoever made it: to a person, to a client's account, to
a group or a role that is not ours. A partner's own administrators manage their members, so inside
an organization only the administrators that we put there count.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Any

from admin_sync.diff import Action, Change
from admin_sync.keycloak.adapter import Reader, Writer, is_managed, is_managed_client, is_managed_role
from admin_sync.keycloak.connection import Refused
from admin_sync.keycloak.iam import lookup
from admin_sync.keycloak.iam.group import by_path
from admin_sync.keycloak.iam.organization import ADMINS
from admin_sync.model import Json, Resource
from admin_sync.refs import (
    BINDING,
    client_role_binding,
    default_group,
    group_binding,
    partner_binding,
    role_binding,
    service_binding,
    service_membership,
    service_right,
    stray_binding,
)


class BindingAdapter:
    """Reads and writes grants of roles, group memberships and partner administrators."""

    kind = BINDING

    def read(self, reader: Reader) -> Iterable[Resource]:
        """Every grant of a role and every membership of a group that carries our mark, or stands below one."""
        listed_roles = (reader.export.get("roles") or {}).get("realm") or ()
        roles = [role["name"] for role in listed_roles if is_managed_role(role)]
        yield from self._of_services(reader, set(roles))
        yield from self._strays(reader, set(roles))
        groups = _giving_groups(reader)
        yield from _default_groups(reader, groups)
        client_roles = _client_roles(reader)
        holders = reader.role_members(roles)
        client_holders = reader.client_role_members(client_roles)
        members = reader.group_members(groups.values())
        services = {
            account["username"]: account.get("serviceAccountClientId") for account in reader.export.get("users") or ()
        }
        for role in roles:
            for person in _people(holders[role], services):
                attrs = {"user": _name(person), "role": role}
                yield Resource(role_binding(_name(person), role), attrs, server_id=person["id"], managed=True)
        for client, role in client_roles:
            for person in _people(client_holders[client, role], services):
                attrs = {"user": _name(person), "owner": client, "role": role}
                ref = client_role_binding(_name(person), client, role)
                yield Resource(ref, attrs, server_id=person["id"], managed=True)
        for path, group in groups.items():
            for person in _people(members[group], services):
                attrs = {"user": _name(person), "group": path}
                yield Resource(group_binding(_name(person), path), attrs, server_id=person["id"], managed=True)
            for account in members[group]:
                if account["username"] in services:
                    client = services[account["username"]]
                    attrs = {"client": client, "group": path}
                    ref = service_membership(client, path)
                    yield Resource(ref, attrs, server_id=account["id"], managed=True)
        yield from self._of_partners(reader)

    def _of_services(self, reader: Reader, roles: set[str]) -> Iterator[Resource]:
        ours = {client["clientId"] for client in reader.export.get("clients") or () if is_managed_client(client)}
        client_roles = set(_client_roles(reader))
        for account in reader.export.get("users") or ():
            client = account.get("serviceAccountClientId")
            for role in sorted(roles & set(account.get("realmRoles") or ())):
                attrs = {"client": client, "role": role}
                yield Resource(service_binding(client, role), attrs, server_id=account["id"], managed=True)
            for owner, names in (account.get("clientRoles") or {}).items():
                for name in names:
                    if client not in ours and (owner, name) not in client_roles:
                        continue
                    attrs = {"client": client, "owner": owner, "role": name}
                    yield Resource(service_right(client, owner, name), attrs, server_id=account["id"], managed=True)

    def _strays(self, reader: Reader, roles: set[str]) -> Iterator[Resource]:
        for path, group in by_path(reader.export.get("groups") or ()):
            if not is_managed(group):
                for role in sorted(roles & set(group.get("realmRoles") or ())):
                    attrs = {"to_group": path, "role": role}
                    yield Resource(stray_binding("group", path, role), attrs, server_id=group["id"], managed=True)
        exported = reader.export.get("roles") or {}
        holders = [("role", one["name"], one) for one in exported.get("realm") or () if not is_managed_role(one)]
        # No client's role contains a role of ours, not even a role of a client of ours.
        holders += [
            ("client_role", f"{client}/{one['name']}", one)
            for client, listed in (exported.get("client") or {}).items()
            for one in listed
        ]
        for alias, partner_groups in reader.organization_groups.items():
            for group in partner_groups:
                for role in sorted(roles & set(group.get("realmRoles") or ())):
                    attrs = {"to_partner": alias, "role": role}
                    ref = stray_binding("organization_group", f"{alias}/{group['name']}", role)
                    yield Resource(ref, attrs, server_id=group["id"], managed=True)
        for kind, name, holder in holders:
            for role in sorted(roles & set((holder.get("composites") or {}).get("realm") or ())):
                attrs = {"to_role": name, "role": role}
                yield Resource(stray_binding(kind, name, role), attrs, server_id=holder["id"], managed=True)

    def _of_partners(self, reader: Reader) -> Iterator[Resource]:
        places: dict[tuple[str, str], tuple[str, str, set[str]]] = {}
        for found in reader.organizations:
            admins = {email.lower() for email in (found.get("attributes") or {}).get(ADMINS) or ()}
            if not is_managed(found) or not admins:
                continue
            for group in reader.organization_groups[found["alias"]]:
                if is_managed(group):
                    places[found["id"], group["id"]] = (found["alias"], group["name"], admins)
        for place, people in reader.organization_group_members(places).items():
            alias, role, admins = places[place]
            for person in people:
                name = _name(person)
                attrs = {"user": name, "partner": alias, "role": role}
                ref = partner_binding(name, alias, role)
                yield Resource(ref, attrs, server_id=person["id"], managed=name in admins)

    def write(self, writer: Writer, change: Change) -> None:
        """Give or take one grant."""
        bound = change.after or change.before
        assert bound is not None  # noqa: S101
        give = change.action is not Action.DELETE
        attrs = bound.attrs
        if "to_everyone" in attrs:
            assert change.before is not None  # noqa: S101  (nobody declares one)
            writer.connection.delete(f"{writer.path}/default-groups/{change.before.server_id}")
        elif "partner" in attrs:
            _partner(writer, change, attrs, give=give)
        elif "group" in attrs:
            place = (
                f"{writer.path}/users/{_person(writer, change, attrs)}/groups/{lookup.group(writer, attrs['group'])}"
            )
            if give:
                writer.connection.put(place, {})
            else:
                writer.connection.delete(place)
        else:
            place, role = _mapping(writer, change, attrs)
            if give:
                writer.connection.post(place, [role])
            else:
                writer.connection.delete(place, [role])


def _client_roles(reader: Reader) -> list[tuple[str, str]]:
    """The roles of clients that carry our mark."""
    listed = (reader.export.get("roles") or {}).get("client") or {}
    return [(client, role["name"]) for client, roles in listed.items() for role in roles if is_managed(role)]


def _giving_groups(reader: Reader) -> dict[str, str]:
    """The server's ids, by path, of our groups and of all that stand below one, whose members inherit its roles."""
    giving: dict[str, str] = {}
    for path, group in by_path(reader.export.get("groups") or ()):
        if is_managed(group) or path.rpartition("/")[0] in giving:
            giving[path] = group["id"]
    return giving


def _default_groups(reader: Reader, groups: Mapping[str, str]) -> Iterator[Resource]:
    """Those of our groups that every new account is put in: a grant to people whom nobody has named."""
    for path in reader.representation.get("defaultGroups") or ():
        ours = path.removeprefix("/")
        if ours in groups:
            attrs = {"to_everyone": True, "group": ours}
            yield Resource(default_group(ours), attrs, server_id=groups[ours], managed=True)


def _people(listed: Iterable[Json], services: Container[str]) -> Iterator[Json]:
    return (person for person in listed if person["username"] not in services)


def _name(person: Mapping[str, Any]) -> str:
    # A user name may look like somebody else's e-mail address, and a grant names a person by e-mail.
    return str(person.get("email") or f"account {person['username']}").lower()


def _person(writer: Writer, change: Change, attrs: Mapping[str, Any]) -> str:
    if change.before is not None and change.before.server_id:
        return change.before.server_id
    return lookup.user(writer, attrs["user"])


def _holder(writer: Writer, change: Change, attrs: Mapping[str, Any]) -> str:
    if "client" in attrs:
        return lookup.service_account(writer, attrs["client"])
    return _person(writer, change, attrs)


def _mapping(writer: Writer, change: Change, attrs: Mapping[str, Any]) -> tuple[str, Json]:
    """Where a role is mapped, and the role as that place wants it."""
    if attrs.keys() & {"to_group", "to_role", "to_partner"}:
        assert change.before is not None  # noqa: S101  (nobody declares a stray grant)
        holder = change.before.server_id
        if "to_partner" in attrs:
            organization = lookup.organization(writer, attrs["to_partner"])
            place = f"{writer.path}/organizations/{organization}/groups/{holder}/role-mappings/realm"
            return place, lookup.role(writer, attrs["role"])
        if "to_group" in attrs:
            return f"{writer.path}/groups/{holder}/role-mappings/realm", lookup.role(writer, attrs["role"])
        return f"{writer.path}/roles-by-id/{holder}/composites", lookup.role(writer, attrs["role"])
    if "owner" in attrs:
        account = _holder(writer, change, attrs)
        place = f"{writer.path}/users/{account}/role-mappings/clients/{lookup.client(writer, attrs['owner'])}"
        return place, lookup.client_role(writer, attrs["owner"], attrs["role"])
    account = _holder(writer, change, attrs)
    return f"{writer.path}/users/{account}/role-mappings/realm", lookup.role(writer, attrs["role"])


def _partner(writer: Writer, change: Change, attrs: Mapping[str, Any], *, give: bool) -> None:
    person = _person(writer, change, attrs)
    organization = f"{writer.path}/organizations/{lookup.organization(writer, attrs['partner'])}"
    place = (
        f"{organization}/groups/{lookup.organization_group(writer, attrs['partner'], attrs['role'])}/members/{person}"
    )
    if not give:
        writer.connection.delete(place)
        return
    try:
        writer.connection.post(f"{organization}/members", person)
    except Refused as problem:
        if problem.status != 409:
            raise
    writer.connection.put(place, {})
