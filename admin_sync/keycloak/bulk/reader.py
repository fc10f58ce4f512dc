"""The state document as adapters read it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from admin_sync.keycloak.adapter import is_managed
from admin_sync.model import Json


class BulkReader:
    """The state of one realm out of the document that the provider streams, or of none for None.

    Members are lists of ids in the document, and each account is in it once.
    """

    def __init__(self, realm: str, document: Mapping[str, Any] | None) -> None:
        self.realm = realm
        self._document: Mapping[str, Any] = document or {}
        self._accounts: dict[str, Json] = {one["id"]: one for one in self._document.get("users", ())}

    @property
    def representation(self) -> Json:
        """The realm's own representation, or None if there is no such realm."""
        return self._document.get("representation")

    @property
    def export(self) -> Json:
        """Clients, roles, groups, flows, scopes and providers; secrets masked."""
        return self._document.get("export")

    @cached_property
    def users(self) -> Sequence[Json]:
        """Every account but those of clients."""
        return [one for one in self._accounts.values() if "serviceAccountClientLink" not in one]

    @property
    def organizations(self) -> Sequence[Json]:
        """Every organization."""
        listed: Sequence[Json] = self._document.get("organizations", ())
        return listed

    @cached_property
    def organization_groups(self) -> Mapping[str, list[Json]]:
        """The top-level groups of each of our organizations, by its alias."""
        groups = self._document.get("organization_groups", {})
        return {one["alias"]: groups.get(one["id"], []) for one in self.organizations if is_managed(one)}

    @cached_property
    def second_factors(self) -> frozenset[str] | None:
        """The ids of the accounts that hold a second factor; None from a provider that does not tell."""
        listed = self._document.get("second_factors")
        return None if listed is None else frozenset(listed)

    def linked_users(self, aliases: Iterable[str]) -> Mapping[str, list[Json]]:
        """The accounts linked to each identity provider."""
        linked = self._document.get("linked_users", {})
        return {alias: list(self._people(linked.get(alias, ()))) for alias in aliases}

    def role_members(self, names: Iterable[str]) -> Mapping[str, list[Json]]:
        """The accounts that hold each realm role."""
        ids = {role["name"]: role["id"] for role in self._roles.get("realm") or ()}
        return {name: self._holders(ids.get(name)) for name in names}

    def client_role_members(self, roles: Iterable[tuple[str, str]]) -> Mapping[tuple[str, str], list[Json]]:
        """The accounts that hold each client's role."""
        ids = {
            (client, role["name"]): role["id"]
            for client, listed in (self._roles.get("client") or {}).items()
            for role in listed
        }
        return {one: self._holders(ids.get(one)) for one in roles}

    def group_members(self, ids: Iterable[str]) -> Mapping[str, list[Json]]:
        """The accounts in each group."""
        return {one: self._members(one) for one in ids}

    def organization_group_members(self, groups: Iterable[tuple[str, str]]) -> Mapping[tuple[str, str], list[Json]]:
        """The accounts in each group of an organization."""
        return {(organization, group): self._members(group) for organization, group in groups}

    @property
    def _roles(self) -> Mapping[str, Any]:
        roles: Mapping[str, Any] = (self.export or {}).get("roles") or {}
        return roles

    def _holders(self, role: str | None) -> list[Json]:
        return list(self._people(self._document.get("role_members", {}).get(role, ())))

    def _members(self, group: str) -> list[Json]:
        return list(self._people(self._document.get("group_members", {}).get(group, ())))

    def _people(self, ids: Iterable[str]) -> Iterator[Json]:
        # An account that was made between two queries of the server is in the next reading.
        return (self._accounts[one] for one in ids if one in self._accounts)
