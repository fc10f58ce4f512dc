"""An audit file: append whole lines durably, or leave the file as it was.

Everything here is synchronous. The file may be shared by several chains and processes, so whoever
appends holds the lock, first reads what others appended since, and only then knows what comes next.
Half a line that a crash left at the end is moved aside before anything is written behind it.

A writer that does not take the lock but appends whole lines by single writes is tolerated: what it
writes in between is neither cut away nor taken for half a line.
"""

from __future__ import annotations

import errno
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import structlog

from identity.audit.lock import exclusive
from identity.durable import sync_directory

_CHUNK = 1 << 20
_SETTLE_SECONDS = 0.05
_ROOM = 1 << 20

# The size belongs to what fdatasync writes; only times are left out. Not every system has it.
_sync_data: Callable[[int], None] = getattr(os, "fdatasync", os.fsync)

_log = structlog.get_logger(__name__)


class AuditFile:
    """The file at `path`, used by one thread. `timeout` (seconds) bounds the wait for the lock.

    Methods raise `OSError` or `TimeoutError`; after either, nothing was appended, or the next
    append takes it away first.
    """

    def __init__(self, path: Path, *, timeout: float) -> None:
        self.path = path
        self.read_to = 0
        """Everything before this offset was read; it is always the start of a line."""
        self._timeout = timeout
        self._descriptor = -1
        self._identity: tuple[int, int] | None = None
        # Where a failed append began and how far the file reached after it: what is to be cut away.
        self._failed: tuple[int, int] | None = None

    @property
    def inode(self) -> int | None:
        """The inode of the open file, None before it was opened."""
        return None if self._identity is None else self._identity[1]

    @contextmanager
    def held(self) -> Iterator[bool]:
        """Hold the file's lock. Gives True if this is another file than last time, to be read anew."""
        while True:
            fresh = self._open()
            with exclusive(self._descriptor, timeout=self._timeout):
                # The file may have been moved away while we waited; a line written to the old one
                # would be out of everybody's sight.
                if self._identity == _identity_of(self.path):
                    yield fresh
                    return

    def new_lines(self, torn: Callable[[str], None]) -> Iterator[bytes]:
        """The complete lines behind `read_to`, without their newlines; needs the lock.

        `torn` is called with the name of the file that half a line at the end was moved to.
        """
        self._undo_failed()
        size = os.fstat(self._descriptor).st_size
        if size < self.read_to:
            _log.error("audit.file_shrank", path=str(self.path), bytes=size, expected=self.read_to)
            self.read_to = 0
        rest, settled = b"", False
        while rest or self.read_to < size:
            offset = self.read_to + len(rest)
            block = os.pread(self._descriptor, _CHUNK, offset)
            if block:
                whole, newline, rest = (rest + block).rpartition(b"\n")
                settled = False
                if newline:
                    self.read_to += len(whole) + 1
                    yield from whole.split(b"\n")
            elif not rest:
                raise OSError("the audit file became shorter while it was read")
            elif settled:
                torn(self._mend(rest))
                return
            else:
                # Half a line may be one that is just being written; only one that stays half is torn.
                time.sleep(_SETTLE_SECONDS)
                settled = True

    def last_block(self, end: int) -> bytes:
        """Up to a mebibyte that ends at offset `end`; empty if the file does not reach that far."""
        start = max(0, end - _CHUNK)
        block = os.pread(self._descriptor, end - start, start)
        return block if len(block) == end - start else b""

    def append(self, lines: bytes) -> None:
        """Append complete lines at `read_to`, durably; needs the lock, and all lines read."""
        start, view = self.read_to, memoryview(lines)
        try:
            while view:
                view = view[os.write(self._descriptor, view) :]
            _sync_data(self._descriptor)
        except OSError:
            end = start + len(lines) - len(view)
            if end == self._position():
                self._failed = (start, end)
                with suppress(OSError):
                    self._undo_failed()
            raise
        # Appending puts the position behind what was written. If that is elsewhere, a writer without
        # the lock came in between, and the next one reads its lines, and ours again, from here.
        if self._position() == start + len(lines):
            self.read_to = start + len(lines)

    def probe(self) -> None:
        """Sync without writing, to see whether the disk answers and has room for more lines."""
        room = os.fstatvfs(self._descriptor)
        if room.f_bavail * room.f_frsize < _ROOM:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(self._descriptor)

    def close(self) -> None:
        """Give the descriptor back."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor, self._identity = -1, None

    def _open(self) -> bool:
        if self._descriptor >= 0 and self._identity == _identity_of(self.path):
            return False
        self.close()
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self._descriptor = os.open(self.path, flags, 0o600)
        self._identity = _identity(os.fstat(self._descriptor))
        sync_directory(self.path.parent)
        self.read_to, self._failed = 0, None
        return True

    def _position(self) -> int:
        return os.lseek(self._descriptor, 0, os.SEEK_CUR)

    def _mend(self, torn: bytes) -> str:
        """Move half a line aside and cut it off. Repeating it after a failure makes no second copy."""
        aside = self.path.with_name(f"{self.path.name}.torn-{self.read_to}-{hashlib.sha256(torn).hexdigest()[:8]}")
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(torn)
            file.flush()
            os.fsync(file.fileno())
        os.ftruncate(self._descriptor, self.read_to)
        os.fsync(self._descriptor)
        _log.warning("audit.mended", path=str(self.path), torn_bytes=len(torn), moved_to=aside.name)
        return aside.name

    def _undo_failed(self) -> None:
        """Take away what a failed append left. After a failed sync the pages may read back as if all
        were well and still never reach the disk, so such lines are not kept even if complete."""
        if self._failed is None:
            return
        start, end = self._failed
        # Longer than we left it: another writer has mended and linked behind it; then it stays.
        if os.fstat(self._descriptor).st_size == end:
            os.ftruncate(self._descriptor, start)
            os.fsync(self._descriptor)
        self._failed = None


def _identity(facts: os.stat_result) -> tuple[int, int]:
    return facts.st_dev, facts.st_ino


def _identity_of(path: Path) -> tuple[int, int] | None:
    try:
        return _identity(path.lstat())
    except FileNotFoundError:
        return None
