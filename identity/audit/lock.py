"""A lock on an audit file that other processes, and other languages, respect.

Open-file-description locks (Linux 3.15) conflict with the record locks that Java's
`FileChannel.lock()` and `fcntl.lockf` take on the same file, and, unlike those, hold between two
logs of one process and do not vanish when any other descriptor of the file is closed.
"""

from __future__ import annotations

import fcntl
import os
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager

_FIRST_PAUSE = 0.0005
_LONGEST_PAUSE = 0.02


@contextmanager
def exclusive(descriptor: int, *, timeout: float) -> Iterator[None]:
    """Hold the whole file for one writer. `timeout` is in seconds; raises `TimeoutError` after it."""
    deadline = time.monotonic() + timeout
    pause = _FIRST_PAUSE
    while not _try(descriptor, fcntl.F_WRLCK):
        # Polled, because a blocking request could not be given up when the deadline passes.
        if time.monotonic() >= deadline:
            raise TimeoutError("another process holds the audit file")
        time.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)
    try:
        yield
    finally:
        _try(descriptor, fcntl.F_UNLCK)


def _try(descriptor: int, kind: int) -> bool:
    command = getattr(fcntl, "F_OFD_SETLK", None)
    try:
        if command is None:
            # Not Linux: whole-file locks keep our own processes apart, which is what development needs.
            fcntl.flock(descriptor, fcntl.LOCK_UN if kind == fcntl.F_UNLCK else fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            # struct flock: type, whence, start, length (0 = all there will ever be), pid (must be 0).
            fcntl.fcntl(descriptor, command, struct.pack("@hhqqi4x", kind, os.SEEK_SET, 0, 0, 0))
    except (BlockingIOError, PermissionError):
        return False
    return True
