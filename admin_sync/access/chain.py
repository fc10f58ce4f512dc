"""Which approvals a request needs, and which of them are missing. Pure.

A chain is a multiset: two needs of one capacity need two people. A person speaks at most once about a request,
in one capacity; as system owner they speak for every role whose owners they belong to.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Need:
    """One approval that a request needs. `owners`: of any of these groups, where the capacity is of role owners."""

    capacity: str
    owners: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.capacity} ({' or '.join(self.owners)})" if self.owners else self.capacity


@dataclass(frozen=True, slots=True)
class Voice:
    """What one person said yes as. `owners`: the groups of role owners that they belong to."""

    person: str
    capacity: str
    owners: frozenset[str] = frozenset()

    def answers(self, need: Need) -> bool:
        """Whether this voice is one that the need asks for."""
        return need.capacity == self.capacity and (not need.owners or bool(self.owners.intersection(need.owners)))


def missing(needs: Iterable[Need], voices: Iterable[Voice]) -> tuple[Need, ...]:
    """The needs that no voice answers yet. One voice answers one need of each sort, and one person has one voice."""
    left = list(needs)
    heard: set[str] = set()
    for voice in voices:
        if voice.person in heard:
            continue
        heard.add(voice.person)
        for need in sorted({need for need in left if voice.answers(need)}):
            left.remove(need)
    return tuple(left)
