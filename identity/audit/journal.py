"""The audit file itself: append whole lines durably, or leave it as it was.

Everything here is synchronous and runs in the log's one writer thread. The file may be shared with
other chains and other processes, so each commit takes the lock, reads what others appended since,
and only then knows which line comes next. The file is the truth; the hint beside it only says where
to start reading, and is checked against the file.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import structlog

from identity.audit.chain import START, Chain, Head, chain_of, follow, head_of
from identity.audit.hint import Hint, read_hint, write_hint
from identity.audit.lock import exclusive

_CHUNK = 1 << 20

# The size belongs to what fdatasync writes; only times are left out. Not every system has it.
_sync_data: Callable[[int], None] = getattr(os, "fdatasync", os.fsync)

_log = structlog.get_logger(__name__)

Members = dict[str, Any]
Mended = Callable[[str], Members]


class Journal:
    """One chain's view of an audit file.

    `mended` makes the members of the line that reports a torn tail, from the name of the file the
    tail was moved to. `timeout` (seconds) bounds the wait for the lock. Methods raise `OSError` or
    `TimeoutError`; after either, nothing was appended, or the next commit takes it away first.
    """

    def __init__(self, path: Path, chain: Chain, *, mended: Mended, timeout: float) -> None:
        self._path = path
        self._chain = chain
        self._mended = mended
        self._timeout = timeout
        self._descriptor = -1
        self._inode: tuple[int, int] | None = None
        # Everything before `_read_to` was read; `_head` is our chain's last line within it.
        self._read_to = 0
        self._head = START
        # Where a failed commit began and how far the file reached after it: what is to be cut away.
        self._failed: tuple[int, int] | None = None

    @property
    def head(self) -> Head:
        """Where our chain stood when we last looked."""
        return self._head

    def commit(self, entries: Sequence[Members]) -> list[Members]:
        """Append one line for each entry, durably, and return the complete records.

        With no entries it only checks that a commit would find the file in order.
        """
        with self._held():
            pending = self._catch_up()
            head, lines, records = self._head, bytearray(), []
            for members in [*pending, *entries]:
                record = follow(head, members)
                head = head_of(record)
                lines += orjson.dumps(record) + b"\n"
                records.append(record)
            if lines:
                self._write(lines)
            else:
                os.fsync(self._descriptor)
            self._head = head
        return records[len(pending) :]

    def save_hint(self) -> None:
        """Remember where the chain stands, so that the next process need not read the whole file."""
        if self._inode is not None:
            write_hint(self._path, self._chain, Hint(self._inode[1], self._read_to, self._head))

    def close(self) -> None:
        """Give the descriptor back."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor, self._inode = -1, None

    @contextmanager
    def _held(self) -> Iterator[None]:
        while True:
            self._open()
            with exclusive(self._descriptor, timeout=self._timeout):
                # The file may have been moved away while we waited; a line written to the old one
                # would be out of everybody's sight.
                if _identity(os.fstat(self._descriptor)) == _identity_of(self._path):
                    yield
                    return

    def _open(self) -> None:
        if self._descriptor >= 0 and self._inode == _identity_of(self._path):
            return
        self.close()
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self._descriptor = os.open(self._path, flags, 0o600)
        self._inode = _identity(os.fstat(self._descriptor))
        _sync_directory(self._path.parent)
        self._read_to, self._failed = 0, None
        hint = read_hint(self._path, self._chain)
        if hint is not None and hint.inode == self._inode[1] and self._confirms(hint):
            self._read_to = hint.read_to
            if hint.head.seq >= self._head.seq:
                self._head = hint.head

    def _confirms(self, hint: Hint) -> bool:
        """Whether our last line before the place that the hint names is the one it claims, in the file."""
        start = max(0, hint.read_to - _CHUNK)
        block = os.pread(self._descriptor, hint.read_to - start, start)
        if len(block) != hint.read_to - start or not block.endswith(b"\n"):
            return False
        # The last line of ours, not any: a hint that points at an older one would fork the chain.
        heads = (self._ours(line) for line in reversed(block.split(b"\n")))
        return next((head for head in heads if head is not None), None) == hint.head

    def _catch_up(self) -> list[Members]:
        """Bring `_head` up to the file's end; returns the lines that must come before any other."""
        self._undo_failed()
        size = os.fstat(self._descriptor).st_size
        if size < self._read_to:
            # Somebody cut the file. Our chain goes on from where it really was, so that the gap shows.
            _log.error("audit.file_shrank", path=str(self._path), bytes=size, expected=self._read_to)
            self._read_to = 0
        rest = b""
        while self._read_to + len(rest) < size:
            offset = self._read_to + len(rest)
            rest += os.pread(self._descriptor, min(_CHUNK, size - offset), offset)
            whole, newline, rest = rest.rpartition(b"\n")
            for line in whole.split(b"\n") if newline else ():
                head = self._ours(line)
                # Never back: in memory or in the file, the highest line of our chain was written.
                if head is not None and head.seq >= self._head.seq:
                    self._head = head
            self._read_to += len(whole) + len(newline)
        return [self._mend(rest)] if rest else []

    def _ours(self, line: bytes) -> Head | None:
        try:
            record = orjson.loads(line)
            return head_of(record) if isinstance(record, dict) and chain_of(record) == self._chain else None
        except ValueError:
            return None  # Not a line of ours; the verifier, not the writer, reports it.

    def _mend(self, torn: bytes) -> Members:
        """Move the half line that a crash left behind aside, so that the next line starts a line."""
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        aside = self._path.with_name(f"{self._path.name}.torn-{stamp}")
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(torn)
            file.flush()
            os.fsync(file.fileno())
        os.ftruncate(self._descriptor, self._read_to)
        os.fsync(self._descriptor)
        _log.warning("audit.mended", path=str(self._path), torn_bytes=len(torn), moved_to=aside.name)
        return self._mended(aside.name)

    def _write(self, lines: bytearray) -> None:
        start, view = self._read_to, memoryview(lines)
        try:
            while view:
                view = view[os.write(self._descriptor, view) :]
            _sync_data(self._descriptor)
        except OSError:
            self._failed = (start, os.fstat(self._descriptor).st_size)
            with suppress(OSError):
                self._undo_failed()
            raise
        self._read_to = start + len(lines)

    def _undo_failed(self) -> None:
        """Take away what a failed commit left. After a failed fsync the pages may read back as if all
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


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
