"""Creations by the dozen: what goes into one request of Keycloak's partial import, and what came of it.

A partial import is one transaction, so it is taken in small chunks: a large one takes longer than its
parts. It never overwrites (that gives every person a new id and strips roles); what it skips, because
somebody made it meanwhile, is written by plain calls. It adds nothing by itself, so what a plain
creation would add is said here: the default role, default groups and default actions of a new account.
Clients are not made so, because an import passes by the realm's client policies.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from admin_sync.diff import Action, Change
from admin_sync.keycloak.adapter import Writer
from admin_sync.keycloak.iam import client_role, role, user
from admin_sync.model import MANAGED_ATTRIBUTE, Json, Ref, Resource
from admin_sync.refs import BINDING, CLIENT_ROLE, GROUP, ROLE, USER

FEW: Final = 5
"""Creations of a kind that are not worth an import."""

_USERS: Final = 25
_ROLES: Final = 25
_GROUPS: Final = 30

_TYPES: Final = {ROLE: "REALM_ROLE", CLIENT_ROLE: "CLIENT_ROLE", GROUP: "GROUP", USER: "USER"}

Named = tuple[str, str]
"""A resource as an import's answer names it: type and name."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """One request, and the changes that each of its resources carries out."""

    body: Json
    carries: Mapping[Named, Sequence[Change]]

    def made(self, answer: Any) -> tuple[list[tuple[Ref, str | None]], list[Change]]:
        """The ids of what was added, and the changes that this carried out; anything else was not done."""
        ids: list[tuple[Ref, str | None]] = []
        done: list[Change] = []
        for result in (answer or {}).get("results") or ():
            changes = self.carries.get((result.get("resourceType"), result.get("resourceName")))
            if changes and result.get("action") == "ADDED":
                # An import names a client's role by the id of its client, which is no id of the role.
                ids.append((changes[0].ref, None if changes[0].ref.kind == CLIENT_ROLE else result.get("id")))
                done.extend(changes)
        return ids, done


def chunks(writer: Writer, batch: Sequence[Change], later: Iterable[Change]) -> list[Chunk]:
    """The imports for a batch of one kind, which may carry out changes of `later` batches too (a person's grants)."""
    created = [change for change in batch if change.action is Action.CREATE]
    if not created or created[0].ref.kind not in _TYPES or len(created) < FEW:
        return []
    return list(_CHUNKS[created[0].ref.kind](writer, created, later))


def _roles(_: Writer, created: Sequence[Change], __: Iterable[Change]) -> Iterator[Chunk]:
    for some in _some(created, _ROLES):
        listed = [role.representation(one.ref.name, _wanted(one), {}) for one in some]
        yield Chunk({"roles": {"realm": listed}}, {("REALM_ROLE", one.ref.name): [one] for one in some})


def _client_roles(_: Writer, created: Sequence[Change], __: Iterable[Change]) -> Iterator[Chunk]:
    for some in _some(created, _ROLES):
        listed: dict[str, list[Json]] = {}
        carries = {}
        for one in some:
            client, name = one.ref.name.split("/", 1)
            listed.setdefault(client, []).append(client_role.representation(name, _wanted(one)))
            carries["CLIENT_ROLE", f"{client}-->{name}"] = [one]
        yield Chunk({"roles": {"client": listed}}, carries)


def _groups(_: Writer, created: Sequence[Change], __: Iterable[Change]) -> Iterator[Chunk]:
    """Whole trees only: an import puts a group at the top or nowhere."""
    trees: dict[str, list[Change]] = {}
    for change in sorted(created, key=lambda one: one.ref.name.split("/")):
        top = change.ref.name.partition("/")[0]
        if top in trees or change.ref.name == top:
            trees.setdefault(top, []).append(change)
    waiting: list[list[Change]] = []
    for tree in trees.values():
        waiting.append(tree)
        if sum(map(len, waiting)) >= _GROUPS:
            yield _forest(waiting)
            waiting = []
    if waiting:
        yield _forest(waiting)


def _forest(trees: Sequence[Sequence[Change]]) -> Chunk:
    tops: list[Json] = []
    for tree in trees:
        made: dict[str, dict[str, Json]] = {}
        for change in tree:
            path, wanted = change.ref.name, _wanted(change)
            parent, _, name = path.rpartition("/")
            made[path] = {
                "name": name,
                "path": f"/{path}",
                "attributes": {MANAGED_ATTRIBUTE: [wanted["managed_by"]]},
                "realmRoles": list(wanted["roles"]),
                "subGroups": [],
            }
            (made[parent]["subGroups"] if parent else tops).append(made[path])
    return Chunk({"groups": tops}, {("GROUP", tree[0].ref.name): tree for tree in trees})


def _people(writer: Writer, created: Sequence[Change], later: Iterable[Change]) -> Iterator[Chunk]:
    """People with their first grants; a membership of a partner is no part of an account."""
    grants: dict[str, list[Change]] = {}
    for change in later:
        if change.ref.kind == BINDING and change.action is Action.CREATE:
            attrs = _wanted(change)
            if "user" in attrs and "partner" not in attrs:
                grants.setdefault(attrs["user"], []).append(change)
    usual = _Usual(writer)
    for some in _some(created, _USERS):
        accounts = [usual.account(one, grants.get(one.ref.name, ())) for one in some]
        carries = {("USER", one.ref.name): [one, *grants.get(one.ref.name, ())] for one in some}
        yield Chunk({"users": accounts}, carries)


class _Usual:
    """What Keycloak gives every account that it makes itself."""

    def __init__(self, writer: Writer) -> None:
        realm = writer.connection.get(writer.path) or {}
        actions = writer.connection.get(f"{writer.path}/authentication/required-actions") or ()
        self._roles = [(realm.get("defaultRole") or {}).get("name") or f"default-roles-{writer.realm.lower()}"]
        self._groups = list(realm.get("defaultGroups") or ())
        self._actions = [one["alias"] for one in actions if one.get("enabled") and one.get("defaultAction")]
        # An import takes this as it comes, also when it does not come.
        self._created = int(time.time() * 1000)

    def account(self, change: Change, grants: Iterable[Change]) -> Json:
        """One account with its grants."""
        account = user.representation(_wanted(change))
        roles, groups, client_roles = list(self._roles), list(self._groups), dict[str, list[str]]()
        for grant in grants:
            attrs = _wanted(grant)
            if "group" in attrs:
                groups.append(f"/{attrs['group']}")
            elif "owner" in attrs:
                client_roles.setdefault(attrs["owner"], []).append(attrs["role"])
            else:
                roles.append(attrs["role"])
        actions = [*account["requiredActions"], *self._actions]
        return {
            **account,
            "createdTimestamp": self._created,
            "requiredActions": list(dict.fromkeys(actions)),
            "realmRoles": list(dict.fromkeys(roles)),
            "groups": list(dict.fromkeys(groups)),
            "clientRoles": client_roles,
        }


_Chunks = Callable[[Writer, Sequence[Change], Iterable[Change]], Iterator[Chunk]]

_CHUNKS: Final[Mapping[str, _Chunks]] = {ROLE: _roles, CLIENT_ROLE: _client_roles, GROUP: _groups, USER: _people}


def _wanted(change: Change) -> Mapping[str, Any]:
    after: Resource | None = change.after
    assert after is not None  # noqa: S101  (only a deletion has no after)
    return after.attrs


def _some(changes: Sequence[Change], size: int) -> Iterator[Sequence[Change]]:
    for first in range(0, len(changes), size):
        yield changes[first : first + size]
