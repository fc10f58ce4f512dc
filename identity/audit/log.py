"""The audit log of a service: an event is durable before its effect, or there is no effect.

One writer thread takes all events that wait, appends them as one group and syncs once, so that
many requests share the cost of the disk. A disk that fails, fills or hangs makes `append` raise
within `timeout`; when the disk recovers, so does the log.
"""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from identity.audit.chain import Chain
from identity.audit.checkpoint import write_checkpoint
from identity.audit.errors import AuditUnavailable
from identity.audit.event import AuditEvent
from identity.audit.journal import Journal, Members

__all__ = ["AuditLog", "AuditUnavailable"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}\Z")
_MAX_WAITING = 10_000
_MAX_GROUP = 512

_log = structlog.get_logger(__name__)


class AuditLog:
    """Appends events of one source on one node to the audit file at `path`.

    Several logs, of this and other processes, may share the file. `timeout` is in seconds.
    `checkpoint_key` signs a checkpoint every `checkpoint_every` lines of this chain, and when a log
    that wrote anything is closed, to `checkpoints_dir` (default: `checkpoints/` beside the file).
    """

    def __init__(
        self,
        path: Path,
        *,
        source: str,
        node: str,
        checkpoint_key: Ed25519PrivateKey | None = None,
        checkpoint_every: int = 1000,
        checkpoints_dir: Path | None = None,
        timeout: float = 5.0,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        for what, name in (("source", source), ("node", node)):
            if not _NAME.match(name):
                raise ValueError(f"{name!r} cannot be the {what} of audit lines; use letters, digits and ._-")
        self._path = path
        self._source = source
        self._node = node
        self._key = checkpoint_key
        self._every = checkpoint_every
        self._checkpoints = checkpoints_dir or path.parent / "checkpoints"
        self._checkpoint_due = False
        # Lines that this log wrote since it last signed.
        self._unsigned = 0
        self._timeout = timeout
        self._clock = clock
        self._chain = Chain(source, node)
        self._journal = Journal(path, self._chain, mended=self._mended_members, timeout=timeout)
        self._waiting: deque[_Entry] = deque()
        self._wake = threading.Condition()
        self._closing = False
        # When the commit that is running began (monotonic seconds), None between commits.
        self._busy_since: float | None = None
        self._problem: str | None = None
        self._thread = threading.Thread(target=self._run, name=f"audit-{path.name}", daemon=True)
        self._thread.start()

    async def append(self, event: AuditEvent) -> dict[str, Any]:
        """Record `event`; returns the written line as a record, durable on disk.

        Raises `AuditUnavailable` when that is not so within the timeout.
        """
        entry = self._enqueue(event)
        try:
            async with asyncio.timeout(self._timeout):
                return await asyncio.wrap_future(entry.future)
        except TimeoutError:
            raise self._too_late(entry) from None

    def append_sync(self, event: AuditEvent) -> dict[str, Any]:
        """Like `append`, for code without an event loop."""
        entry = self._enqueue(event)
        try:
            return entry.future.result(self._timeout)
        except TimeoutError:
            raise self._too_late(entry) from None

    async def check(self) -> None:
        """For readiness: raises `AuditUnavailable` unless a line could be written now.

        It takes the writer's whole way, lock and sync included, without writing a line; so it sees
        a hanging disk, and it is what lets a service that failed become ready again.
        """
        entry = self._enqueue(None)
        try:
            async with asyncio.timeout(self._timeout):
                await asyncio.wrap_future(entry.future)
        except TimeoutError:
            raise self._too_late(entry) from None

    def problem(self) -> str | None:
        """What the last attempt to write failed with, None if it succeeded."""
        return self._problem

    def close(self) -> None:
        """Write what waits, and stop. A disk that hangs does not keep the process from ending."""
        with self._wake:
            self._closing = True
            self._wake.notify_all()
        self._thread.join(self._timeout)

    def _enqueue(self, event: AuditEvent | None) -> _Entry:
        entry = _Entry(event, self._clock())
        with self._wake:
            busy = self._busy_since
            if self._closing:
                raise AuditUnavailable("the audit log is closed")
            if busy is not None and time.monotonic() - busy > self._timeout:
                # Known to hang: whoever comes now need not wait the whole timeout to learn it.
                raise AuditUnavailable(f"the audit file {self._path} does not take writes")
            if len(self._waiting) >= _MAX_WAITING:
                raise AuditUnavailable(f"{_MAX_WAITING} events wait for the audit file {self._path}")
            self._waiting.append(entry)
            self._wake.notify()
        return entry

    def _too_late(self, entry: _Entry) -> AuditUnavailable:
        # One that the writer has not taken up yet will not be written any more.
        entry.future.cancel()
        return AuditUnavailable(f"the audit file {self._path} took no write within {self._timeout:g} s")

    def _run(self) -> None:
        # The file is looked at once at the start, so that a torn line is mended and said then.
        self._commit([_Entry(None, self._clock())])
        while True:
            with self._wake:
                while not self._waiting and not self._closing:
                    self._wake.wait()
                if not self._waiting:
                    break
                group = [self._waiting.popleft() for _ in range(min(len(self._waiting), _MAX_GROUP))]
            self._commit(group)
        if self._unsigned:
            self._checkpoint()
        self._journal.save_hint()
        self._journal.close()

    def _commit(self, group: list[_Entry]) -> None:
        self._busy_since = time.monotonic()
        try:
            self._write(group)
        finally:
            self._busy_since = None

    def _write(self, group: list[_Entry]) -> None:
        taken = [entry for entry in group if entry.future.set_running_or_notify_cancel()]
        if not taken:
            return
        before = self._journal.head.seq
        try:
            records = iter(self._journal.commit([self._members(e.event, e.time) for e in taken if e.event is not None]))
        except (OSError, TimeoutError) as error:
            self._failed(error)
            for entry in taken:
                entry.future.set_exception(AuditUnavailable(f"the audit file {self._path} cannot be written: {error}"))
            return
        except Exception as error:  # noqa: BLE001 - see below
            # A mistake of ours must not leave requests waiting; the thread goes on for the others.
            self._failed(error)
            for entry in taken:
                entry.future.set_exception(AuditUnavailable("the audit line could not be made; see the log"))
            return
        self._problem = None
        for entry in taken:
            entry.future.set_result(next(records) if entry.event is not None else {})
        self._unsigned += sum(entry.event is not None for entry in taken)
        # The count may fall on another process's line; then the next of ours is signed as well.
        self._checkpoint_due = self._checkpoint_due or before // self._every != self._journal.head.seq // self._every
        if self._checkpoint_due and self._unsigned:
            self._checkpoint()
            self._journal.save_hint()

    def _failed(self, error: Exception) -> None:
        if self._problem is None:
            _log.error("audit.unavailable", path=str(self._path), problem=repr(error))
        self._problem = str(error)

    def _checkpoint(self) -> None:
        """Sign where the chain stands. The lines are durable already, so a failure here is logged and
        tried again with the next group."""
        head = self._journal.head
        if self._key is None:
            return
        try:
            write_checkpoint(self._checkpoints, self._path.name, self._chain, head, self._key)
        except OSError as error:
            _log.error("audit.checkpoint_failed", path=str(self._checkpoints), problem=str(error))
            return
        self._checkpoint_due, self._unsigned = False, 0

    def _members(self, event: AuditEvent, moment: datetime) -> Members:
        stamp = moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        return {"time": stamp, "node": self._node, "source": self._source, **event.record()}

    def _mended_members(self, moved_to: str) -> Members:
        event = AuditEvent(
            event="audit.mended", outcome="success", actor=self._source, action="audit:mend", resource=moved_to
        )
        return self._members(event, self._clock())


class _Entry:
    """One waiting caller; without an event it only asks whether the file takes writes."""

    __slots__ = ("event", "future", "time")

    def __init__(self, event: AuditEvent | None, time: datetime) -> None:
        self.event = event
        self.time = time
        self.future: Future[dict[str, Any]] = Future()
