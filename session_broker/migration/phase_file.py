"""The phase, in a file that every process reads and one command replaces.

A file and not a setting, because a step must take effect everywhere at once and without a restart: no session is
dropped by it. What cannot be read is no phase at all, and then nothing is let through.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from identity.durable import replace_file, sync_directory
from identity.strict_json import StrictJsonError, loads_object
from session_broker.migration.phase import Phase, parse

BELIEVED_SECONDS: Final = 0.5
"""For how long a process believes what it read: the longest that two processes disagree."""

_MAX_BYTES: Final = 4096


class PhaseUnavailable(Exception):
    """The file cannot be read or does not say a phase. The text names the path; `retry_after` is in seconds."""

    retry_after = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Stand:
    """Where the migration stands: the phase, since when (unix seconds), and who brought it there."""

    phase: Phase
    since: int
    by: str


class PhaseFile:
    """The phase in the file at `path`. `clock` returns seconds that never go back."""

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._read_at = float("-inf")
        self._stand: Stand | None = None

    def now(self) -> Phase:
        """The phase, at most half a second old. Raises PhaseUnavailable."""
        asked = self._clock()
        if self._stand is None or not 0 <= asked - self._read_at < BELIEVED_SECONDS:
            # Forgotten first: a file that cannot be read any more must not leave the phase of before in force.
            self._stand = None
            self._stand = self.read()
            self._read_at = asked
        return self._stand.phase

    def read(self) -> Stand:
        """What the file says. Raises PhaseUnavailable."""
        try:
            with self._path.open("rb") as file:
                said = loads_object(file.read(_MAX_BYTES + 1), max_bytes=_MAX_BYTES)
            if said.keys() != {"phase", "since", "by"} or type(said["since"]) is not int:
                raise ValueError("its fields are phase, since and by")
            return Stand(phase=parse(str(said["phase"])), since=said["since"], by=str(said["by"]))
        except OSError as problem:
            raise PhaseUnavailable(f"{self._path}: {problem.strerror}") from None
        except (StrictJsonError, ValueError) as problem:
            raise PhaseUnavailable(f"{self._path}: {problem}") from None

    def write(self, stand: Stand) -> None:
        """Replace the file, durably and as a whole. Raises OSError."""
        body = orjson.dumps({"phase": stand.phase.label, "since": stand.since, "by": stand.by}) + b"\n"
        replace_file(self._path, body, mode=0o644)
        sync_directory(self._path.parent)

    @contextmanager
    def stepping(self) -> Iterator[None]:
        """Held while somebody steps, so that two who step at once make two steps one after the other."""
        lock = os.open(
            self._path.with_name(f"{self._path.name}.lock"),
            os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW,
            0o600,
        )
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)
