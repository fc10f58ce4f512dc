"""Requests whose end has passed before anything came of them."""

from __future__ import annotations

from admin_sync.access.request import request_id
from admin_sync.access.state import State
from admin_sync.access.store.database import Database
from admin_sync.access.store.ledger import Ledger
from identity.audit.event import AuditEvent

_AT_ONCE = 100


async def expire(database: Database, node: str) -> int:
    """Moves open and approved requests whose end has passed to `expired`; says how many. Raises DatabaseUnavailable.

    What the reconciler has taken is left to it. Rows that somebody else decides about just now are skipped.
    """
    async with database.transaction() as connection:
        rows = await connection.fetch(
            "SELECT number FROM access.request WHERE state IN ('open', 'approved') AND taken_at IS NULL"
            " AND expires <= access.moment() ORDER BY number LIMIT $1 FOR UPDATE SKIP LOCKED",
            _AT_ONCE,
        )
        ledger = Ledger(connection, node)
        for row in rows:
            number = row["number"]
            await ledger.move(number, State.EXPIRED, at=await ledger.now(), by="access")
            event = AuditEvent(event="request.expired", outcome="success", actor="access", resource=request_id(number))
            await ledger.append(event, number=number)
    return len(rows)
