"""A realm read by Keycloak's own admin API: few requests, many at once.

Who has what can be asked by role and by group, or by person; both give the same, and the way with
fewer requests is taken. The export, the people and the organizations are asked for side by side,
because each of them takes a cold server seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from typing import Any, TypeVar

from admin_sync.keycloak.adapter import is_managed
from admin_sync.keycloak.connection import PAGE, Connection, segment
from admin_sync.keycloak.iam.group import walk
from admin_sync.model import Json

Key = TypeVar("Key", str, tuple[str, str])
Thing = tuple[str, Any]
"""What somebody may have: ("role", name), ("client_role", (client, name)) or ("group", id)."""


class RestReader:
    """The state of one realm, fetched lazily and each part once."""

    def __init__(self, connection: Connection, realm: str, known: Mapping[Thing, list[Json]] | None = None) -> None:
        """`known` are members that need not be asked for again."""
        self.realm = realm
        self.members: dict[Thing, list[Json]] = dict(known or {})
        """Who has what, as far as it was asked for by role and by group."""
        self._connection = connection
        self._path = f"/{segment(realm)}"

    @cached_property
    def representation(self) -> Json:
        """The realm's own representation, or None if there is no such realm."""
        return self._connection.get(self._path)

    @cached_property
    def export(self) -> Json:
        """Clients, roles, groups, flows, scopes and providers in one request; secrets masked."""
        return self._slow["export"].result()

    @cached_property
    def users(self) -> list[Json]:
        """Every account but those of clients, with its attributes, in pages."""
        listed: list[Json] = self._slow["users"].result()
        return listed

    @cached_property
    def organizations(self) -> list[Json]:
        """Every organization with its attributes, in pages."""
        listed: list[Json] = self._slow["organizations"].result()
        return listed

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
        place = f"{self._path}/users"

        def linked(alias: str) -> list[Json]:
            return list(self._connection.pages(place, idpAlias=alias, briefRepresentation=True))

        return self._side_by_side(list(aliases), linked)

    def role_members(self, names: Iterable[str]) -> Mapping[str, list[Json]]:
        """The accounts that hold each realm role."""
        if self._by_person:
            return self._of_people("role", names)
        return self._members("role", {name: f"{self._path}/roles/{segment(name)}/users" for name in names})

    def client_role_members(self, roles: Iterable[tuple[str, str]]) -> Mapping[tuple[str, str], list[Json]]:
        """The accounts that hold each client's role."""
        if self._by_person:
            return self._of_people("client_role", roles)
        ids = {client["clientId"]: client["id"] for client in self.export.get("clients") or ()}
        return self._members(
            "client_role",
            {
                (client, name): f"{self._path}/clients/{ids[client]}/roles/{segment(name)}/users"
                for client, name in roles
            },
        )

    def group_members(self, ids: Iterable[str]) -> Mapping[str, list[Json]]:
        """The accounts in each group."""
        if self._by_person:
            return self._of_people("group", ids)
        return self._members("group", {one: f"{self._path}/groups/{one}/members" for one in ids})

    def organization_group_members(self, groups: Iterable[tuple[str, str]]) -> Mapping[tuple[str, str], list[Json]]:
        """The accounts in each group of an organization."""
        return self._members(
            "organization_group",
            {
                (organization, group): f"{self._path}/organizations/{organization}/groups/{group}/members"
                for organization, group in groups
            },
        )

    @cached_property
    def _slow(self) -> Mapping[str, Future[Any]]:
        """What takes long, begun together when the first of it is wanted."""
        connection, path = self._connection, self._path
        work: dict[str, Callable[[], Any]] = {
            "export": lambda: connection.query(f"{path}/partial-export", exportClients=True, exportGroupsAndRoles=True),
            "users": self._all_users,
            "organizations": lambda: list(connection.pages(f"{path}/organizations", briefRepresentation=False)),
        }
        with ThreadPoolExecutor(len(work)) as pool:
            return {name: pool.submit(one) for name, one in work.items()}

    def _all_users(self) -> list[Json]:
        """Every page at once, as many as there were when we began; what was added since is on the last ones."""
        place = f"{self._path}/users"

        def page(first: int) -> list[Json]:
            return self._connection.get(place, briefRepresentation=False, first=first, max=PAGE) or []

        count = int(self._connection.get(f"{place}/count") or 0)
        pages = list(self._side_by_side(list(range(0, count + 1, PAGE)), page).values())
        while len(pages[-1]) == PAGE:
            pages.append(page(len(pages) * PAGE))
        return list({person["id"]: person for listed in pages for person in listed}.values())

    @cached_property
    def _by_person(self) -> bool:
        """Whether two requests for each account are fewer than one for each role and group."""
        roles = self.export.get("roles") or {}
        kinds = [roles.get("realm") or (), *(roles.get("client") or {}).values()]
        things = sum(map(len, kinds)) + sum(1 for _ in walk(self.export.get("groups") or ()))
        return 2 * len(self._accounts) < things

    @cached_property
    def _accounts(self) -> list[Json]:
        return [*self.users, *(self.export.get("users") or ())]

    @cached_property
    def _grants(self) -> Mapping[Thing, list[Json]]:
        """The accounts that have each thing."""

        def ask(server_id: str) -> tuple[Json, Json]:
            place = f"{self._path}/users/{server_id}"
            groups = self._connection.get(f"{place}/groups", briefRepresentation=True)
            return self._connection.get(f"{place}/role-mappings"), groups

        found: dict[Thing, list[Json]] = {}
        people = {account["id"]: account for account in self._accounts}
        for server_id, (mappings, groups) in self._side_by_side(list(people), ask).items():
            for thing in _things(mappings or {}, groups or ()):
                found.setdefault(thing, []).append(people[server_id])
        return found

    def _of_people(self, sort: str, keys: Iterable[Key]) -> dict[Key, list[Json]]:
        return {key: self._grants.get((sort, key), []) for key in keys}

    def _members(self, sort: str, paths: Mapping[Key, str]) -> dict[Key, list[Json]]:
        wanted = {(sort, key): path for key, path in paths.items() if (sort, key) not in self.members}
        listed = self._connection.together(wanted.values(), briefRepresentation=True)
        self.members.update((thing, listed[path]) for thing, path in wanted.items())
        return {key: self.members[sort, key] for key in paths}

    def _side_by_side(self, keys: list[Any], one: Callable[[Any], Any]) -> dict[Any, Any]:
        if not keys:
            return {}
        with ThreadPoolExecutor(self._connection.parallel) as pool:
            return dict(zip(keys, pool.map(one, keys), strict=True))


def _things(mappings: Mapping[str, Any], groups: Iterable[Json]) -> Iterator[Thing]:
    for role in mappings.get("realmMappings") or ():
        yield "role", role["name"]
    for client, listed in (mappings.get("clientMappings") or {}).items():
        for role in listed.get("mappings") or ():
            yield "client_role", (client, role["name"])
    for group in groups:
        yield "group", group["id"]
