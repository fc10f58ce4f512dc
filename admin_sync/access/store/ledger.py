"""What is done inside a transaction: lock, read, insert, move, append to the audit chain. One connection, no policy.

Locks are taken in one order, so that nobody waits in a circle: the person first, then the request's row, then the
chain. The person's lock is what makes a decision about somebody the only one of its moment, whatever it is about.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

import asyncpg
import orjson

from admin_sync.access.request import Approval, Record, Request
from admin_sync.access.state import PENDING, State
from admin_sync.access.store.database import Connection
from admin_sync.access.store.rows import APPROVALS, COLUMNS, record
from identity.audit.chain import START, Head, follow
from identity.audit.event import AuditEvent

SOURCE: Final = "access"
"""The `source` of our audit lines; one chain for the database."""
CHAIN: Final = "-"

_PERSON: Final = 20261123
_TRAIL: Final = 0x616363657373  # "access"


class Ledger:
    """The tables, through one connection that is in a transaction. `node` is this host's name in audit lines."""

    def __init__(self, connection: Connection, node: str) -> None:
        self._connection = connection
        self._node = node

    async def lock_people(self, people: Iterable[str]) -> None:
        """Waits until nobody else decides anything about these people; until the transaction ends."""
        for person in sorted(set(people)):
            await self._connection.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, $2))", person, _PERSON)

    async def now(self) -> datetime:
        """What time it is, by PostgreSQL; never before what the trail already says."""
        moment: datetime = await self._connection.fetchval("SELECT access.moment()")
        return moment

    async def next_number(self, above: int) -> int:
        """A number that no request has, greater than `above`."""
        number: int = await self._connection.fetchval("SELECT access.next_number($1)", above)
        return number

    async def find(self, number: int, *, lock: bool = False) -> Record | None:
        """A request with its approvals; with `lock`, nobody else moves it until the transaction ends."""
        # The statement is made of constants.
        statement = f"SELECT {COLUMNS} FROM access.request r WHERE r.number = $1{' FOR UPDATE' if lock else ''}"  # noqa: S608
        found = await self._connection.fetch(statement, number)
        return (await self._records(found))[0] if found else None

    async def subject_of(self, number: int) -> str | None:
        """The person whom a request is about (`Speakers.person`), None if there is no such request."""
        person: str | None = await self._connection.fetchval(
            "SELECT subject_person FROM access.request WHERE number = $1", number
        )
        return person

    async def pending_of(self, person: str) -> list[Record]:
        """The open and approved requests for one person, oldest first."""
        statement = (
            f"SELECT {COLUMNS} FROM access.request r WHERE r.subject_person = $1 AND r.state = ANY ($2) "  # noqa: S608
            "ORDER BY r.number"
        )
        found = await self._connection.fetch(statement, person, [state.value for state in PENDING])
        return await self._records(found)

    async def pending_by(self, person: str) -> int:
        """How many requests that one person made are open or approved."""
        count: int = await self._connection.fetchval(
            "SELECT count(*) FROM access.request WHERE requester_person = $1 AND state = ANY ($2)",
            person,
            [state.value for state in PENDING],
        )
        return count

    async def insert(self, request: Request, *, requester_person: str, subject_person: str) -> None:
        """A new request, open."""
        await self._connection.execute(
            "INSERT INTO access.request (number, content, hash, requester_person, subject_person, asked_at, starts,"
            " expires, changed_at, changed_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $6, $9)",
            request.number,
            request.content,
            request.hash,
            requester_person,
            subject_person,
            request.asked_at,
            request.starts,
            request.expires,
            request.requester,
        )

    async def approve(self, number: int, approval: Approval) -> None:
        """Adds one person's yes."""
        await self._connection.execute(
            "INSERT INTO access.approval (number, person, by_email, account, capacity, hash, comment, acr, auth_time,"
            " session, given_at, realm) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
            number,
            approval.person,
            approval.by,
            approval.account,
            approval.capacity,
            approval.hash,
            approval.comment,
            approval.acr,
            approval.auth_time,
            approval.session,
            approval.at,
            approval.realm,
        )

    async def move(self, number: int, state: State, *, at: datetime, by: str, reason: str | None = None) -> None:
        """Brings a request into a state. The database refuses a move that its role may not make."""
        if state in (State.APPROVED, State.DENIED):
            await self._connection.execute(
                "UPDATE access.request SET state = $2, changed_at = $3, changed_by = $4, reason = $5, decided_at = $3"
                " WHERE number = $1",
                number, state.value, at, by, reason,
            )  # fmt: skip
            return
        await self._connection.execute(
            "UPDATE access.request SET state = $2, changed_at = $3, changed_by = $4, reason = $5 WHERE number = $1",
            number, state.value, at, by, reason,
        )  # fmt: skip

    async def take(self, number: int, at: datetime) -> None:
        """The reconciler says that it has the request; a second time changes nothing."""
        await self._connection.execute(
            "UPDATE access.request SET taken_at = coalesce(taken_at, $2) WHERE number = $1", number, at
        )

    async def report(
        self, number: int, state: State, result: dict[str, Any], *, at: datetime, by: str, reason: str | None
    ) -> None:
        """The reconciler says what came of the request."""
        await self._connection.execute(
            "UPDATE access.request SET state = $2, result = $3::jsonb, changed_at = $4, changed_by = $5, reason = $6"
            " WHERE number = $1",
            number, state.value, orjson.dumps(result).decode(), at, by, reason,
        )  # fmt: skip

    async def append(self, event: AuditEvent, *, number: int | None = None) -> int:
        """Adds a line to the trail and returns its sequence number; the last thing before the commit."""
        await self._connection.execute("SELECT pg_advisory_xact_lock($1)", _TRAIL)
        last = await self._connection.fetchrow("SELECT seq, hash FROM access.audit ORDER BY seq DESC LIMIT 1")
        head = START if last is None else Head(last["seq"], last["hash"])
        at: datetime = await self._connection.fetchval("SELECT access.moment()")
        members = {
            "time": at.isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "node": self._node,
            "source": SOURCE,
            **event.record(),
        }
        line = follow(head, members)
        await self._connection.execute(
            "INSERT INTO access.audit (seq, recorded_at, number, event, outcome, hash, line)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7)",
            line["seq"], at, number, event.event, event.outcome, line["hash"], orjson.dumps(line).decode(),
        )  # fmt: skip
        seq: int = line["seq"]
        return seq

    async def _records(self, rows: Sequence[asyncpg.Record]) -> list[Record]:
        approvals = await self._connection.fetch(APPROVALS, [row["number"] for row in rows]) if rows else []
        return [record(row, approvals) for row in rows]
