"""The lines of an audit file as they come, over rotations, half lines and restarts.

A file is known by its inode, so one that was renamed is read to its end before the next is begun. One that was packed
has another inode, so where we stopped in it is not known any more: what was changed since is read as a whole, and
whoever takes the lines knows by their numbers which are new. A line counts when its newline is there: half a line
may be one that is being written, and what a crash left of one is moved aside by the next writer.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from admin_sync.rotated import Damaged, family, is_packed, lines, written_since

_CHUNK: Final = 1 << 20
_LONGEST: Final = 1 << 24
"""Bytes of one line; what is longer is no line of ours and is passed over."""


@dataclass(frozen=True, slots=True)
class Position:
    """Everything before `offset` (bytes) of the file `inode` was read; there a line of `length` bytes and this `digest`
    (SHA-256) ends, by which a file that was emptied and filled again is told from the one that was read."""

    inode: int
    offset: int
    length: int = 0
    digest: str = ""


class Follower:
    """Reads what is new. For one thread; `lost` counts files that were gone before they were read to their end.

    `seen` is the Unix time of the newest line that was read, 0 where none was.
    """

    def __init__(
        self, path: Path, position: Position | None = None, *, from_start: bool = False, seen: float = 0.0
    ) -> None:
        self.path = path
        self.lost = 0
        self._seen = seen
        self.overlong = 0
        self._descriptor = -1
        self._inode = -1
        self._offset = 0
        self._last = b""
        self._wanted = position
        self._from_start = from_start or position is not None
        self._caught_up = False

    @property
    def position(self) -> Position | None:
        """Where to go on, None before there was a file."""
        if self._descriptor < 0:
            return self._wanted
        return Position(self._inode, self._offset, len(self._last), hashlib.sha256(self._last).hexdigest())

    def new(self) -> Iterator[bytes]:
        """Every complete line that is there by now, in order. Raises OSError."""
        if self._descriptor < 0:
            if not self._known() and not self._caught_up:
                self._caught_up = True
                yield from self._packed()
            if self._descriptor < 0 and not self._begin():
                return
        while True:
            yield from self._rest_of_file()
            following = self._following()
            if following is None:
                return
            # What was appended between our last read and the rename.
            yield from self._rest_of_file()
            self._open(following, 0)

    def close(self) -> None:
        """Let go of the file."""
        if self._descriptor >= 0:
            self._wanted = self.position
            self._shut()

    def _known(self) -> bool:
        """Go on in the file where we stopped, if it is still there."""
        wanted = self._wanted
        if wanted is None:
            return False
        for path in plain(self.path):
            if _inode(path) == wanted.inode:
                self._open(path, wanted.offset)
                self._last = os.pread(self._descriptor, wanted.length, max(0, wanted.offset - wanted.length))
                if hashlib.sha256(self._last).hexdigest() == wanted.digest:
                    self._wanted = None
                    return True
                # It was emptied in place, or its inode is another file's now.
                self._shut()
        return False

    def _packed(self) -> Iterator[bytes]:
        """The lines of files that were packed since we stopped, of all of them where we begin with the oldest."""
        if not self._from_start:
            return
        left = list(written_since(family(self.path), self._seen))
        if self._wanted is not None and not any(path != self.path for path in left):
            self.lost += 1
        self._wanted = None
        for path in filter(is_packed, left):
            try:
                yield from (line.rstrip(b"\n") for line in lines(path) if line.endswith(b"\n"))
            except Damaged:
                # Where it is being packed just now, the file itself is still there.
                self.lost += 1

    def _begin(self) -> bool:
        if not self.path.exists():
            # Whatever is there first when it comes is new.
            self._from_start = True
            return False
        # Where we never were we begin with what comes; where we were, nothing is left out.
        if self._from_start:
            self._open(next(written_since(plain(self.path), self._seen), self.path), 0)
        else:
            self._open(self.path, self.path.stat().st_size)
            self._to_line()
        return True

    def _open(self, path: Path, offset: int) -> None:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor, self._offset, self._last = descriptor, offset, b""
        self._inode = os.fstat(descriptor).st_ino

    def _shut(self) -> None:
        os.close(self._descriptor)
        self._descriptor = -1

    def _again(self) -> None:
        self._offset, self._last = 0, b""

    def _to_line(self) -> None:
        """Back to the start of the line that the end of the file is in."""
        while self._offset:
            start = max(0, self._offset - _CHUNK)
            block = os.pread(self._descriptor, self._offset - start, start)
            cut = block.rfind(b"\n")
            self._offset = start + cut + 1 if cut >= 0 else start
            if cut >= 0:
                return

    def _rest_of_file(self) -> Iterator[bytes]:
        if os.pread(self._descriptor, len(self._last), self._offset - len(self._last)) != self._last:
            self._again()
        pending = b""
        while block := os.pread(self._descriptor, _CHUNK, self._offset + len(pending)):
            whole, newline, rest = (pending + block).rpartition(b"\n")
            if newline:
                for line in whole.split(b"\n"):
                    self._offset += len(line) + 1
                    self._last = line + b"\n"
                    yield line
                pending = rest
            else:
                pending = rest
            if len(pending) > _LONGEST:
                self._offset += len(pending)
                self._last = b""
                self.overlong += 1
                pending = b""

    def _following(self) -> Path | None:
        """The file after ours, None while ours is the newest."""
        if not self.path.exists() or _inode(self.path) == self._inode:
            return None
        ours = os.fstat(self._descriptor).st_mtime_ns
        later = [path for path in plain(self.path) if _inode(path) != self._inode and path.stat().st_mtime_ns >= ours]
        return min(later, key=lambda path: (path.stat().st_mtime_ns, path == self.path), default=None)


def plain(path: Path) -> list[Path]:
    """The file that a path names and those that were put aside, but for packed ones."""
    return [one for one in family(path) if not is_packed(one)]


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return -1
