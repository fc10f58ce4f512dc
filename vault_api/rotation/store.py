"""What a rotation asks of PostgreSQL, as vault_rotator: claims, pages of rows, batches, and the next stage.

All times are PostgreSQL's. A claim ends by itself; one that lies further ahead than any claim is made
comes from a clock that jumped, and does not count. Every write of a turn carries its fence, so a
worker that was held up cannot write over the one that took its place.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias
from uuid import UUID

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from vault_api.rotation.sealed import SealedTable
from vault_api.store.database import DatabaseUnavailable
from vault_api.store.repository import Line

Connection: TypeAlias = "PoolConnectionProxy[asyncpg.Record]"

CLAIM_SECONDS = 60.0
LONGEST_PAUSE_SECONDS = 7500.0
"""No turn is put off for longer: twice the longest life of a cached key, and a little."""


class ClaimLost(Exception):
    """The turn is somebody else's by now, or its rotation was paused or aborted; nothing was written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """A rotation that is running."""

    rotation: UUID
    kind: str
    dry_run: bool
    stages: Sequence[str]
    stage: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A partner whose turn it is, claimed by this worker."""

    rotation: Rotation
    partner: str
    state: str
    target: int | None
    fence: int


class RotationStore:
    """Statements of the rotating worker. All of them raise DatabaseUnavailable."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def running(self) -> Sequence[Rotation]:
        """What is to be done, oldest first."""
        async with self._connection() as connection:
            found = await connection.fetch(
                "SELECT rotation, kind, dry_run, stages, stage FROM vault.rotation WHERE state = 'running' "
                "ORDER BY requested_at"
            )
        return [Rotation(**row) for row in found]

    async def claim(self, rotation: Rotation) -> Turn | None:
        """A partner of the present stage whose turn it is; None if there is none now."""
        async with self._connection() as connection:
            row = await connection.fetchrow(
                """
                WITH next AS (
                    SELECT p.partner FROM vault.rotation_partner p
                    WHERE p.rotation = $1 AND p.stage = $2 AND p.state NOT IN ('done', 'failed')
                      AND (p.due_at <= now() OR p.due_at > now() + make_interval(secs => $4))
                      AND (p.claimed_until IS NULL OR p.claimed_until <= now()
                           OR p.claimed_until > now() + make_interval(secs => 2 * $3))
                    ORDER BY p.due_at, p.partner LIMIT 1 FOR UPDATE SKIP LOCKED)
                UPDATE vault.rotation_partner p
                    SET claimed_until = now() + make_interval(secs => $3), fence = p.fence + 1
                    FROM next, vault.rotation r
                    WHERE p.rotation = $1 AND p.partner = next.partner AND r.rotation = $1 AND r.state = 'running'
                    RETURNING p.partner, p.state, p.target, p.fence
                """,
                rotation.rotation,
                rotation.stage,
                CLAIM_SECONDS,
                LONGEST_PAUSE_SECONDS,
            )
        return None if row is None else Turn(rotation=rotation, **row)

    async def keep(self, turn: Turn) -> None:
        """Prolongs the claim. Raises ClaimLost."""
        async with self._connection() as connection:
            await _held(connection, turn)

    async def save(
        self,
        turn: Turn,
        state: str,
        *,
        target: int | None = None,
        after: float = 0.0,
        problem: str | None = None,
        failed: int | None = None,
        seconds: float = 0.0,
    ) -> None:
        """Says how far the turn has got and lets it go, to be taken up again `after` so many seconds.

        Raises ClaimLost.
        """
        async with self._tenant(turn.partner) as connection:
            await _held(connection, turn)
            await connection.execute(
                """
                UPDATE vault.rotation_partner p SET state = $3, target = $4, problem = $5, claimed_until = NULL,
                    failed = coalesce($6, p.failed), busy_seconds = p.busy_seconds + $7,
                    due_at = now() + make_interval(secs => $8),
                    trail_from = coalesce(p.trail_from,
                        (SELECT coalesce(max(a.seq), 0) FROM vault.audit a WHERE a.partner = $2))
                    WHERE p.rotation = $1 AND p.partner = $2
                """,
                turn.rotation.rotation,
                turn.partner,
                state,
                turn.target if target is None else target,
                problem,
                failed,
                seconds,
                after,
            )

    async def page(
        self, partner: str, table: SealedTable, target: int, after: Sequence[Any] | None, limit: int
    ) -> Sequence[Any]:
        """At most `limit` rows that are not under `target`, from behind the key `after`."""
        start: Sequence[Any] = (None,) * len(table.keys) if after is None else after
        async with self._tenant(partner) as connection:
            found: Sequence[Any] = await connection.fetch(table.select, partner, target, limit, *start, after is None)
        return found

    async def opened(self, turn: Turn, count: int) -> None:
        """Counts rows that a dry run opened. Raises ClaimLost."""
        async with self._connection() as connection:
            await _held(connection, turn)
            await connection.execute(
                "UPDATE vault.rotation_partner SET opened = opened + $3 WHERE rotation = $1 AND partner = $2",
                turn.rotation.rotation,
                turn.partner,
                count,
            )

    async def write(self, turn: Turn, table: SealedTable, target: int, columns: Sequence[Any], line: Line) -> int:
        """Writes a batch, its audit line and the progress in one transaction; how many rows were still as read.

        Raises ClaimLost.
        """
        async with self._tenant(turn.partner) as connection:
            await _held(connection, turn)
            written = len(await connection.fetch(table.update, turn.partner, target, *columns))
            await connection.execute(
                "UPDATE vault.rotation_partner SET moved = moved + $3, opened = opened + $3 "
                "WHERE rotation = $1 AND partner = $2",
                turn.rotation.rotation,
                turn.partner,
                written,
            )
            if written:
                # Last of all: the lock of the partner's trail is held by every release, too.
                await connection.fetchval(
                    "SELECT vault.append_audit($1, NULL, $2, 'key.rotate', 'success', $3, $4)",
                    turn.partner,
                    line,
                    f"moved:{written}",
                    target,
                )
        return written

    async def record(self, turn: Turn, line: Line, *, outcome: str, reason: str, key_version: int | None) -> None:
        """A line of its own about a step of a turn. Raises ClaimLost."""
        async with self._tenant(turn.partner) as connection:
            await _held(connection, turn)
            await connection.fetchval(
                "SELECT vault.append_audit($1, NULL, $2, 'key.rotate', $3, $4, $5)",
                turn.partner,
                line,
                outcome,
                reason,
                key_version,
            )

    async def census(self, partner: str | None = None) -> Sequence[Any]:
        """Rows by partner and key version: partner, key_version, root_version, pinned_at, held."""
        async with self._connection() as connection:
            found: Sequence[Any] = await connection.fetch("SELECT * FROM vault.census($1)", partner)
        return found

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Connection]:
        try:
            async with self._pool.acquire(timeout=5.0) as connection, connection.transaction():
                yield connection
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
            # Never the message: PostgreSQL quotes values in it.
            raise DatabaseUnavailable(f"a rotation's statement failed: {type(error).__name__}") from None

    @asynccontextmanager
    async def _tenant(self, partner: str) -> AsyncIterator[Connection]:
        async with self._connection() as connection:
            await connection.execute("SELECT set_config('vault.partner', $1, true)", partner)
            yield connection


async def _held(connection: Connection, turn: Turn) -> None:
    """Prolongs the claim inside the transaction. Raises ClaimLost, which undoes what came before."""
    held = await connection.fetchval(
        """
        UPDATE vault.rotation_partner p SET claimed_until = now() + make_interval(secs => $4)
            FROM vault.rotation r
            WHERE p.rotation = $1 AND p.partner = $2 AND p.fence = $3 AND r.rotation = $1 AND r.state = 'running'
            RETURNING 1
        """,
        turn.rotation.rotation,
        turn.partner,
        turn.fence,
        CLAIM_SECONDS,
    )
    if held is None:
        raise ClaimLost
