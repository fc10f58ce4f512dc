"""The digest as a value. Counting is pure; whoever reads the rows is in gather.py."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import BaseModel

RELEASED = "credential.release"


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """Lines of the trail that are alike. `roles` is a JSON array's inside, as the line has it."""

    event: str
    outcome: str
    reason: str | None
    roles: str | None
    counted: int


class KeyAge(BaseModel):
    """One key version of a partner: since when it is in use, and how many credentials it seals."""

    version: int
    pinned_at: datetime
    rows: int


class Holdings(BaseModel):
    """What is held at the time of the digest."""

    credentials: int
    expired: int
    oldest_stored_at: datetime | None
    keys: tuple[KeyAge, ...]
    leases: int
    irrevocable_leases: int


class PartnerDigest(BaseModel):
    """One partner's week."""

    partner: str
    holdings: Holdings
    stores: int
    releases: int
    releases_by_role: dict[str, int]
    refusals: dict[str, int]
    """Denied requests by event and reason."""
    exceptions: dict[str, int]
    """Failures by event and reason: what should not have happened."""
    rotations: dict[str, int]
    leases: dict[str, int]


class Digest(BaseModel):
    """A period, and every partner that whoever asked may see."""

    since: datetime
    until: datetime
    made_at: datetime
    partners: tuple[PartnerDigest, ...]

    def total(self, name: str) -> int:
        """The sum over all partners of a number."""
        return sum(int(getattr(partner, name)) for partner in self.partners)


def count(partner: str, holdings: Holdings, lines: Iterable[Counted]) -> PartnerDigest:
    """The partner's digest from its counted lines."""
    by_role: Counter[str] = Counter()
    refusals: Counter[str] = Counter()
    exceptions: Counter[str] = Counter()
    rotations: Counter[str] = Counter()
    leases: Counter[str] = Counter()
    stores = releases = 0
    for line in lines:
        # What stands behind a colon is a number, and would make an entry of its own each.
        named = f"{line.event}: {(line.reason or 'none').partition(':')[0]}"
        if line.outcome == "denied":
            refusals[named] += line.counted
        elif line.outcome == "failure":
            exceptions[named] += line.counted
        elif line.event == RELEASED:
            releases += line.counted
            for role in _roles(line.roles) or ["unrecorded"]:
                by_role[role] += line.counted
        elif line.event == "credential.store":
            stores += line.counted
        if line.outcome == "success" and line.event.startswith("key."):
            rotations[line.event] += line.counted
        if line.outcome == "success" and line.event.startswith("lease.") and line.event not in _READS:
            leases[line.event] += line.counted
    return PartnerDigest(
        partner=partner,
        holdings=holdings,
        stores=stores,
        releases=releases,
        releases_by_role=dict(sorted(by_role.items())),
        refusals=dict(sorted(refusals.items())),
        exceptions=dict(sorted(exceptions.items())),
        rotations=dict(sorted(rotations.items())),
        leases=dict(sorted(leases.items())),
    )


_READS = frozenset({"lease.read", "lease.list"})


def holdings_of(row: Any, keys: Sequence[dict[str, Any]]) -> Holdings:
    """The holdings in a database row."""
    return Holdings(
        credentials=row["credentials"],
        expired=row["expired"],
        oldest_stored_at=row["oldest"],
        keys=tuple(KeyAge.model_validate(key) for key in keys),
        leases=row["leases"],
        irrevocable_leases=row["irrevocable"],
    )


def _roles(inside: str | None) -> list[str]:
    return [role.strip('"') for role in inside.split(",")] if inside else []
