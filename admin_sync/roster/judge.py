"""What is wrong between the rows of a roster. Pure; every finding has the line of the row that it is about."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from admin_sync.errors import Finding
from admin_sync.roster.people import Employee, canonical


def judge(people: Iterable[Employee], source: str) -> list[Finding]:
    """Addresses that two people share, managers that nobody is, and people who lead themselves by a detour."""
    listed = list(people)
    findings = list(_shared(listed, source))
    by_address = {address: one for one in reversed(listed) for address in one.addresses}
    for one in listed:
        if one.manager is not None and canonical(one.manager) not in by_address:
            message = f"{one.email}: the manager is not in this roster; half a roster is refused"
            findings.append(Finding(source, one.line, 1, "unknown-manager", message))
    findings.extend(_circles(listed, by_address, source))
    return findings


def _shared(people: Iterable[Employee], source: str) -> Iterator[Finding]:
    first: dict[str, Employee] = {}
    for one in people:
        for address in sorted(one.addresses):
            other = first.setdefault(address, one)
            if other is not one:
                message = f"{address} is on line {other.line} already; an address belongs to one person"
                yield Finding(source, one.line, 1, "duplicate", message)


def _circles(people: Iterable[Employee], by_address: Mapping[str, Employee], source: str) -> Iterator[Finding]:
    """Each circle once, at the first of its people in the file."""
    settled: set[str] = set()
    for one in people:
        path: dict[str, Employee] = {}
        here: Employee | None = one
        while here is not None and here.email not in settled and here.email not in path:
            path[here.email] = here
            here = by_address.get(canonical(here.manager)) if here.manager is not None else None
        if here is not None and here.email in path:
            names = list(path)
            circle = names[names.index(here.email) :]
            start = min(circle, key=lambda name: path[name].line)
            message = f"{start} is led by themselves, through {len(circle) - 1} others; a manager's manager is another"
            yield Finding(source, path[start].line, 1, "manager-circle", message)
        settled.update(path)
