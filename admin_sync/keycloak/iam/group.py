"""Groups by path, with the roles that membership gives."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from admin_sync.diff import Action, Change
from admin_sync.keycloak.adapter import Reader, Writer, attribute, is_managed
from admin_sync.keycloak.connection import Refused
from admin_sync.keycloak.iam import lookup
from admin_sync.model import MANAGED_ATTRIBUTE, Json, Ref, Resource
from admin_sync.refs import GROUP


class GroupAdapter:
    """Reads and writes groups; subgroups are groups whose path has a parent."""

    kind = GROUP

    def read(self, reader: Reader) -> Iterable[Resource]:
        """Every group and subgroup."""
        for path, found in by_path(reader.export.get("groups") or ()):
            rights = found.get("clientRoles") or {}
            attrs = {
                "roles": sorted(found.get("realmRoles") or ()),
                "client_roles": sorted(f"{owner}:{name}" for owner, names in rights.items() for name in names),
                "managed_by": attribute(found, MANAGED_ATTRIBUTE),
            }
            # Deleting a group deletes what is in it, so one that holds a stranger's subgroup is not ours to delete.
            ours = all(is_managed(inner) for inner in walk([found]))
            yield Resource(Ref(GROUP, path), attrs, server_id=found["id"], managed=ours)

    def write(self, writer: Writer, change: Change) -> None:
        """Create, change or delete one group. Parents come first in the order of names."""
        path = change.ref.name
        if change.action is Action.DELETE:
            assert change.before is not None  # noqa: S101
            writer.connection.delete(f"{writer.path}/groups/{change.before.server_id}")
            return
        assert change.after is not None  # noqa: S101
        if change.action is Action.CREATE:
            _create(writer, path, change.after)
        group = f"{writer.path}/groups/{lookup.group(writer, path)}"
        if change.before is not None and change.before.attrs["managed_by"] != change.after.attrs["managed_by"]:
            found = writer.connection.get(group)
            if found is None:
                raise LookupError(f"{change.ref} is not in {writer.realm} any more")
            marked = {**(found.get("attributes") or {}), MANAGED_ATTRIBUTE: [change.after.attrs["managed_by"]]}
            writer.connection.put(group, {"name": found["name"], "attributes": marked})
        _settle_roles(writer, group, change)


def walk(groups: Iterable[Json]) -> Iterator[Json]:
    """Groups and their subgroups, parents first."""
    for group in groups:
        yield group
        yield from walk(group.get("subGroups") or ())


def by_path(groups: Iterable[Json], prefix: str = "") -> Iterator[tuple[str, Json]]:
    """Groups and their subgroups by path, parents first.

    Keycloak's own path of a group called `a/b` is that of a group `b` in `a`; here the slash inside a
    name is `%2F`, which no declared name contains.
    """
    for group in groups:
        path = prefix + group["name"].replace("%", "%25").replace("/", "%2F")
        yield path, group
        yield from by_path(group.get("subGroups") or (), f"{path}/")


def _create(writer: Writer, path: str, wanted: Resource) -> None:
    parent, _, name = path.rpartition("/")
    place = f"/groups/{lookup.group(writer, parent)}/children" if parent else "/groups"
    body = {"name": name, "attributes": {MANAGED_ATTRIBUTE: [wanted.attrs["managed_by"]]}}
    try:
        writer.remember(Ref(GROUP, path), writer.connection.post(f"{writer.path}{place}", body))
    except Refused as problem:
        if problem.status != 409:
            raise


def _settle_roles(writer: Writer, group: str, change: Change) -> None:
    assert change.after is not None  # noqa: S101
    before = change.before.attrs if change.before else {"roles": [], "client_roles": []}
    wanted, had = set(change.after.attrs["roles"]), set(before["roles"])
    if wanted - had:
        new = [lookup.role(writer, name) for name in sorted(wanted - had)]
        writer.connection.post(f"{group}/role-mappings/realm", new)
    if had - wanted:
        old = [lookup.role(writer, name) for name in sorted(had - wanted)]
        writer.connection.delete(f"{group}/role-mappings/realm", old)
    for right in before["client_roles"]:
        owner, name = right.split(":", 1)
        place = f"{group}/role-mappings/clients/{lookup.client(writer, owner)}"
        writer.connection.delete(place, [lookup.client_role(writer, owner, name)])
