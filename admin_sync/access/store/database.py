"""The pool, and a transaction with a deadline.

A decision reads, thinks in Python and writes, so a transaction here takes several statements. What keeps it short
is PostgreSQL: a statement, a wait for a lock, and a transaction that idles are each given up after a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import asyncpg
import structlog
from asyncpg.pool import PoolConnectionProxy

Connection: TypeAlias = asyncpg.Connection | PoolConnectionProxy
"""One of our own, or one that the pool lent."""

_log = structlog.get_logger("admin_sync.access.store")


class DatabaseUnavailable(Exception):
    """The transaction did not commit, or nobody knows whether it did. The text holds no data."""


class BrokenRule(Exception):
    """A trigger or a constraint said no: the program was about to do what the schema does not allow."""


class Database:
    """A pool of connections as one role. `statement_seconds` bounds statements, locks and idling in a transaction."""

    def __init__(self, pool: asyncpg.Pool, *, statement_seconds: float, acquire_seconds: float) -> None:
        self._pool = pool
        # Ours fires after PostgreSQL's own, so that normally the server ends the statement and says so.
        self._statement_seconds = statement_seconds + 1.0
        self._acquire_seconds = acquire_seconds

    @classmethod
    async def connect(
        cls,
        url: str,
        password: str,
        *,
        size: int,
        statement_seconds: float = 5.0,
        acquire_seconds: float = 5.0,
        name: str = "access",
    ) -> Database:
        """Opens the pool; one connection at once, the rest when needed. Raises DatabaseUnavailable."""
        milliseconds = str(int(statement_seconds * 1000))
        try:
            pool = await asyncpg.create_pool(
                url,
                password=password,
                min_size=1,
                max_size=size,
                timeout=acquire_seconds,
                command_timeout=statement_seconds + 1.0,
                server_settings={
                    "application_name": name,
                    "statement_timeout": milliseconds,
                    "lock_timeout": milliseconds,
                    "idle_in_transaction_session_timeout": milliseconds,
                    "timezone": "UTC",
                },
            )
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
            raise DatabaseUnavailable(f"PostgreSQL does not let us in: {_kind(error)}") from None
        return cls(pool, statement_seconds=statement_seconds, acquire_seconds=acquire_seconds)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A transaction: committed when the block ends, rolled back when it raises.

        Every statement sees what was committed before it began, so what is read after a lock was waited for is what
        its last holder left. Raises DatabaseUnavailable and BrokenRule; after the former nothing may be assumed.
        """
        try:
            async with (
                self._pool.acquire(timeout=self._acquire_seconds) as connection,
                connection.transaction(isolation="read_committed"),
            ):
                yield connection
        except asyncpg.IntegrityConstraintViolationError as error:
            # The constraint's name is ours; the message would quote what somebody sent.
            _log.error("database.rule", problem=_kind(error), constraint=getattr(error, "constraint_name", None))
            raise BrokenRule(f"the schema does not allow this: {_kind(error)}") from None
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
            _log.error("database.failed", problem=_kind(error))
            raise DatabaseUnavailable(f"the transaction failed: {_kind(error)}") from None

    async def rows(self, statement: str, *values: Any) -> list[asyncpg.Record]:
        """The rows of one statement that only reads. Raises DatabaseUnavailable."""
        async with self.transaction() as connection:
            return list(await connection.fetch(statement, *values))

    async def close(self) -> None:
        """Waits for running statements, at most as long as one may take, and closes."""
        try:
            async with asyncio.timeout(self._statement_seconds + 1.0):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()


def _kind(error: Exception) -> str:
    state = getattr(error, "sqlstate", None)
    return f"{type(error).__name__} {state}" if state else type(error).__name__
