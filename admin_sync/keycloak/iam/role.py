"""Realm roles: what they include, and the permissions noted on them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from admin_sync.desired.roles import PERMISSIONS_ATTRIBUTE
from admin_sync.diff import Action, Change
from admin_sync.keycloak.adapter import Reader, Writer, attribute, is_managed_role
from admin_sync.keycloak.connection import Refused, segment
from admin_sync.keycloak.iam import lookup
from admin_sync.model import MANAGED_ATTRIBUTE, Json, Ref, Resource
from admin_sync.refs import ROLE


class RoleAdapter:
    """Reads and writes realm roles."""

    kind = ROLE

    def read(self, reader: Reader) -> Iterable[Resource]:
        """Every realm role; Keycloak's own are among them and are not ours."""
        for found in (reader.export.get("roles") or {}).get("realm") or ():
            composites = found.get("composites") or {}
            rights = composites.get("client") or {}
            attrs = {
                "description": found.get("description") or "",
                "includes": sorted(composites.get("realm") or ()),
                "client_includes": sorted(f"{owner}:{name}" for owner, names in rights.items() for name in names),
                "permissions": sorted((found.get("attributes") or {}).get(PERMISSIONS_ATTRIBUTE) or ()),
                "managed_by": attribute(found, MANAGED_ATTRIBUTE),
            }
            yield Resource(Ref(ROLE, found["name"]), attrs, server_id=found["id"], managed=is_managed_role(found))

    def write(self, writer: Writer, change: Change) -> None:
        """Create, change or delete one role; what it includes is settled after all roles are there."""
        name = change.ref.name
        if change.action is Action.DELETE:
            writer.connection.delete(f"{writer.path}/roles-by-id/{lookup.role(writer, name)['id']}")
            return
        assert change.after is not None  # noqa: S101  (only a deletion has no after)
        wanted = change.after.attrs
        if change.action is Action.CREATE:
            try:
                writer.connection.post(f"{writer.path}/roles", representation(name, wanted, {}))
            except Refused as problem:
                if problem.status != 409:
                    raise
        else:
            path = f"{writer.path}/roles/{segment(name)}"
            found = writer.connection.get(path) or {}
            writer.connection.put(path, representation(name, wanted, found.get("attributes") or {}))
        defer_includes(writer, change)


def representation(name: str, wanted: Any, attributes: dict[str, Json]) -> Json:
    """A role as Keycloak takes it, laid over the attributes that it has."""
    return {
        "name": name,
        "description": wanted["description"],
        "attributes": {
            **attributes,
            MANAGED_ATTRIBUTE: [wanted["managed_by"]],
            PERMISSIONS_ATTRIBUTE: wanted["permissions"],
        },
    }


def defer_includes(writer: Writer, change: Change) -> None:
    """Settle what a role includes once every role of the plan is there."""
    assert change.after is not None  # noqa: S101
    if change.action is not Action.CREATE or change.after.attrs["includes"]:
        writer.defer(lambda: _settle_includes(writer, change))


def _settle_includes(writer: Writer, change: Change) -> None:
    assert change.after is not None  # noqa: S101
    before = change.before.attrs if change.before else {"includes": [], "client_includes": []}
    wanted, had = set(change.after.attrs["includes"]), set(before["includes"])
    if wanted == had and not before["client_includes"]:
        return
    path = f"{writer.path}/roles-by-id/{lookup.role(writer, change.ref.name)['id']}/composites"
    if wanted - had:
        writer.connection.post(path, [lookup.role(writer, name) for name in sorted(wanted - had)])
    surplus = [lookup.role(writer, name) for name in sorted(had - wanted)]
    for right in before["client_includes"]:
        owner, name = right.split(":", 1)
        surplus.append(lookup.client_role(writer, owner, name))
    if surplus:
        writer.connection.delete(path, surplus)
