"""How long people wait for a decision, and what waits now: numbers over all requests, by kind."""

from __future__ import annotations

from dataclasses import dataclass

from admin_sync.access.kinds import KINDS
from admin_sync.access.state import State
from admin_sync.access.store.database import Database


@dataclass(frozen=True, slots=True)
class Standing:
    """How many requests of a kind are in a state, and the age in seconds of the oldest of them."""

    kind: str
    state: str
    count: int
    oldest_seconds: float


@dataclass(frozen=True, slots=True)
class Decided:
    """How many requests of a kind were decided one way, and how long that took in the mean, in seconds.

    `outcome` is `approved` or `denied`. What was approved counts, whatever became of it afterwards.
    """

    kind: str
    outcome: str
    count: int
    mean_seconds: float


async def standing(database: Database) -> list[Standing]:
    """Every kind and state, those without any request too. Raises DatabaseUnavailable."""
    rows = await database.rows(
        "SELECT kind, state, count(*) AS count, extract(epoch FROM access.moment() - min(asked_at))::float8 AS oldest"
        " FROM access.request GROUP BY kind, state"
    )
    found = {
        (row["kind"], row["state"]): Standing(row["kind"], row["state"], row["count"], row["oldest"]) for row in rows
    }
    return [
        found.get((kind, state.value), Standing(kind, state.value, 0, 0.0)) for kind in sorted(KINDS) for state in State
    ]


async def decided(database: Database) -> list[Decided]:
    """The mean time to approve or reject, by kind. Raises DatabaseUnavailable."""
    rows = await database.rows(
        "SELECT kind, CASE state WHEN 'denied' THEN 'denied' ELSE 'approved' END AS outcome, count(*) AS count,"
        " extract(epoch FROM avg(decided_at - asked_at))::float8 AS mean"
        " FROM access.request WHERE decided_at IS NOT NULL GROUP BY 1, 2 ORDER BY 1, 2"
    )
    return [Decided(row["kind"], row["outcome"], row["count"], row["mean"]) for row in rows]
