"""Checking an audit file: every chain from its first line, against its signed checkpoints.

The file is read once, line by line, and memory stays flat whatever its size. The first line that
does not fit is named with its number, chain and seq; everything after it proves nothing.

The chains show any change inside the file to somebody who knows their heads; the checkpoints are
that knowledge. Without them, lines cut off at the end, or a whole file forged anew, cannot be seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from identity.audit.chain import START, Chain, Head, chain_of, head_of, link
from identity.audit.checkpoint import SUFFIX, CheckpointRefused, open_checkpoint
from identity.strict_json import StrictJsonError, loads_object

MAX_LINE = 65_536
"""Bytes of one line; ours are far below."""

_MAX_NOTE = 16_384


@dataclass(frozen=True, slots=True)
class BadLine:
    """The first thing that does not fit. `line` counts from one; `chain` and `seq` are None where the
    line does not say. For lines cut off at the end, `line` is the one after the last."""

    line: int
    chain: Chain | None
    seq: int | None
    why: str

    def __str__(self) -> str:
        place = "" if self.chain is None else f" ({self.chain}, seq {self.seq})"
        return f"line {self.line}{place}: {self.why}"


@dataclass(frozen=True, slots=True)
class Report:
    """What a verification found; `ok` is True when nothing is wrong.

    `torn_bytes` is the size of an unfinished last line, which a crash leaves behind and the next
    start of a writer mends; it is said, and it is not an error.
    """

    path: Path
    lines: int
    heads: Mapping[Chain, Head]
    checkpoints: int
    torn_bytes: int = 0
    bad: BadLine | None = None
    bad_checkpoints: tuple[str, ...] = field(default=())

    @property
    def ok(self) -> bool:
        """Whether every line and every checkpoint fits."""
        return self.bad is None and not self.bad_checkpoints


def verify_file(
    path: Path,
    checkpoints_dir: Path | None = None,
    public_key: Ed25519PublicKey | None = None,
    *,
    heads: Mapping[Chain, Head] | None = None,
    name: str | None = None,
) -> Report:
    """Verify the audit file at `path`.

    `checkpoints_dir` and `public_key` go together: the checkpoints that the key signed for the file
    called `name` (default: the path's own name) must all be met. `heads` is where the chains stood
    at the end of the file before this one, for a file that was continued in a new one.
    Raises `OSError` if the file or the directory cannot be read.
    """
    if (checkpoints_dir is None) != (public_key is None):
        raise ValueError("checkpoints need the public key that signed them, and the key needs checkpoints")
    signed: dict[Chain, dict[int, str]] = {}
    refused: list[str] = []
    if checkpoints_dir is not None and public_key is not None:
        signed, refused = _checkpoints(checkpoints_dir, public_key, name or path.name)
    state = _State(dict(heads or {}), signed)
    with path.open("rb") as file:
        bad = state.read(file) or state.missing()
    return Report(
        path,
        state.lines,
        state.heads,
        sum(len(marks) for marks in signed.values()),
        state.torn_bytes,
        bad,
        tuple(refused),
    )


class _State:
    """How far the file was read and where each chain stands."""

    def __init__(self, heads: dict[Chain, Head], signed: Mapping[Chain, Mapping[int, str]]) -> None:
        self.heads = heads
        self.lines = 0
        self.torn_bytes = 0
        self._signed = signed

    def read(self, file: BinaryIO) -> BadLine | None:
        for raw in _lines(file):
            if not raw.endswith(b"\n") and len(raw) <= MAX_LINE:
                self.torn_bytes = len(raw)
                return None
            self.lines += 1
            bad = self._line(raw)
            if bad is not None:
                return bad
        return None

    def missing(self) -> BadLine | None:
        """A checkpoint beyond the end of its chain: what it signed was cut off, or the file replaced."""
        for chain, marks in sorted(self._signed.items()):
            seq, last = self.heads.get(chain, START).seq, max(marks)
            if last > seq:
                why = f"cut off: the chain ends at seq {seq}, a checkpoint was signed at seq {last}"
                return BadLine(self.lines + 1, chain, seq + 1, why)
        return None

    def _line(self, raw: bytes) -> BadLine | None:
        if len(raw) > MAX_LINE:
            return BadLine(self.lines, None, None, f"longer than {MAX_LINE} bytes")
        try:
            record = loads_object(raw, max_bytes=MAX_LINE)
            chain, head = chain_of(record), head_of(record)
        except StrictJsonError as error:
            return BadLine(self.lines, None, None, f"not an audit line: {error}")
        except ValueError as error:
            return BadLine(self.lines, None, None, f"not an audit line: {error}")
        why = self._misfit(record, chain, head)
        if why is not None:
            return BadLine(self.lines, chain, head.seq, why)
        self.heads[chain] = head
        return None

    def _misfit(self, record: Mapping[str, Any], chain: Chain, head: Head) -> str | None:
        before, prev = self.heads.get(chain, START), record.get("prev")
        try:
            genuine = isinstance(prev, str) and link(prev, record) == head.hash
        except ValueError:
            genuine = False
        if not genuine:
            return "edited: the line does not have the hash it carries"
        if head.seq > before.seq + 1:
            return f"removed: seq {before.seq + 1} to {head.seq - 1} are missing before this line"
        if head.seq <= before.seq:
            return f"repeated or out of order: the chain is at seq {before.seq} already"
        if prev != before.hash:
            return f"does not follow seq {before.seq}: one of the two was replaced or inserted"
        mark = self._signed.get(chain, {}).get(head.seq)
        if mark is not None and mark != head.hash:
            return "replaced: a checkpoint was signed for another line at this seq"
        return None


def _lines(file: BinaryIO) -> Iterator[bytes]:
    # One byte more than allowed tells a line that is too long from one that just fits.
    while raw := file.readline(MAX_LINE + 1):
        yield raw


def _checkpoints(directory: Path, key: Ed25519PublicKey, name: str) -> tuple[dict[Chain, dict[int, str]], list[str]]:
    """The signed heads for the file called `name`, and what is wrong with other notes in there."""
    signed: dict[Chain, dict[int, str]] = {}
    refused = []
    for path in sorted(directory.iterdir()):
        if not path.name.endswith(SUFFIX) or path.name.startswith("."):
            continue
        try:
            with path.open("rb") as file:
                checkpoint = open_checkpoint(file.read(_MAX_NOTE).decode("utf-8"), key)
        except (CheckpointRefused, UnicodeDecodeError) as error:
            refused.append(f"{path.name}: {error}")
            continue
        if checkpoint.file != name:
            continue
        marks = signed.setdefault(checkpoint.chain, {})
        if marks.setdefault(checkpoint.head.seq, checkpoint.head.hash) != checkpoint.head.hash:
            refused.append(f"{path.name}: two checkpoints of {checkpoint.chain} disagree at seq {checkpoint.head.seq}")
    return signed, refused
