"""Roles that a client brings along, called `client/role`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from admin_sync.diff import Action, Change
from admin_sync.keycloak.adapter import Reader, Writer, attribute, is_managed
from admin_sync.keycloak.connection import Refused, segment
from admin_sync.keycloak.iam import lookup
from admin_sync.model import MANAGED_ATTRIBUTE, Json, Ref, Resource
from admin_sync.refs import CLIENT_ROLE


class ClientRoleAdapter:
    """Reads and writes client roles."""

    kind = CLIENT_ROLE

    def read(self, reader: Reader) -> Iterable[Resource]:
        """Every role of every client."""
        for client, roles in ((reader.export.get("roles") or {}).get("client") or {}).items():
            for found in roles:
                attrs = {
                    "description": found.get("description") or "",
                    "managed_by": attribute(found, MANAGED_ATTRIBUTE),
                }
                ref = Ref(CLIENT_ROLE, f"{client}/{found['name']}")
                yield Resource(ref, attrs, server_id=found["id"], managed=is_managed(found))

    def write(self, writer: Writer, change: Change) -> None:
        """Create, change or delete one role of a client."""
        client, _, name = change.ref.name.partition("/")
        if change.action is Action.DELETE:
            assert change.before is not None  # noqa: S101
            # Its client may have gone a moment ago and taken the role with it.
            writer.connection.delete(f"{writer.path}/roles-by-id/{change.before.server_id}")
            return
        assert change.after is not None  # noqa: S101
        body = representation(name, change.after.attrs)
        place = f"{writer.path}/clients/{lookup.client(writer, client)}/roles"
        if change.action is Action.UPDATE:
            writer.connection.put(f"{place}/{segment(name)}", body)
            return
        try:
            writer.connection.post(place, body)
        except Refused as problem:
            if problem.status != 409:
                raise


def representation(name: str, wanted: Mapping[str, Json]) -> Json:
    """A client's role as Keycloak takes it."""
    return {
        "name": name,
        "description": wanted["description"],
        "attributes": {MANAGED_ATTRIBUTE: [wanted["managed_by"]]},
    }
