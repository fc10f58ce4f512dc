"""Who has what: every grant that is not part of another object.

Read by role and by group, so that the number of requests follows roles, groups and pages, never
people. A grant of one of our roles is ours whoever made it: to a person, to a client's account, to
a group or a role that is not ours. A partner's own administrators manage their members, so inside
an organization only the administrators that we put there count.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from admin_sync.diff import Action, Change
from admin_sync.keycloak.adapter import Reader, Writer, is_managed
from admin_sync.keycloak.connection import Refused, segment
from admin_sync.keycloak.iam import lookup
from admin_sync.keycloak.iam.group import walk
from admin_sync.keycloak.iam.organization import ADMINS
from admin_sync.model import Json, Resource
from admin_sync.refs import (
    BINDING,
    group_binding,
    partner_binding,
    role_binding,
    service_binding,
    service_right,
    stray_binding,
)


class BindingAdapter:
    """Reads and writes grants of roles, group memberships and partner administrators."""

    kind = BINDING

    def read(self, reader: Reader) -> Iterable[Resource]:
        """Every grant of a role and every membership of a group that carries our mark."""
        roles = [role["name"] for role in (reader.export.get("roles") or {}).get("realm") or () if is_managed(role)]
        yield from self._of_services(reader, set(roles))
        yield from self._strays(reader, set(roles))
        groups = {
            group["path"].lstrip("/"): group["id"]
            for group in walk(reader.export.get("groups") or ())
            if is_managed(group)
        }
        by_role = {name: f"{reader.path}/roles/{segment(name)}/users" for name in roles}
        by_group = {path: f"{reader.path}/groups/{server_id}/members" for path, server_id in groups.items()}
        listed = reader.connection.together([*by_role.values(), *by_group.values()])
        services = {account["username"] for account in reader.export.get("users") or ()}
        for role, place in by_role.items():
            for person in _people(listed[place], services):
                attrs = {"user": _name(person), "role": role}
                yield Resource(role_binding(_name(person), role), attrs, server_id=person["id"], managed=True)
        for path, place in by_group.items():
            for person in _people(listed[place], services):
                attrs = {"user": _name(person), "group": path}
                yield Resource(group_binding(_name(person), path), attrs, server_id=person["id"], managed=True)
        yield from self._of_partners(reader)

    def _of_services(self, reader: Reader, roles: set[str]) -> Iterator[Resource]:
        ours = {client["clientId"] for client in reader.export.get("clients") or () if is_managed(client)}
        for account in reader.export.get("users") or ():
            client = account.get("serviceAccountClientId")
            for role in sorted(roles & set(account.get("realmRoles") or ())):
                attrs = {"client": client, "role": role}
                yield Resource(service_binding(client, role), attrs, server_id=account["id"], managed=True)
            if client not in ours:
                continue
            for owner, names in (account.get("clientRoles") or {}).items():
                for name in names:
                    attrs = {"client": client, "owner": owner, "role": name}
                    yield Resource(service_right(client, owner, name), attrs, server_id=account["id"], managed=True)

    def _strays(self, reader: Reader, roles: set[str]) -> Iterator[Resource]:
        for group in walk(reader.export.get("groups") or ()):
            if not is_managed(group):
                for role in sorted(roles & set(group.get("realmRoles") or ())):
                    path = group["path"].lstrip("/")
                    attrs = {"to_group": path, "role": role}
                    yield Resource(stray_binding("group", path, role), attrs, server_id=group["id"], managed=True)
        holders = [*((reader.export.get("roles") or {}).get("realm") or ())]
        for holder in holders:
            if not is_managed(holder):
                for role in sorted(roles & set((holder.get("composites") or {}).get("realm") or ())):
                    attrs = {"to_role": holder["name"], "role": role}
                    ref = stray_binding("role", holder["name"], role)
                    yield Resource(ref, attrs, server_id=holder["id"], managed=True)

    def _of_partners(self, reader: Reader) -> Iterator[Resource]:
        places: dict[str, tuple[str, str, set[str]]] = {}
        for found in reader.organizations:
            admins = {email.lower() for email in (found.get("attributes") or {}).get(ADMINS) or ()}
            if not is_managed(found) or not admins:
                continue
            for group in reader.organization_groups[found["alias"]]:
                if is_managed(group):
                    place = f"{reader.path}/organizations/{found['id']}/groups/{group['id']}/members"
                    places[place] = (found["alias"], group["name"], admins)
        for place, people in reader.connection.together(places).items():
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
        if "partner" in attrs:
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


def _people(listed: Iterable[Json], services: set[str]) -> Iterator[Json]:
    return (person for person in listed if person["username"] not in services)


def _name(person: Mapping[str, Any]) -> str:
    return str(person.get("email") or person["username"]).lower()


def _person(writer: Writer, change: Change, attrs: Mapping[str, Any]) -> str:
    if change.before is not None and change.before.server_id:
        return change.before.server_id
    return lookup.user(writer, attrs["user"])


def _mapping(writer: Writer, change: Change, attrs: Mapping[str, Any]) -> tuple[str, Json]:
    """Where a role is mapped, and the role as that place wants it."""
    if "to_group" in attrs or "to_role" in attrs:
        assert change.before is not None  # noqa: S101  (nobody declares a stray grant)
        holder = change.before.server_id
        if "to_group" in attrs:
            return f"{writer.path}/groups/{holder}/role-mappings/realm", lookup.role(writer, attrs["role"])
        return f"{writer.path}/roles-by-id/{holder}/composites", lookup.role(writer, attrs["role"])
    if "owner" in attrs:
        account = lookup.service_account(writer, attrs["client"])
        place = f"{writer.path}/users/{account}/role-mappings/clients/{lookup.client(writer, attrs['owner'])}"
        return place, lookup.client_role(writer, attrs["owner"], attrs["role"])
    if "client" in attrs:
        account = lookup.service_account(writer, attrs["client"])
    else:
        account = _person(writer, change, attrs)
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
