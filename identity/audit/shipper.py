"""The shipper: lines that a database committed reach an audit file in the order of their chains, each exactly once.

    unshipped lines (PostgreSQL) ─▶ append what the file lacks, fsync ─▶ checkpoint ─▶ say so (PostgreSQL)

A crash between the last two steps leaves lines in the file that the database takes for unshipped. So
each append first looks at what the file holds behind the place the database knows of. One worker
ships at a time, the one who holds an advisory lock on a connection of its own; when it dies, the lock
does, and another takes over.

The schema (`Shipped.schema`) has two functions and a table that are the same in every database of ours:
`unshipped(chains, limit, each)`, `mark_shipped(chains, seqs, node, file, position)`, and `shipped_file`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import asyncpg
import orjson
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from prometheus_client import Counter, Gauge

from identity.audit.chain import Chain, Head, chain_of
from identity.audit.checkpoint import write_checkpoint
from identity.audit.errors import AuditUnavailable
from identity.audit.event import AuditEvent
from identity.audit.shipped_file import Appended, Line, ShippedFile

_log = structlog.get_logger(__name__)

_BATCH = 2_000
_EACH = 500
_GATHER = 0.05
_SWEEP = 2.0
_PAUSE = 2.0
_TIMEOUT = 10.0

Connect = Callable[[], Awaitable[asyncpg.Connection]]


@dataclass(frozen=True, slots=True)
class Shipped:
    """Whose lines these are. `lock` is the advisory lock that says which worker ships; a number of its own for each."""

    schema: str
    source: str
    lock: int


class Counting(Protocol):
    """What a service counts of its shipper."""

    @property
    def shipped(self) -> Counter: ...
    @property
    def ship_failures(self) -> Counter: ...
    @property
    def ship_lag(self) -> Gauge: ...


class Pending:
    """The chains that lines were committed to and not shipped yet, as far as this worker knows."""

    def __init__(self) -> None:
        self._chains: set[str] = set()
        self._added = asyncio.Event()

    def add(self, chain: str) -> None:
        """Says that a line was committed to the chain of that name."""
        self._chains.add(chain)
        self._added.set()

    def take(self) -> list[str]:
        """The chains so far; they are no longer pending."""
        taken, self._chains = list(self._chains), set()
        self._added.clear()
        return taken

    async def wait(self, seconds: float) -> None:
        """Returns when there is something, or after that time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, seconds)):
                await self._added.wait()


class Shipper:
    """Ships in a background task between `start` and `stop`.

    what:             whose lines
    connect:          opens the connection that holds the lock; its own, outside the pool
    checkpoint_every: lines of one chain between two signed checkpoints, or more of a chain that is busy:
                      checkpoint_seconds are between them at least
    mended:           records that somebody's half line was moved aside
    """

    def __init__(
        self,
        what: Shipped,
        connect: Connect,
        pending: Pending,
        path: Path,
        metrics: Counting,
        *,
        node: str,
        checkpoints_dir: Path,
        checkpoint_key: Ed25519PrivateKey | None,
        checkpoint_every: int = 100,
        checkpoint_seconds: float = 5.0,
        mended: Callable[[AuditEvent], Awaitable[None]],
    ) -> None:
        self._what = what
        self._connect = connect
        self._pending = pending
        self._path = path
        self._file = ShippedFile(path, what.source)
        self._metrics = metrics
        self._node = node
        self._checkpoints_dir = checkpoints_dir
        self._key = checkpoint_key
        self._every = checkpoint_every
        self._seconds = checkpoint_seconds
        self._signed_at: dict[Chain, float] = {}
        self._mended = mended
        self._positions: dict[str, int] | None = None
        # Where chains stand that were shipped to since their last checkpoint.
        self._unsigned: dict[Chain, Head] = {}
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._standby = False
        self._caught_up_at: float | None = None
        self._failing_since: float | None = None
        self._started_at = time.monotonic()

    @property
    def behind_seconds(self) -> float:
        """How long ago everything was in the file, as far as this worker knows; 0 on standby."""
        if self._standby:
            return 0.0
        since = self._started_at if self._caught_up_at is None else self._caught_up_at
        # Caught up is looked for every sweep; younger than that is not a lag.
        return max(0.0, time.monotonic() - since - 2 * _SWEEP)

    @property
    def failing(self) -> bool:
        """Whether the last round failed."""
        return self._failing_since is not None

    @property
    def standby(self) -> bool:
        """Whether another worker ships."""
        return self._standby

    def start(self) -> None:
        """Begins to ship."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Ships what is committed, at most ten seconds long, and ends."""
        self._stopping.set()
        self._pending.add("")
        if self._task is not None:
            _, late = await asyncio.wait({self._task}, timeout=_TIMEOUT)
            for task in late:
                task.cancel()

    async def _run(self) -> None:
        while True:
            try:
                await self._lead()
            except Exception as error:  # noqa: BLE001 - a task that ends is noticed by nobody, on standby not even by its lag
                # Readiness and the lag metric tell the operator; the rows wait in PostgreSQL meanwhile.
                if self._failing_since is None:
                    self._failing_since = time.monotonic()
                    _log.error("audit.shipping_failed", problem=type(error).__name__)
                self._metrics.ship_failures.inc()
            if self._stopping.is_set():
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(_PAUSE):
                    await self._stopping.wait()

    async def _lead(self) -> None:
        """Ships for as long as this worker is the one who does; returns on standby and at the end."""
        connection = await self._connect()
        try:
            if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", self._what.lock):
                self._standby, self._failing_since = True, None
                self._metrics.ship_lag.set(0)
                return
            self._standby, self._positions = False, None
            swept_at = float("-inf")
            while True:
                stopping = self._stopping.is_set()
                # What other workers committed is only found by looking at all chains, now and then.
                everything = stopping or time.monotonic() - swept_at >= _SWEEP
                chains = self._pending.take()
                more = await self._round(connection, None if everything else chains)
                self._failing_since = None
                if more:
                    continue
                if everything:
                    swept_at = self._caught_up_at = time.monotonic()
                    self._metrics.ship_lag.set(0)
                if stopping:
                    await asyncio.to_thread(self._sign_the_rest)
                    return
                await self._pending.wait(swept_at + _SWEEP - time.monotonic())
                # Lines come in bursts, and one sync serves them all.
                await asyncio.sleep(_GATHER)
        finally:
            connection.terminate()
            self._file.close()

    async def _round(self, connection: asyncpg.Connection, chains: Sequence[str] | None) -> bool:
        """Ships one batch; True when there is more."""
        schema = self._what.schema  # one of our own names, so it may stand in a statement
        rows = await connection.fetch(
            f"SELECT * FROM {schema}.unshipped($1, $2, $3)",  # noqa: S608
            chains,
            _BATCH,
            _EACH,
            timeout=_TIMEOUT,
        )
        if not rows:
            return False
        oldest = min(row["recorded_at"] for row in rows)
        self._metrics.ship_lag.set((datetime.now(UTC) - oldest).total_seconds())
        if self._positions is None:
            known = await connection.fetch(
                f"SELECT file, position FROM {schema}.shipped_file WHERE node = $1",  # noqa: S608
                self._node,
                timeout=_TIMEOUT,
            )
            self._positions = {row["file"]: row["position"] for row in known}
        lines = [Line(chain_of(orjson.loads(row["line"])), row["seq"], row["line"]) for row in rows]
        appended = await asyncio.to_thread(self._file.append, lines, positions=self._positions)
        await asyncio.to_thread(self._sign, lines)
        last = {row["chain"]: row["seq"] for row in rows}
        await connection.execute(
            f"SELECT {schema}.mark_shipped($1, $2, $3, $4, $5)",
            list(last),
            list(last.values()),
            self._node,
            appended.file,
            appended.position,
            timeout=_TIMEOUT,
        )
        self._positions[appended.file] = appended.position
        self._metrics.shipped.inc(appended.lines)
        await self._say_mended(appended)
        return len(rows) >= _EACH

    async def _say_mended(self, appended: Appended) -> None:
        for moved_to in appended.torn:
            event = AuditEvent(event="audit.mended", outcome="success", action="audit:mend", resource=moved_to)
            # It is in the log already; the line about it is worth a try and not the shipping of others.
            with suppress(AuditUnavailable):
                await self._mended(event)

    def _sign(self, lines: Sequence[Line]) -> None:
        """Signs lines whose number is a multiple of `checkpoint_every`.

        A note vouches for all lines before it. So of several such lines of a chain only the last is signed, and none
        within `checkpoint_seconds` of the one before: a busy chain would else spend its time syncing notes.
        """
        if self._key is None:
            return
        due: dict[Chain, Head] = {}
        for line in lines:
            head = self._unsigned[line.chain] = Head(line.seq, str(orjson.loads(line.text)["hash"]))
            if line.seq % self._every == 0:
                due[line.chain] = head
        now = time.monotonic()
        for chain, head in due.items():
            if now - self._signed_at.get(chain, float("-inf")) < self._seconds:
                continue
            write_checkpoint(self._checkpoints_dir, self._path.name, chain, head, self._key)
            self._signed_at[chain] = now
            if self._unsigned[chain] == head:
                del self._unsigned[chain]

    def _sign_the_rest(self) -> None:
        """Signs where every other chain stands, at an orderly end, so that short chains are covered too."""
        if self._key is None:
            return
        for chain, head in self._unsigned.items():
            write_checkpoint(self._checkpoints_dir, self._path.name, chain, head, self._key)
        self._unsigned = {}
