"""The workload: R realm roles, G groups (a parent and five children each), C clients of five roles, U people.

Each person is in one child group and holds one realm role and one client role. Names and choices depend
on the numbers alone, so two runs, and two tools, are given the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

CHILDREN: Final = 5
CLIENT_ROLES: Final = 5


@dataclass(frozen=True, slots=True)
class Size:
    """How many of each there are."""

    name: str
    roles: int
    groups: int
    clients: int
    users: int


SIZES: Final = {
    size.name: size
    for size in (
        Size("small", roles=6, groups=12, clients=5, users=20),
        Size("medium", roles=100, groups=300, clients=50, users=1_000),
        Size("large", roles=500, groups=1_500, clients=200, users=5_000),
    )
}


@dataclass(frozen=True, slots=True)
class Person:
    """One account with what it is given: the path of its group, a realm role, and a client with a role of its."""

    email: str
    group: tuple[str, str]
    role: str
    right: tuple[str, str]

    @property
    def name(self) -> str:
        """The account in tools that want an identifier."""
        return self.email.partition("@")[0]


@dataclass(frozen=True, slots=True)
class Workload:
    """The whole of it. `roles` are names with descriptions, `groups` are parents with their children."""

    realm: str
    roles: Mapping[str, str]
    groups: Mapping[str, Sequence[str]]
    clients: Mapping[str, Sequence[str]]
    people: Sequence[Person]

    def changed(self) -> Workload:
        """The same with another description of the first role: what `one change` is."""
        name = next(iter(self.roles))
        return replace(self, roles={**self.roles, name: "Changed after the first apply."})

    @property
    def objects(self) -> int:
        """Objects and bindings together."""
        groups = sum(1 + len(children) for children in self.groups.values())
        roles = len(self.roles) + sum(map(len, self.clients.values()))
        bindings = 3 * len(self.people)
        return groups + roles + len(self.clients) + len(self.people) + bindings


def workload(size: Size, realm: str) -> Workload:
    """The workload of a size for a realm of that name. Raises ValueError where groups do not come out even."""
    parents, rest = divmod(size.groups, CHILDREN + 1)
    if rest or not parents or not size.roles or not size.clients:
        raise ValueError(
            f"{size.name}: groups come as a parent and {CHILDREN} children, and there is one of everything"
        )
    roles = [f"role-{number:04d}" for number in range(size.roles)]
    groups = {
        f"team-{parent:04d}": [f"desk-{parent:04d}-{child}" for child in range(CHILDREN)] for parent in range(parents)
    }
    clients = {
        client: [f"{client}-right-{number}" for number in range(CLIENT_ROLES)]
        for client in (f"app-{number:04d}" for number in range(size.clients))
    }
    desks = [(parent, child) for parent, children in groups.items() for child in children]
    rights = [(client, right) for client, listed in clients.items() for right in listed]
    people = [
        Person(
            f"person-{number:05d}@bench.example",
            desks[number % len(desks)],
            roles[number % len(roles)],
            rights[number % len(rights)],
        )
        for number in range(size.users)
    ]
    return Workload(
        realm=realm,
        roles={role: f"May do what {role} does." for role in roles},
        groups=groups,
        clients=clients,
        people=people,
    )
