"""The tables of figures (PostgreSQL `access`). What was counted and how far was read are one transaction."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson

from admin_sync.access.store.database import Connection, Database
from admin_sync.auth_health.figures import KEPT_DAYS, Count, Key, Level, at


@dataclass(frozen=True, slots=True)
class Source:
    """Something that is read for figures, how far, and what was wrong at the last try."""

    name: str
    position: Mapping[str, Any] | None
    seen_at: datetime
    problem: str | None


@dataclass(frozen=True, slots=True)
class Summed:
    """A count over a time: `since` is the start of the span that it is of."""

    since: datetime
    environment: str
    series: str
    label: str
    count: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Measured:
    """The last level of a span."""

    since: datetime
    environment: str
    series: str
    value: float


class Figures:
    """Reads and writes them. All raise DatabaseUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def source(self, name: str) -> Source | None:
        """A source as it was left, None for one that was never read."""
        found = [one for one in await self.sources() if one.name == name]
        return found[0] if found else None

    async def sources(self) -> Sequence[Source]:
        """All of them, by name."""
        rows = await self._database.rows(
            "SELECT source, position, seen_at, problem FROM access.health_source ORDER BY source"
        )
        return [
            Source(row["source"], None if row["position"] is None else orjson.loads(row["position"]), row["seen_at"],
                   row["problem"])
            for row in rows
        ]  # fmt: skip

    async def advance(
        self, name: str, position: Mapping[str, Any], after: Mapping[str, Any] | None, counts: Mapping[Key, Count]
    ) -> bool:
        """Counts what was read between two positions; False, and nothing done, where somebody else was there first."""
        async with self._database.transaction() as connection:
            await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 20261125))", name)
            row = await connection.fetchrow("SELECT position FROM access.health_source WHERE source = $1", name)
            stored = None if row is None or row["position"] is None else orjson.loads(row["position"])
            if stored != (None if after is None else dict(after)):
                return False
            await _seen(connection, name, position=position, problem=None)
            await _add(connection, counts)
        return True

    async def note(self, name: str, counts: Mapping[Key, Count], levels: Iterable[Level]) -> None:
        """What a look at a source gave that has no position."""
        async with self._database.transaction() as connection:
            await _seen(connection, name, position=None, problem=None)
            await _add(connection, counts)
            for level in levels:
                await connection.execute(
                    "INSERT INTO access.health_level (step, environment, series, value) VALUES ($1, $2, $3, $4)"
                    " ON CONFLICT (step, environment, series) DO UPDATE SET value = excluded.value",
                    at(level.step), level.environment, level.series, level.value,
                )  # fmt: skip

    async def missed(self, name: str, problem: str) -> None:
        """A source did not answer; when it last did is not changed by that."""
        async with self._database.transaction() as connection:
            await connection.execute(
                "INSERT INTO access.health_source (source, problem, seen_at) VALUES ($1, $2, to_timestamp(0))"
                " ON CONFLICT (source) DO UPDATE SET problem = excluded.problem",
                name, problem[:200],
            )  # fmt: skip

    async def prune(self, now: datetime) -> None:
        """Takes away what is older than it is kept."""
        async with self._database.transaction() as connection:
            oldest = now - timedelta(days=KEPT_DAYS)
            await connection.execute("DELETE FROM access.health_count WHERE step < $1", oldest)
            await connection.execute("DELETE FROM access.health_level WHERE step < $1", oldest)

    async def counts(self, since: datetime, until: datetime, span: timedelta) -> Sequence[Summed]:
        """Everything that was counted, by spans from `since` on."""
        rows = await self._database.rows(
            "SELECT date_bin($3, step, $1) AS since, environment, series, label, sum(count)::bigint AS count,"
            " sum(seconds) AS seconds FROM access.health_count WHERE step >= $1 AND step < $2"
            " GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4",
            since, until, span,
        )  # fmt: skip
        return [Summed(*(row[name] for name in Summed.__dataclass_fields__)) for row in rows]

    async def levels(self, since: datetime, until: datetime, span: timedelta) -> Sequence[Measured]:
        """The last level of every span."""
        rows = await self._database.rows(
            "SELECT DISTINCT ON (1, environment, series) date_bin($3, step, $1) AS since, environment, series, value"
            " FROM access.health_level WHERE step >= $1 AND step < $2 ORDER BY 1, environment, series, step DESC",
            since, until, span,
        )  # fmt: skip
        return [Measured(*(row[name] for name in Measured.__dataclass_fields__)) for row in rows]


async def _seen(connection: Connection, name: str, *, position: Mapping[str, Any] | None, problem: str | None) -> None:
    await connection.execute(
        "INSERT INTO access.health_source AS s (source, position, problem) VALUES ($1, $2, $3) ON CONFLICT (source)"
        " DO UPDATE SET position = coalesce(excluded.position, s.position), problem = excluded.problem,"
        " seen_at = now()",
        name, None if position is None else json.dumps(dict(position)), problem,
    )  # fmt: skip


async def _add(connection: Connection, counts: Mapping[Key, Count]) -> None:
    # In one order for everybody, so that two who count the same things do not wait for each other in a circle.
    await connection.executemany(
        "INSERT INTO access.health_count AS h (step, environment, series, label, count, seconds)"
        " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (step, environment, series, label)"
        " DO UPDATE SET count = h.count + excluded.count, seconds = h.seconds + excluded.seconds",
        [
            (at(key.step), key.environment, key.series, key.label, counts[key].count, counts[key].seconds)
            for key in sorted(counts, key=lambda one: (one.step, one.environment, one.series, one.label))
        ],
    )
