"""The audit file as the shipper uses it: each line of the database once, whatever happened in between.

The file is shared with other writers; `identity.audit.file` holds the lock, mends a torn end and syncs.
Everything in here blocks and runs in a thread.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import orjson

from identity.audit.chain import Chain, chain_of, head_of
from identity.audit.file import AuditFile


class Line(NamedTuple):
    """A committed line: its chain, its number there, and its text without a newline."""

    chain: Chain
    seq: int
    text: str


class Appended(NamedTuple):
    """What an append came to."""

    lines: int
    """How many lines the file did not have yet."""
    file: str
    """Which file it is, by name and inode: after a rotation the same name is another file."""
    position: int
    """Everything before this byte has been looked at."""
    torn: Sequence[str]
    """Where half lines that somebody's crash left at the end were moved to."""


class ShippedFile:
    """The file at `path`, for the lines of one `source`; `timeout` in seconds bounds the wait for its lock.

    `append` raises OSError and TimeoutError; after either it may be called again with the same lines.
    """

    def __init__(self, path: Path, source: str, *, timeout: float = 5.0) -> None:
        self._file = AuditFile(path, timeout=timeout)
        self._source = source
        # The highest number of each of our chains that was seen in the file, or put there.
        self._present: dict[Chain, int] = {}

    def append(self, lines: Sequence[Line], *, positions: Mapping[str, int]) -> Appended:
        """Appends those lines that the file does not have, durably.

        `positions`: for each file the place up to which the database knows of everything in it. Only
        what lies behind it is read: a line of ours can be there if it was appended, and the database
        not told, before a crash.
        """
        torn: list[str] = []
        with self._file.held() as other_file:
            name = f"{self._file.path.name}#{self._file.inode}"
            if other_file:
                self._present = {}
                self._start_at(positions.get(name, 0))
            for text in self._file.new_lines(torn.append):
                self._see(text)
            missing = [line for line in lines if line.seq > self._present.get(line.chain, 0)]
            if missing:
                self._file.append("".join(f"{line.text}\n" for line in missing).encode())
                for line in missing:
                    self._present[line.chain] = line.seq
            else:
                # What was found there may not have reached the disk before the crash.
                self._file.probe()
            return Appended(len(missing), name, self._file.read_to, torn)

    def close(self) -> None:
        """Gives the file back."""
        self._file.close()

    def _start_at(self, position: int) -> None:
        # A position that is not the start of a line belongs to a file that was cut; then all of it is read.
        if position > 0 and self._file.last_block(position).endswith(b"\n"):
            self._file.read_to = position

    def _see(self, text: bytes) -> None:
        try:
            record = orjson.loads(text)
            if record["source"] != self._source:
                return
            chain = chain_of(record)
            self._present[chain] = max(self._present.get(chain, 0), head_of(record).seq)
        except (ValueError, KeyError, TypeError):
            return  # Not a line of ours; `audit verify` is who reports it.
