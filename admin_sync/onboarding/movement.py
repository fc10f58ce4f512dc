"""Two rosters become who joined, who moved and who left. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date

from admin_sync.roster.people import Employee, Roster


@dataclass(frozen=True, slots=True)
class Moved:
    """Somebody who works for another manager or in another department than before, or under another main address."""

    before: Employee
    after: Employee

    @property
    def what(self) -> tuple[str, ...]:
        """The columns that differ."""
        return tuple(
            name
            for name in ("email", "manager", "department")
            if getattr(self.before, name) != getattr(self.after, name)
        )


@dataclass(frozen=True, slots=True)
class Movement:
    """What happened between two rosters, each in the order of the new roster or, for who is gone, of the old."""

    joined: tuple[Employee, ...]
    moved: tuple[Moved, ...]
    left: tuple[Employee, ...]
    """Who worked here and does not any more: with a last day in the past, inactive, or gone from the roster."""


def compare(previous: Roster | None, new: Roster, today: date) -> Movement:
    """What a new roster says beyond the one before it; of the first roster everybody employed has joined."""
    joined: list[Employee] = []
    moved: list[Moved] = []
    left: list[Employee] = []
    for one in new:
        before = _known(previous, one)
        was = before is not None and before.employed(today)
        if one.employed(today) and not was:
            joined.append(one)
        elif before is not None and one.employed(today) and (change := Moved(before, one)).what:
            moved.append(change)
        if not one.employed(today) and not _yet_to_come(one, today):
            left.append(one)
    gone = () if previous is None else (one for one in previous if all(new.find(two) is None for two in one.addresses))
    return Movement(tuple(joined), tuple(moved), (*left, *gone))


def with_earlier(
    movement: Movement, new: Roster, *, former: Iterable[Employee] = (), begun: Iterable[str] = ()
) -> Movement:
    """A movement with what earlier runs left undone.

    former: people who left and are in no roster any more, and of whom something was left
    begun: addresses of people whose invitation a killed run had begun
    """
    left = {one.email for one in movement.left}
    earlier = [one for one in former if one.email not in left and new.find(one.email) is None]
    listed = {one.email for one in movement.joined} | left
    found = [person for email in sorted(set(begun)) if (person := new.find(email)) and person.email not in listed]
    return replace(movement, joined=(*movement.joined, *found), left=(*movement.left, *earlier))


def _known(previous: Roster | None, one: Employee) -> Employee | None:
    """The same person in the roster before, by any of their addresses."""
    if previous is None:
        return None
    return next((found for address in sorted(one.addresses) if (found := previous.find(address)) is not None), None)


def _yet_to_come(one: Employee, today: date) -> bool:
    return one.active and one.start is not None and one.start > today
