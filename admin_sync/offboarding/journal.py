"""What is about to be done and what was done, durable line by line, so that a killed run can go on and nothing is lost.

    started ─ begun ─ done │ failed ─ … ─ finished       one JSON object a line; a torn last line is dropped

One file for each person, which only this account can read. It holds no secret. Who has it open is alone with it.
A run that was killed left no `finished`; the next one goes on with the same case, and its report tells of both.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import orjson

from admin_sync.errors import AdminSyncError, Interrupted, Misconfigured
from admin_sync.model import Json

STARTED: Final = "started"
RESUMED: Final = "resumed"
BEGUN: Final = "begun"
DONE: Final = "done"
FAILED: Final = "failed"
FINISHED: Final = "finished"


class JournalHeld(AdminSyncError):
    """Another run is about the same person."""

    exit_code = 6


class Journal:
    """The lines of one case, oldest first, and the way to add one."""

    def __init__(self, path: Path, descriptor: int, lines: Sequence[Mapping[str, Json]]) -> None:
        self.path = path
        self._descriptor = descriptor
        self.lines = list(lines)
        """Of the case that is open, or of the one that this run begins."""

    @property
    def resumes(self) -> bool:
        """Whether an earlier run of this case was cut off."""
        return bool(self.lines)

    def add(self, what: str, **facts: Json) -> Mapping[str, Json]:
        """One more line, on disk when this returns. Raises Interrupted when it cannot be written."""
        line = {"what": what, "at": datetime.now(UTC).isoformat(timespec="milliseconds"), **facts}
        try:
            content = orjson.dumps(line) + b"\n"
            if os.write(self._descriptor, content) != len(content):
                raise OSError("only a part was written")
            os.fdatasync(self._descriptor)
        except OSError as problem:
            raise Interrupted(
                f"{self.path}: {problem.strerror or problem}; what is not written down is not done, a re-run is safe"
            ) from problem
        self.lines.append(line)
        return line

    def begun(self, step: str, place: str) -> dict[str, Mapping[str, Json]]:
        """What was begun of a step and neither done nor failed: it may have taken effect. By name."""
        open_: dict[str, Mapping[str, Json]] = {}
        for line in self.lines:
            if (line.get("step"), line.get("place")) == (step, place):
                if line["what"] == BEGUN:
                    open_[str(line["item"])] = line
                elif line["what"] in (DONE, FAILED):
                    open_.pop(str(line.get("item")), None)
        return open_


def path_of(directory: Path, email: str) -> Path:
    """Where the journal of a person lies. Different people never share one."""
    readable = re.sub(r"[^a-z0-9.@_+-]", "_", email.lower())[:80]
    return directory / f"{readable}.{hashlib.sha256(email.lower().encode()).hexdigest()[:8]}.jsonl"


@contextmanager
def opened(directory: Path, email: str) -> Iterator[Journal]:
    """The journal of a person, for the time of a block. Raises JournalHeld and Misconfigured."""
    path = path_of(directory, email)
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as problem:
        raise Misconfigured(f"ADMIN_SYNC_OFFBOARDING_DIR: {path}: {problem.strerror}") from None
    try:
        try:
            # It ends with the process that holds it, however that ends.
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise JournalHeld(f"another offboarding of {email} is under way; wait for it") from None
        yield Journal(path, descriptor, _open_case(_read(descriptor)))
    finally:
        os.close(descriptor)


def _read(descriptor: int) -> list[Mapping[str, Any]]:
    content = b""
    while chunk := os.pread(descriptor, 1 << 20, len(content)):
        content += chunk
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) != len(content):
        # A crash left half a line; the next one must not be glued to it.
        os.ftruncate(descriptor, len(whole))
    return [orjson.loads(line) for line in whole.splitlines()]


def _open_case(lines: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    start = max((number for number, line in enumerate(lines) if line["what"] == STARTED), default=None)
    if start is None or any(line["what"] == FINISHED and line["complete"] for line in lines[start:]):
        return []
    return lines[start:]
