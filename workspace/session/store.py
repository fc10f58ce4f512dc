"""The rows of sessions and of logins (PostgreSQL). What is sealed in them stays sealed here."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import asyncpg
import structlog

_log = structlog.get_logger("workspace.session")

_TOUCH_SECONDS: Final = 60
_LINGER_SECONDS: Final = 900
"""How long the row of an idle session stays, so that its page can end what it kept alive in the realm."""
_WAIT_SECONDS: Final = 3.0
"""How long a request waits for a connection of the pool."""


class StoreUnavailable(Exception):
    """PostgreSQL does not answer, or not in time. `retry_after` is in seconds."""

    retry_after = 2


@dataclass(frozen=True, slots=True)
class Row:
    """A session whose day is not over. `idle`: whether it has ended because nobody used it."""

    sealed: bytes
    opened_at: datetime
    ends_at: datetime
    idle_at: datetime
    idle: bool


class Store:
    """The tables, through a pool. `idle_seconds`: how long a session lives without being used."""

    def __init__(self, pool: asyncpg.Pool, *, idle_seconds: int) -> None:
        self._pool = pool
        self._idle_seconds = idle_seconds

    async def add(self, key: bytes, sealed: bytes, *, sid: str, subject: str, seconds: int) -> None:
        """A new session, for so many seconds at most. Raises StoreUnavailable."""
        async with self._connection() as connection:
            await connection.execute(
                "INSERT INTO workspace.session (id, sealed, sid, subject, ends_at) "
                "VALUES ($1, $2, $3, $4, now() + make_interval(secs => $5))",
                key, sealed, sid, subject, seconds,
            )  # fmt: skip

    async def find(self, key: bytes, *, used: bool) -> Row | None:
        """A session whose day is not over; that it was used is noted once a minute. Raises StoreUnavailable."""
        async with self._connection() as connection:
            found = await connection.fetchrow(
                "SELECT sealed, opened_at, ends_at, seen_at < now() - make_interval(secs => $3) AS stale, "
                "seen_at + make_interval(secs => $2) AS idle_at, "
                "seen_at + make_interval(secs => $2) <= now() AS idle, now() + make_interval(secs => $2) AS next "
                "FROM workspace.session WHERE id = $1 AND ends_at > now()",
                key, self._idle_seconds, _TOUCH_SECONDS,
            )  # fmt: skip
            if found is None:
                return None
            touched = used and found["stale"] and not found["idle"]
            if touched:
                await connection.execute("UPDATE workspace.session SET seen_at = now() WHERE id = $1", key)
            return Row(
                bytes(found["sealed"]),
                found["opened_at"],
                found["ends_at"],
                found["next"] if touched else found["idle_at"],
                found["idle"],
            )

    @asynccontextmanager
    async def locked(self, key: bytes) -> AsyncIterator[Held | None]:
        """The session for whoever alone may change it now; None if it has ended. Raises StoreUnavailable."""
        async with self._connection() as connection, connection.transaction():
            found = await connection.fetchval(
                "SELECT sealed FROM workspace.session WHERE id = $1 AND ends_at > now() FOR UPDATE", key
            )
            yield None if found is None else Held(connection, key, bytes(found))

    async def end(self, key: bytes) -> None:
        """One session is over. Raises StoreUnavailable."""
        async with self._connection() as connection:
            await connection.execute("DELETE FROM workspace.session WHERE id = $1", key)

    async def end_all(self, *, sid: str | None, subject: str | None) -> int:
        """Every session of the realm's session, or of the account where none is named; how many. StoreUnavailable."""
        async with self._connection() as connection:
            if sid is not None:
                done = await connection.execute("DELETE FROM workspace.session WHERE sid = $1", sid)
            else:
                done = await connection.execute("DELETE FROM workspace.session WHERE subject = $1", subject)
        return int(done.rpartition(" ")[2])

    async def begin(self, key: bytes, sealed: bytes, *, seconds: int) -> None:
        """A login is under way. Raises StoreUnavailable."""
        async with self._connection() as connection:
            await connection.execute(
                "INSERT INTO workspace.login (id, sealed, ends_at) VALUES ($1, $2, now() + make_interval(secs => $3))",
                key, sealed, seconds,
            )  # fmt: skip

    async def finish(self, key: bytes) -> bytes | None:
        """A login's row, once: whoever comes again finds none. Raises StoreUnavailable."""
        async with self._connection() as connection:
            found = await connection.fetchval(
                "DELETE FROM workspace.login WHERE id = $1 AND ends_at > now() RETURNING sealed", key
            )
        return None if found is None else bytes(found)

    async def sweep(self) -> None:
        """Remove what has ended. Raises StoreUnavailable."""
        async with self._connection() as connection:
            await connection.execute(
                "DELETE FROM workspace.session WHERE ends_at <= now() OR seen_at <= now() - make_interval(secs => $1)",
                self._idle_seconds + _LINGER_SECONDS,
            )
            await connection.execute("DELETE FROM workspace.login WHERE ends_at <= now()")

    async def revision(self) -> str:
        """The schema's revision. Raises StoreUnavailable."""
        async with self._connection() as connection:
            return str(await connection.fetchval("SELECT version_num FROM workspace.alembic_version"))

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Any]:
        try:
            async with self._pool.acquire(timeout=_WAIT_SECONDS) as connection:
                yield connection
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as problem:
            # Not the error's own text: it can hold what was sent.
            _log.warning("store.away", kind=type(problem).__name__)
            raise StoreUnavailable from None


class Held:
    """A session under its lock."""

    def __init__(self, connection: asyncpg.Connection, key: bytes, sealed: bytes) -> None:
        self._connection = connection
        self._key = key
        self.sealed = sealed

    async def replace(self, sealed: bytes, *, used: bool = True) -> None:
        """Put other content in place; `used` as for `Store.find`."""
        await self._connection.execute(
            "UPDATE workspace.session SET sealed = $2, seen_at = CASE WHEN $3 THEN now() ELSE seen_at END "
            "WHERE id = $1",
            self._key, sealed, used,
        )  # fmt: skip

    async def remove(self) -> None:
        """The session is over."""
        await self._connection.execute("DELETE FROM workspace.session WHERE id = $1", self._key)
