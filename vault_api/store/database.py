"""The pool, and the one way to talk to PostgreSQL: a single statement with a deadline.

Every statement the vault runs calls one plpgsql function, which is its own transaction, and all state
it makes (the tenant, locks) ends with that transaction. That is why connections go back to the pool
without asyncpg's RESET round trip; an open transaction would still be rolled back by the pool.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import asyncpg
import structlog

_log = structlog.get_logger("vault_api.store")


class DatabaseUnavailable(Exception):
    """The statement did not commit, or nobody knows whether it did. The text holds no data."""


class Database:
    """A pool of connections as `vault_app`.

    statement_seconds: PostgreSQL gives up a statement after this long, and a wait for a lock with it
    acquire_seconds:   how long a request waits for a free connection
    """

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
        statement_seconds: float = 3.0,
        acquire_seconds: float = 3.0,
    ) -> Database:
        """Opens the pool; one connection at once, the rest when needed.

        Raises DatabaseUnavailable when PostgreSQL does not let us in.
        """
        milliseconds = str(int(statement_seconds * 1000))
        try:
            pool = await asyncpg.create_pool(
                url,
                password=password,
                min_size=1,
                max_size=size,
                timeout=acquire_seconds,
                reset=_keep_session,
                server_settings={
                    "application_name": "vault-api",
                    "statement_timeout": milliseconds,
                    "lock_timeout": milliseconds,
                    "idle_in_transaction_session_timeout": milliseconds,
                    "timezone": "UTC",
                },
            )
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
            raise DatabaseUnavailable(f"PostgreSQL does not let the vault in: {_kind(error)}") from None
        return cls(pool, statement_seconds=statement_seconds, acquire_seconds=acquire_seconds)

    async def rows(self, statement: str, *values: Any) -> Sequence[asyncpg.Record]:
        """Runs one statement as one transaction; it is committed when this returns.

        Raises DatabaseUnavailable for every failure, in bounded time. The caller must not assume that
        nothing happened: a connection can break after the commit and before the answer.
        """
        try:
            async with self._pool.acquire(timeout=self._acquire_seconds) as connection:
                found: Sequence[asyncpg.Record] = await connection.fetch(
                    statement, *values, timeout=self._statement_seconds
                )
                return found
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
            # Never the message: PostgreSQL quotes values in it.
            _log.error("database.failed", problem=_kind(error))
            raise DatabaseUnavailable(f"the statement failed: {_kind(error)}") from None

    async def row(self, statement: str, *values: Any) -> asyncpg.Record:
        """The only row of the answer. Raises DatabaseUnavailable, and LookupError without exactly one row."""
        found = await self.rows(statement, *values)
        if len(found) != 1:
            raise LookupError(f"one row was expected, {len(found)} came")
        return found[0]

    async def close(self) -> None:
        """Waits for running statements, at most as long as one may take, and closes."""
        try:
            async with asyncio.timeout(self._statement_seconds + 1.0):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()


async def _keep_session(_: Any) -> None:
    """Nothing to reset: see the module's docstring."""


def _kind(error: Exception) -> str:
    state = getattr(error, "sqlstate", None)
    return f"{type(error).__name__} {state}" if state else type(error).__name__
