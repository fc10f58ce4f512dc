"""The reconciler's side of the database: what is approved and due, take it, report what came of it.

    handover = await Handover.open(DatabaseSettings(), node=…)         # as the role `access_reconciler`
    async for _ in handover.changes(seconds): …                        # a request changed, or that time passed
    for record in await handover.due("grant", "exception"):
        taken = await handover.take(record.request.number)             # None: somebody cancelled it meanwhile
        …verified.problems(document, roster, taken, others, now)…      # never without
        await handover.fulfilled(number, {"commit": …})                # or .failed(number, "why", {...})

Every call is one transaction and can be repeated: what was taken stays taken, and a report of the state that a
request is already in changes nothing. Raises DatabaseUnavailable everywhere; after it the call is repeated.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, Final

import asyncpg
import structlog

from admin_sync.access.request import MalformedRequest, Record
from admin_sync.access.settings import DatabaseSettings
from admin_sync.access.state import PENDING, By, State, may_move
from admin_sync.access.store.database import Database, DatabaseUnavailable
from admin_sync.access.store.ledger import Ledger
from admin_sync.access.store.rows import APPROVALS, COLUMNS, record
from identity.audit.event import AuditEvent
from identity.secret import read_secret

_log = structlog.get_logger("admin_sync.access")

CHANNEL: Final = "access_requests"


class Handover:
    """Opened by `open`, closed by `close`. `node` is this host's name in audit lines, `actor` who reports."""

    def __init__(self, database: Database, url: str, password: str, *, node: str, actor: str) -> None:
        self._database = database
        self._url = url
        self._password = password
        self._node = node
        self._actor = actor

    @classmethod
    async def open(cls, settings: DatabaseSettings, *, node: str, actor: str = "reconciler") -> Handover:
        """Raises DatabaseUnavailable and SecretUnreadable."""
        password = read_secret(settings.database_password_file, name="ACCESS_DATABASE_PASSWORD_FILE").text()
        database = await Database.connect(
            settings.database_url, password, size=3, statement_seconds=settings.statement_seconds, name=actor
        )
        return cls(database, settings.database_url, password, node=node, actor=actor)

    async def close(self) -> None:
        """Gives the connections back."""
        await self._database.close()

    async def now(self) -> datetime:
        """What time it is, by PostgreSQL and the trail."""
        async with self._database.transaction() as connection:
            return await Ledger(connection, self._node).now()

    async def changes(self, seconds: float) -> AsyncIterator[None]:
        """Gives once at once, then whenever a request changed or that time has passed; for as long as it is asked.

        It listens on a connection of its own and makes a new one when that breaks: polling alone goes on meanwhile.
        """
        changed = asyncio.Event()
        connection: asyncpg.Connection | None = None
        try:
            while True:
                if connection is None or connection.is_closed():
                    with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
                        connection = await asyncpg.connect(self._url, password=self._password, timeout=5.0)
                        await connection.add_listener(CHANNEL, lambda *_: changed.set())
                yield
                with suppress(TimeoutError):
                    async with asyncio.timeout(seconds):
                        await changed.wait()
                changed.clear()
        finally:
            if connection is not None:
                connection.terminate()

    async def due(self, *kinds: str) -> list[Record]:
        """The approved requests of these kinds (of all, if none is named) whose start has come, oldest first."""
        return await self._select(
            "r.state = 'approved' AND (r.starts IS NULL OR r.starts <= access.moment())"
            " AND ($1::text[] = '{}' OR r.kind = ANY ($1))",
            list(kinds),
        )

    async def of_person(self, person: str) -> list[Record]:
        """The open and approved requests for one person (`Speakers.person`)."""
        states = [state.value for state in PENDING]
        return await self._select("r.subject_person = $1 AND r.state = ANY ($2)", person, states)

    async def by_person(self, person: str) -> list[Record]:
        """The open and approved requests that one person made, for themselves or for others."""
        states = [state.value for state in PENDING]
        return await self._select("r.requester_person = $1 AND r.state = ANY ($2)", person, states)

    async def open_requests(self) -> list[Record]:
        """All open requests: for whoever has to look who can still speak about each."""
        return await self._select("r.state = 'open'")

    async def find(self, number: int) -> Record | None:
        """One request."""
        found = await self._select("r.number = $1", number)
        return found[0] if found else None

    async def take(self, number: int) -> Record | None:
        """The request, from now on the reconciler's alone; None if it is no longer approved.

        What was taken before a crash is given again.
        """
        async with self._database.transaction() as connection:
            ledger = Ledger(connection, self._node)
            known = await ledger.find(number, lock=True)
            if known is None or known.state is not State.APPROVED:
                return None
            if known.taken_at is None:
                now = await ledger.now()
                await ledger.take(number, now)
                await ledger.append(self._event("request.taken", "success", known), number=number)
                return await ledger.find(number)
            return known

    async def fulfilled(self, number: int, result: Mapping[str, Any]) -> bool:
        """Says that the request has taken effect; `result` is plain JSON (commit, environments). False if it could not
        be, because the request is in another end already: then the effect has to be taken back."""
        return await self._report(number, State.FULFILLED, result, reason=None)

    async def failed(self, number: int, reason: str, result: Mapping[str, Any] | None = None) -> bool:
        """Says that the request cannot take effect, ever: what can be tried again is not reported."""
        return await self._report(number, State.FAILED, result or {}, reason=reason)

    async def expired(self, number: int) -> bool:
        """Says that the request's end came before it took effect."""
        return await self._report(number, State.EXPIRED, {}, reason=None)

    async def cancelled(self, number: int, reason: str) -> bool:
        """Takes a request away that nobody may need any more, such as a leaver's. Also one that is only open."""
        return await self._report(number, State.CANCELLED, {}, reason=reason)

    async def noted(self, event: AuditEvent, number: int | None = None) -> None:
        """Adds a line to the trail about something else that happened to a request."""
        async with self._database.transaction() as connection:
            await Ledger(connection, self._node).append(event, number=number)

    async def _report(self, number: int, state: State, result: Mapping[str, Any], *, reason: str | None) -> bool:
        async with self._database.transaction() as connection:
            ledger = Ledger(connection, self._node)
            known = await ledger.find(number, lock=True)
            if known is None or not may_move(By.RECONCILER, known.state, state):
                return known is not None and known.state is state
            at = await ledger.now()
            await ledger.report(number, state, dict(result), at=at, by=self._actor, reason=reason)
            outcome = "failure" if state is State.FAILED else "success"
            await ledger.append(self._event(f"request.{state.value}", outcome, known, reason), number=number)
            return True

    async def _select(self, condition: str, *values: object) -> list[Record]:
        # Every condition is one of those above.
        statement = f"SELECT {COLUMNS} FROM access.request r WHERE {condition} ORDER BY r.number"  # noqa: S608
        async with self._database.transaction() as connection:
            rows: Sequence[asyncpg.Record] = await connection.fetch(statement, *values)
            approvals = await connection.fetch(APPROVALS, [row["number"] for row in rows]) if rows else []
        return [known for row in rows if (known := _legible(row, approvals)) is not None]

    def _event(self, event: str, outcome: str, known: Record, reason: str | None = None) -> AuditEvent:
        request = known.request
        return AuditEvent(
            event=event,
            outcome=outcome,
            actor=self._actor,
            action=f"request:{request.kind}",
            resource=f"{request.id} for {request.subject}",
            reason=reason,
        )


def _legible(row: asyncpg.Record, approvals: Sequence[asyncpg.Record]) -> Record | None:
    """The request, None for a text that no program of ours wrote: it can never take effect, and stops no other."""
    try:
        return record(row, approvals)
    except MalformedRequest as problem:
        _log.critical("request.malformed", number=row["number"], problem=str(problem))
        return None


__all__ = ["CHANNEL", "DatabaseUnavailable", "Handover"]
