"""Sessions that ended: what logout tokens said, known to every process of this host and after a restart.

    logout token ─▶ a line in a file, appended and synced ─▶ every process reads what is new before it admits

The file is small, since a line matters only as long as a token from before it can live, and asking
whether it grew is one system call. Its lines name sessions by hash, so that it holds no identifier.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from identity.durable import replace_file
from session_broker.verify import VerifiedIdentity

_FILE = "ended-sessions"
_KEEP_SECONDS = 90_000
"""Somewhat more than a day, the longest `max_age` of a provider's tokens."""

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
_SESSION, _SUBJECT, _LOGOUT = "sid", "sub", "jti"
_UNNAMED = "sub without sid"
"""Of whom some session ended: a token that names none may be of that one."""

_PRUNED_FROM = 10_000
"""Marks in memory from which on those that no token can be older than are forgotten, each time there are twice as
many; a process that runs for months would otherwise keep them all."""

_log = structlog.get_logger(__name__)


class EndedUnavailable(Exception):
    """The file cannot be read or written, so nobody knows which sessions ended. `retry_after` is in seconds."""

    retry_after = 5


class EndedSessions:
    """The ended sessions in `directory`, which only this account can use. `clock` returns unix seconds.

    Raises `EndedUnavailable` from every method but the constructor, which raises `OSError` and `ValueError`.
    """

    def __init__(self, directory: Path, clock: Callable[[], float] = time.time) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        facts = directory.stat()
        if facts.st_mode & 0o022 or facts.st_uid not in (os.geteuid(), 0):
            raise ValueError(
                f"{directory}: others could write into it and bring sessions back; run: chmod 700 {directory}"
            )
        self._path = directory / _FILE
        self._clock = clock
        self._marks: dict[str, float] = {}
        self._prune_at = _PRUNED_FROM
        self._read_to = 0
        self._users = os.open(directory / f"{_FILE}.lock", _FLAGS, 0o600)
        self._compact_if_alone()
        # Held as long as the process lives, and taken before the file is opened: whoever replaces the file
        # is alone with it.
        fcntl.flock(self._users, fcntl.LOCK_SH)
        self._descriptor = os.open(self._path, _FLAGS | os.O_APPEND, 0o600)
        self._refresh()

    def __len__(self) -> int:
        return len(self._marks)

    def has(self, identity: VerifiedIdentity) -> bool:
        """Whether the session of this token ended, or every session of its subject since the token was issued."""
        self._refresh()
        if not self._marks:
            return False
        if identity.session is not None and self._mark(_SESSION, identity.issuer, identity.session) in self._marks:
            return True
        kinds = (_SUBJECT, _UNNAMED) if identity.session is None else (_SUBJECT,)
        ends = (self._marks.get(self._mark(kind, identity.issuer, identity.subject)) for kind in kinds)
        # Issued in the second of the logout counts as before it: who logs in again asks for a new token.
        return any(ended_at is not None and identity.issued_at <= ended_at for ended_at in ends)

    def end(self, *, issuer: str, session: str | None, subject: str | None, logout: str, issued_at: int) -> bool:
        """Note the end of a session, or without one of all sessions of a subject; durable on return. With both, tokens
        of the subject that name no session end too.

        `logout` is the logout token's `jti`, `issued_at` its `iat`. False for one that was noted before.
        """
        mark = self._mark(_LOGOUT, issuer, logout)
        lines = []
        if session is not None:
            lines.append(f"{self._mark(_SESSION, issuer, session)} {issued_at}\n")
            if subject is not None:
                lines.append(f"{self._mark(_UNNAMED, issuer, subject)} {issued_at}\n")
        elif subject is not None:
            lines.append(f"{self._mark(_SUBJECT, issuer, subject)} {issued_at}\n")
        # Last: where only a part is written, the token can be sent again, and is no replay of what never took effect.
        lines.append(f"{mark} {issued_at}\n")
        try:
            # Processes take turns, so that of two equal logout tokens one is the first.
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            try:
                self._refresh()
                if mark in self._marks:
                    return False
                self._append("".join(lines).encode("ascii"))
            finally:
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        except OSError as error:
            raise self._unavailable(error) from None
        self._refresh()
        return True

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)
        os.close(self._users)

    @staticmethod
    def _mark(kind: str, issuer: str, value: str) -> str:
        return hashlib.sha256(f"{kind}\0{issuer}\0{value}".encode("utf-8", "surrogatepass")).hexdigest()

    def _refresh(self) -> None:
        try:
            if os.fstat(self._descriptor).st_size == self._read_to:
                return
            while chunk := os.pread(self._descriptor, 1 << 20, self._read_to):
                # Half a line is another process's write under way, or what a crash left; it is read again.
                whole = chunk[: chunk.rfind(b"\n") + 1]
                if not whole:
                    return
                for line in whole.decode("ascii", "replace").splitlines():
                    self._take(line)
                self._read_to += len(whole)
            if len(self._marks) >= self._prune_at:
                oldest = self._clock() - _KEEP_SECONDS
                self._marks = {mark: moment for mark, moment in self._marks.items() if moment >= oldest}
                self._prune_at = max(_PRUNED_FROM, 2 * len(self._marks))
        except OSError as error:
            raise self._unavailable(error) from None

    def _take(self, line: str) -> None:
        mark, _, moment = line.partition(" ")
        if len(mark) == 64 and moment.isdigit():
            self._marks[mark] = max(self._marks.get(mark, 0.0), float(moment))

    def _append(self, content: bytes) -> None:
        size = os.fstat(self._descriptor).st_size
        if size and os.pread(self._descriptor, 1, size - 1) != b"\n":
            # What a crash left half would swallow the line behind it.
            content = b"\n" + content
        if os.write(self._descriptor, content) != len(content):
            raise OSError(errno.ENOSPC, "only a part was written")
        os.fdatasync(self._descriptor)

    def _compact_if_alone(self) -> None:
        """Drop the lines that no token can be older than, where no other process has the file open."""
        try:
            fcntl.flock(self._users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            lines = self._path.read_text("ascii", "replace").splitlines(keepends=True)
        except (BlockingIOError, FileNotFoundError):
            return
        oldest = self._clock() - _KEEP_SECONDS
        young = [line for line in lines if line.endswith("\n") and _moment(line) >= oldest]
        if len(young) == len(lines):
            return
        replace_file(self._path, "".join(young).encode("ascii"))

    def _unavailable(self, error: OSError) -> EndedUnavailable:
        _log.error("ended.unavailable", path=str(self._path), problem=error.strerror)
        return EndedUnavailable("which sessions ended cannot be read or written")


def _moment(line: str) -> float:
    _, _, moment = line.strip().partition(" ")
    return float(moment) if moment.isdigit() else 0.0
