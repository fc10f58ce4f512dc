"""What a realm consists of, as values: references, resources, states.

Both sides of a synchronisation speak this vocabulary. The configuration becomes a `Desired`, the
server becomes a `Current`, and `admin_sync.diff` compares the two without knowing what a client or
a flow is. Everything here is immutable and free of I/O.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

Json = Any
"""A JSON value: None, bool, int, float, str, list or dict of the same."""


def printable(line: str) -> str:
    """A line that cannot move the cursor: what comes from a server or a file may hold control characters."""
    if line.isprintable():
        return line
    return "".join(sign if sign.isprintable() else f"\\u{ord(sign):04x}" for sign in line)


MANAGED_ATTRIBUTE = "tradepulse.managed"
"""The attribute that marks an object in Keycloak as ours to change and to delete."""

MANAGED_BY = "admin-sync"


@dataclass(frozen=True, slots=True, order=True)
class Ref:
    """The identity of one object inside one realm, e.g. `Ref("role", "viewer")`.

    `name` is what a person would write (a group's path, a client's id), never a server-made UUID.
    """

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class Position:
    """Where in the configuration a thing was declared; lines and columns count from one."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Resource:
    """One object of a realm.

    `attrs` holds only what we manage of it, normalised by its adapter (defaults filled in, sets as
    sorted lists), so that equal objects have equal attributes. A value of None in a desired
    resource means "must be absent". `secrets` names the attributes that no renderer may show.
    """

    ref: Ref
    attrs: Mapping[str, Json] = field(default_factory=dict)
    secrets: frozenset[str] = frozenset()
    origin: Position | None = None
    server_id: str | None = None
    """The server's own id; set on current resources only."""
    managed: bool = False
    """True on a current resource that carries our ownership mark, and thus may be deleted."""


@dataclass(frozen=True, slots=True)
class Pending:
    """Something declared that cannot take effect yet, with the reason and what will release it."""

    ref: Ref
    reason: str
    origin: Position | None = None
    awaits: str | None = None
    """The person, by e-mail address, who has to register a second factor first; None for any other reason."""


Resources = Mapping[Ref, Resource]


class Ambiguous(ValueError):
    """Two objects share one name, so that nobody can say which of them is meant."""


def index(resources: Iterable[Resource]) -> Resources:
    """Resources by reference. Raises Ambiguous when two of them share one."""
    table: dict[Ref, Resource] = {}
    for resource in resources:
        if resource.ref in table:
            raise Ambiguous(f"two objects are called {resource.ref}")
        table[resource.ref] = resource
    return MappingProxyType(table)


@dataclass(frozen=True, slots=True)
class Desired:
    """What one realm should look like, and what has to wait."""

    realm: str
    environment: str
    resources: Resources
    pending: tuple[Pending, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Current:
    """What one realm looks like on the server. `exists` is False before the realm is created."""

    realm: str
    exists: bool
    resources: Resources
    second_factors: frozenset[str] = frozenset()
    """People, by e-mail address, who were found to have a second factor. Who was not asked about is not among them."""
