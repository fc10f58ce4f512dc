"""One writer's chain in an audit file: which line comes next, under the lock.

The file is the truth; the hint beside it only says where to start reading, and is checked against
the file. What this process itself wrote it also remembers: if the file is cut or replaced, the
chain goes on from where it really was, so that the gap shows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import orjson

from identity.audit.chain import START, Chain, Head, chain_of, follow, head_of
from identity.audit.file import AuditFile
from identity.audit.hint import Hint, read_hint, write_hint

Members = dict[str, Any]


class Journal:
    """`mended` makes the members of the line that reports a torn tail, from the name of the file that
    the tail was moved to. `timeout` is in seconds. Methods raise `OSError` or `TimeoutError`."""

    def __init__(self, path: Path, chain: Chain, *, mended: Callable[[str], Members], timeout: float) -> None:
        self._file = AuditFile(path, timeout=timeout)
        self._chain = chain
        self._mended = mended
        self._head = START
        # Lines about mending that are not written yet; they come before any other.
        self._unsaid: list[Members] = []

    @property
    def head(self) -> Head:
        """Where our chain stood when we last looked."""
        return self._head

    def commit(self, entries: Sequence[Members]) -> list[Members]:
        """Append one line for each entry, durably, and return the complete records.

        With no entries it only checks that a commit would find the file in order.
        """
        with self._file.held() as fresh:
            if fresh:
                self._take_hint()
            for line in self._file.new_lines(self._torn):
                head = head_in(line, self._chain)
                # Never back: the highest line of our chain, in memory or in the file, was written.
                if head is not None and head.seq >= self._head.seq:
                    self._head = head
            records, lines, head = [], bytearray(), self._head
            for members in [*self._unsaid, *entries]:
                record = follow(head, members)
                head = head_of(record)
                lines += orjson.dumps(record) + b"\n"
                records.append(record)
            if lines:
                self._file.append(bytes(lines))
            else:
                self._file.probe()
            said, self._unsaid = len(self._unsaid), []
            self._head = head
        return records[said:]

    def save_hint(self) -> None:
        """Remember where the chain stands, so that the next process need not read the whole file."""
        if self._file.inode is not None and self._head != START:
            write_hint(self._file.path, self._chain, Hint(self._file.inode, self._file.read_to, self._head))

    def close(self) -> None:
        """Give the file back."""
        self._file.close()

    def _torn(self, moved_to: str) -> None:
        self._unsaid.append(self._mended(moved_to))

    def _take_hint(self) -> None:
        hint = read_hint(self._file.path, self._chain)
        if hint is None or hint.inode != self._file.inode:
            return
        block = self._file.last_block(hint.read_to)
        if not block.endswith(b"\n"):
            return
        # The last line of ours, not any: a hint that points at an older one would fork the chain.
        heads = (head_in(line, self._chain) for line in reversed(block.split(b"\n")))
        if next((head for head in heads if head is not None), None) == hint.head:
            self._file.read_to = hint.read_to
            self._head = max(self._head, hint.head)


def head_in(line: bytes, chain: Chain) -> Head | None:
    """The head that a line of `chain` claims, None for any other line: those are the verifier's business."""
    try:
        record = orjson.loads(line)
        return head_of(record) if isinstance(record, dict) and chain_of(record) == chain else None
    except ValueError:
        return None
