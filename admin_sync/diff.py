"""Desired against current: the pure comparison that a plan is made of.

Only attributes that the desired resource names are compared; what an operator set elsewhere on the
same object is left alone. Mappings are compared key by key, everything else by value. Objects that
exist only on the server are destroyed if they carry our mark and are otherwise never mentioned.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from typing import Final

from admin_sync.model import Current, Desired, Json, Pending, Ref, Resource


class Action(StrEnum):
    """What happens to an object; the value is the sign that a plan shows."""

    CREATE = "+"
    UPDATE = "~"
    DELETE = "-"


@dataclass(frozen=True, slots=True)
class Difference:
    """One attribute that differs. `path` is dotted; a secret's values are never to be rendered."""

    path: str
    before: Json
    after: Json
    secret: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """One object to create, update or delete."""

    action: Action
    ref: Ref
    before: Resource | None
    after: Resource | None
    differences: tuple[Difference, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """All changes of one realm in the order in which they can be applied."""

    realm: str
    environment: str
    changes: tuple[Change, ...]
    pending: tuple[Pending, ...] = ()
    warnings: tuple[str, ...] = ()

    def count(self, action: Action) -> int:
        """How many changes of one action the plan holds."""
        return sum(1 for change in self.changes if change.action is action)

    @property
    def empty(self) -> bool:
        """True when the realm is already as declared."""
        return not self.changes


_FREEING: Final = frozenset({"binding", "right"})
"""Kinds whose objects are grants; taking one away can only free a person for another."""


def diff(desired: Desired, current: Current, order: Sequence[str]) -> Plan:
    """The plan that turns `current` into `desired`.

    `order` lists the kinds so that each comes after those it depends on. What is taken away comes
    first where it frees a person for what is given (bindings), and last, in reverse order, for
    everything that others may still point at. Raises ValueError for a kind that `order` lacks.
    """
    rank = {kind: position for position, kind in enumerate(order)}
    unknown = {ref.kind for ref in (*desired.resources, *current.resources)} - rank.keys()
    if unknown:
        raise ValueError(f"no order is known for {', '.join(sorted(unknown))}")
    given: list[Change] = []
    taken: list[Change] = []
    for ref, wanted in desired.resources.items():
        found = current.resources.get(ref)
        if found is None:
            given.append(Change(Action.CREATE, ref, None, wanted, tuple(_created(wanted))))
            continue
        differing = differences(wanted, found)
        if differing:
            given.append(Change(Action.UPDATE, ref, found, wanted, differing))
    for ref, found in current.resources.items():
        if found.managed and ref not in desired.resources:
            taken.append(Change(Action.DELETE, ref, found, None))
    given.sort(key=lambda change: (rank[change.ref.kind], change.ref.name))
    taken.sort(key=lambda change: (-rank[change.ref.kind], change.ref.name))
    freed = [change for change in taken if change.ref.kind in _FREEING]
    last = [change for change in taken if change.ref.kind not in _FREEING]
    return Plan(
        realm=desired.realm,
        environment=desired.environment,
        changes=(*freed, *given, *last),
        pending=desired.pending,
        warnings=desired.warnings,
    )


def runs(changes: Iterable[Change]) -> Iterator[list[Change]]:
    """Runs of changes of one kind and direction, after which work that was put off for that kind is due."""
    for _, run in groupby(changes, key=lambda change: (change.ref.kind, change.action is Action.DELETE)):
        yield list(run)


def differences(wanted: Resource, found: Resource) -> tuple[Difference, ...]:
    """What of one object differs; what the desired side does not name is not compared."""
    return tuple(_differences(wanted.attrs, found.attrs, wanted.secrets | found.secrets))


def _created(resource: Resource) -> Iterator[Difference]:
    """What a new object starts with; mappings are spelt out, so that a secret inside one is known as such."""

    def spelt_out(value: Json, path: str) -> Iterator[Difference]:
        if isinstance(value, Mapping) and value:
            for name, inner in sorted(value.items()):
                yield from spelt_out(inner, f"{path}.{name}")
        elif value is not None:
            yield Difference(path, None, value, _is_secret(path, resource.secrets))

    for name, value in sorted(resource.attrs.items()):
        yield from spelt_out(value, name)


def _differences(
    wanted: Mapping[str, Json], found: Mapping[str, Json], secrets: frozenset[str], prefix: str = ""
) -> Iterator[Difference]:
    for name, value in sorted(wanted.items()):
        path = f"{prefix}{name}"
        have = found.get(name)
        if isinstance(value, Mapping) and isinstance(have, Mapping):
            yield from _differences(value, have, secrets, f"{path}.")
        elif value != have:
            yield Difference(path, have, value, _is_secret(path, secrets))


def _is_secret(path: str, secrets: frozenset[str]) -> bool:
    return any(path == secret or path.startswith(f"{secret}.") for secret in secrets)
