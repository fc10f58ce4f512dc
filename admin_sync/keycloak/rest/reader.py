"""A realm read by Keycloak's own admin API: lists in pages, side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import TypeVar

from admin_sync.keycloak.adapter import is_managed
from admin_sync.keycloak.connection import Connection, segment
from admin_sync.model import Json

Key = TypeVar("Key", str, tuple[str, str])


class RestReader:
    """The state of one realm, fetched lazily and each part once."""

    def __init__(self, connection: Connection, realm: str) -> None:
        self.realm = realm
        self._connection = connection
        self._path = f"/{segment(realm)}"

    @cached_property
    def representation(self) -> Json:
        """The realm's own representation, or None if there is no such realm."""
        return self._connection.get(self._path)

    @cached_property
    def export(self) -> Json:
        """Clients, roles, groups, flows, scopes and providers in one request; secrets masked."""
        return self._connection.query(f"{self._path}/partial-export", exportClients=True, exportGroupsAndRoles=True)

    @cached_property
    def users(self) -> list[Json]:
        """Every account but those of clients, with its attributes, in pages."""
        return list(self._connection.pages(f"{self._path}/users", briefRepresentation=False))

    @cached_property
    def organizations(self) -> list[Json]:
        """Every organization with its attributes, in pages."""
        return list(self._connection.pages(f"{self._path}/organizations", briefRepresentation=False))

    @cached_property
    def organization_groups(self) -> Mapping[str, list[Json]]:
        """The groups of each of our organizations, by alias."""
        paths = {
            found["alias"]: f"{self._path}/organizations/{found['id']}/groups"
            for found in self.organizations
            if is_managed(found)
        }
        listed = self._connection.together(paths.values(), briefRepresentation=False)
        return {alias: listed[path] for alias, path in paths.items()}

    def linked_users(self, aliases: Iterable[str]) -> Mapping[str, list[Json]]:
        """The accounts linked to each identity provider: a request for each provider and page."""
        return {
            alias: list(self._connection.pages(f"{self._path}/users", idpAlias=alias, briefRepresentation=True))
            for alias in aliases
        }

    def role_members(self, names: Iterable[str]) -> Mapping[str, list[Json]]:
        """The accounts that hold each realm role."""
        return self._members({name: f"{self._path}/roles/{segment(name)}/users" for name in names})

    def client_role_members(self, roles: Iterable[tuple[str, str]]) -> Mapping[tuple[str, str], list[Json]]:
        """The accounts that hold each client's role."""
        ids = {client["clientId"]: client["id"] for client in self.export.get("clients") or ()}
        return self._members(
            {
                (client, name): f"{self._path}/clients/{ids[client]}/roles/{segment(name)}/users"
                for client, name in roles
            }
        )

    def group_members(self, ids: Iterable[str]) -> Mapping[str, list[Json]]:
        """The accounts in each group."""
        return self._members({one: f"{self._path}/groups/{one}/members" for one in ids})

    def organization_group_members(self, groups: Iterable[tuple[str, str]]) -> Mapping[tuple[str, str], list[Json]]:
        """The accounts in each group of an organization."""
        return self._members(
            {
                (organization, group): f"{self._path}/organizations/{organization}/groups/{group}/members"
                for organization, group in groups
            }
        )

    def _members(self, paths: Mapping[Key, str]) -> dict[Key, list[Json]]:
        listed = self._connection.together(paths.values())
        return {key: listed[path] for key, path in paths.items()}
