"""Openings in the database `access`: one transaction for each thing that happens, its audit line in it.

The reconciler writes that an account is opened and closed, the service that somebody asks for the one or reviewed
it; the roles of the database know the difference. All raise DatabaseUnavailable, after which nothing may be assumed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import asyncpg

from admin_sync.access.store.database import BrokenRule, Connection, Database
from admin_sync.access.store.ledger import Ledger
from admin_sync.break_glass.stage import Opening, Review
from identity.audit.event import AuditEvent

_COLUMNS: Final = (
    "number, environment, account, opener, approvers, reason, opened_at, until, due, close_asked_at, close_asked_by, "
    "closed_at, reviewed_at, reviewed_by, verdict, findings, escalated_at"
)


@dataclass(frozen=True, slots=True)
class Openings:
    """The table, for one program. `node` is this host's name in audit lines."""

    database: Database
    node: str

    async def now(self) -> datetime:
        """What time it is for requests and openings: never before what the trail has said."""
        async with self.database.transaction() as connection:
            return await Ledger(connection, self.node).now()

    async def begin(self, opening: Opening, event: AuditEvent) -> Opening | None:
        """Note an opening before anything is enabled. The one that stands, if it is noted already; None while
        another one of the account is not closed."""
        try:
            async with self.database.transaction() as connection:
                known = await _one(connection, opening.number)
                if known is not None:
                    return known
                await connection.execute(
                    "INSERT INTO access.break_glass (number, environment, account, opener, approvers, reason,"
                    " opened_at, until, due) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
                    opening.number, opening.environment, opening.account, opening.opener, list(opening.approvers),
                    opening.reason, opening.opened_at, opening.until, opening.due,
                )  # fmt: skip
                await Ledger(connection, self.node).append(event, number=opening.number)
                return opening
        except BrokenRule:
            if await self.standing(opening.account) is None:
                raise
            return None

    async def ask_to_close(self, number: int, by: str, at: datetime, event: AuditEvent) -> bool:
        """Note that somebody wants it closed; False if it is over already."""
        return await self._changed(
            "UPDATE access.break_glass SET close_asked_at = $2, close_asked_by = $3"
            " WHERE number = $1 AND close_asked_at IS NULL AND closed_at IS NULL",
            event, number, at, by,
        )  # fmt: skip

    async def close(self, number: int, at: datetime, event: AuditEvent) -> bool:
        """Note that the account is locked and its credential sealed anew; False if that was noted before."""
        return await self._changed(
            "UPDATE access.break_glass SET closed_at = $2 WHERE number = $1 AND closed_at IS NULL", event, number, at
        )

    async def review(self, number: int, review: Review, event: AuditEvent) -> bool:
        """Note a review; False if it is not closed yet or was reviewed. The database refuses whoever had a part."""
        return await self._changed(
            "UPDATE access.break_glass SET reviewed_at = $2, reviewed_by = $3, verdict = $4, findings = $5"
            " WHERE number = $1 AND closed_at IS NOT NULL AND reviewed_at IS NULL",
            event, number, review.at, review.by, review.verdict.value, review.findings,
        )  # fmt: skip

    async def escalate(self, number: int, at: datetime, event: AuditEvent) -> bool:
        """Note that it was told again that nobody reviewed it."""
        return await self._changed(
            "UPDATE access.break_glass SET escalated_at = $2 WHERE number = $1 AND reviewed_at IS NULL",
            event, number, at,
        )  # fmt: skip

    async def one(self, number: int) -> Opening | None:
        """The opening of a request."""
        async with self.database.transaction() as connection:
            return await _one(connection, number)

    async def standing(self, account: str) -> Opening | None:
        """The opening of an account that is not closed, in whichever environment."""
        found = await self._select("account = $1 AND closed_at IS NULL", account)
        return found[0] if found else None

    async def unfinished(self) -> Sequence[Opening]:
        """Openings that are not closed, or that nobody reviewed, oldest first."""
        return await self._select("closed_at IS NULL OR reviewed_at IS NULL")

    async def latest(self, limit: int = 50) -> Sequence[Opening]:
        """The unfinished ones and the latest others, newest first."""
        return await self._select(
            "closed_at IS NULL OR reviewed_at IS NULL OR number IN"
            " (SELECT number FROM access.break_glass ORDER BY opened_at DESC LIMIT $1)",
            limit,
            order="opened_at DESC",
        )

    async def _changed(self, statement: str, event: AuditEvent, number: int, *values: object) -> bool:
        async with self.database.transaction() as connection:
            done: str = await connection.execute(statement, number, *values)
            if done != "UPDATE 1":
                return False
            await Ledger(connection, self.node).append(event, number=number)
            return True

    async def _select(self, condition: str, *values: object, order: str = "opened_at") -> Sequence[Opening]:
        # Condition and order are among those above.
        statement = f"SELECT {_COLUMNS} FROM access.break_glass WHERE {condition} ORDER BY {order}"  # noqa: S608
        return [_opening(row) for row in await self.database.rows(statement, *values)]


async def _one(connection: Connection, number: int) -> Opening | None:
    row = await connection.fetchrow(f"SELECT {_COLUMNS} FROM access.break_glass WHERE number = $1", number)  # noqa: S608
    return None if row is None else _opening(row)


def _opening(row: asyncpg.Record) -> Opening:
    return Opening(**{**dict(row), "approvers": tuple(row["approvers"])})
