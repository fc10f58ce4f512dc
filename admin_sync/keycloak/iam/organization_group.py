"""Groups inside an organization, called `alias/role`: one for each role that its partner hands out."""

from __future__ import annotations

from collections.abc import Iterable

from admin_sync.desired.roles import PERMISSIONS_ATTRIBUTE
from admin_sync.diff import Action, Change
from admin_sync.keycloak.adapter import Reader, Writer, attribute, is_managed
from admin_sync.keycloak.connection import Refused
from admin_sync.keycloak.iam import lookup
from admin_sync.model import MANAGED_ATTRIBUTE, Ref, Resource
from admin_sync.refs import ORGANIZATION_GROUP


class OrganizationGroupAdapter:
    """Reads and writes the groups of our organizations; a partner's own groups are not ours."""

    kind = ORGANIZATION_GROUP

    def read(self, reader: Reader) -> Iterable[Resource]:
        """Every top-level group of every organization of ours."""
        for alias, groups in reader.organization_groups.items():
            for found in groups:
                attrs = {
                    "permissions": sorted((found.get("attributes") or {}).get(PERMISSIONS_ATTRIBUTE) or ()),
                    "managed_by": attribute(found, MANAGED_ATTRIBUTE),
                }
                ref = Ref(ORGANIZATION_GROUP, f"{alias}/{found['name']}")
                yield Resource(ref, attrs, server_id=found["id"], managed=is_managed(found))

    def write(self, writer: Writer, change: Change) -> None:
        """Create, mark or delete one group."""
        alias, _, name = change.ref.name.partition("/")
        try:
            place = f"{writer.path}/organizations/{lookup.organization(writer, alias)}/groups"
        except LookupError:
            if change.action is Action.DELETE:
                return
            raise
        if change.action is Action.DELETE:
            assert change.before is not None  # noqa: S101
            writer.connection.delete(f"{place}/{change.before.server_id}")
            return
        assert change.after is not None  # noqa: S101
        wanted = change.after.attrs
        attributes = {MANAGED_ATTRIBUTE: [wanted["managed_by"]]}
        if wanted["permissions"]:
            # An attribute without a value is one that Keycloak forgets.
            attributes[PERMISSIONS_ATTRIBUTE] = list(wanted["permissions"])
        body = {"name": name, "attributes": attributes}
        if change.before is not None:
            writer.connection.put(f"{place}/{change.before.server_id}", body)
            return
        try:
            writer.remember(change.ref, writer.connection.post(place, body))
        except Refused as problem:
            if problem.status != 409:
                raise
