"""A realm read once, seen as it would be if some of its objects carried our mark."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from copy import deepcopy
from typing import Any

from admin_sync.keycloak.adapter import Reader
from admin_sync.keycloak.iam.group import by_path
from admin_sync.model import MANAGED_ATTRIBUTE, MANAGED_BY, Json, Ref
from admin_sync.refs import CLIENT, CLIENT_ROLE, GROUP, ROLE


class Remembered:
    """A `Reader` that asks another one each question only once."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.realm = reader.realm
        self.representation: Json = reader.representation
        self.export: Json = reader.export if reader.representation is not None else {}
        self.users: Sequence[Json] = reader.users if reader.representation is not None else []
        self.organizations: Sequence[Json] = reader.organizations if reader.representation is not None else []
        self.organization_groups: Mapping[str, list[Json]] = (
            reader.organization_groups if reader.representation is not None else {}
        )
        self._known: dict[tuple[str, Any], list[Json]] = {}

    def linked_users(self, aliases: Iterable[str]) -> Mapping[str, list[Json]]:
        """See `Reader`."""
        return self._once("linked_users", list(aliases))

    def role_members(self, names: Iterable[str]) -> Mapping[str, list[Json]]:
        """See `Reader`."""
        return self._once("role_members", list(names))

    def client_role_members(self, roles: Iterable[tuple[str, str]]) -> Mapping[tuple[str, str], list[Json]]:
        """See `Reader`."""
        return self._once("client_role_members", list(roles))

    def group_members(self, ids: Iterable[str]) -> Mapping[str, list[Json]]:
        """See `Reader`."""
        return self._once("group_members", list(ids))

    def organization_group_members(self, groups: Iterable[tuple[str, str]]) -> Mapping[tuple[str, str], list[Json]]:
        """See `Reader`."""
        return self._once("organization_group_members", list(groups))

    def _once(self, question: str, keys: list[Any]) -> dict[Any, list[Json]]:
        missing = [key for key in keys if (question, key) not in self._known]
        if missing:
            answers = getattr(self._reader, question)(missing)
            self._known |= {(question, key): answers[key] for key in missing}
        return {key: self._known[question, key] for key in keys}


class Marked(Remembered):
    """The same realm with our mark on some of its roles, groups, clients and clients' roles."""

    def __init__(self, remembered: Remembered, taken: Collection[Ref]) -> None:
        self._reader = remembered
        self.realm = remembered.realm
        self.representation = remembered.representation
        self.users = remembered.users
        self.organizations = remembered.organizations
        self.organization_groups = remembered.organization_groups
        self.export = marked(remembered.export, taken)
        self._known = {}


def marked(export: Json, taken: Collection[Ref]) -> Json:
    """A copy of an export in which some objects carry our mark."""
    copy = deepcopy(export)
    roles = copy.get("roles") or {}
    for role in roles.get("realm") or ():
        if Ref(ROLE, role["name"]) in taken:
            role["attributes"] = {**(role.get("attributes") or {}), MANAGED_ATTRIBUTE: [MANAGED_BY]}
    for client, listed in (roles.get("client") or {}).items():
        for role in listed:
            if Ref(CLIENT_ROLE, f"{client}/{role['name']}") in taken:
                role["attributes"] = {**(role.get("attributes") or {}), MANAGED_ATTRIBUTE: [MANAGED_BY]}
    for path, group in by_path(copy.get("groups") or ()):
        if Ref(GROUP, path) in taken:
            group["attributes"] = {**(group.get("attributes") or {}), MANAGED_ATTRIBUTE: [MANAGED_BY]}
    for client in copy.get("clients") or ():
        if Ref(CLIENT, client["clientId"]) in taken:
            client["attributes"] = {**(client.get("attributes") or {}), MANAGED_ATTRIBUTE: MANAGED_BY}
    return copy
