"""The files of an audit log that were put aside: which they are, and their lines, packed or not.

A log is put aside by whoever runs the host (logrotate and its like): renamed, under a number or a time behind the
name or before its ending, and perhaps packed by gzip, which keeps the time of the last change.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

PACKED: Final = ".gz"

_MARK: Final = re.compile(r"([.-][0-9][0-9TZ:_.-]*)?")
"""A number or a time. Locks, half lines and what is written ahead are called otherwise."""


def family(path: Path) -> list[Path]:
    """The file that a path names and those that were put aside: `a.jsonl.1`, `a.jsonl-20261123`, `a-20261123.jsonl`,
    each perhaps with `.gz` behind it."""
    return [one for one in path.parent.glob(f"{path.stem}*") if _is_of(path, one.name) and one.is_file()]


def is_packed(path: Path) -> bool:
    """Whether a file of the family is packed."""
    return path.suffix == PACKED


class Damaged(OSError):
    """A packed file that cannot be unpacked to its end: it was cut off, or is being packed just now."""


def lines(path: Path) -> Iterator[bytes]:
    """The lines of a file of the family, each with its newline; the last may have none. Raises OSError."""
    try:
        with gzip.open(path, "rb") if is_packed(path) else path.open("rb") as file:
            yield from file
    except (EOFError, zlib.error, gzip.BadGzipFile) as problem:
        raise Damaged(f"{path} is packed and cannot be unpacked to its end: {problem}") from problem


def written_since(paths: Iterable[Path], seconds: float) -> Iterator[Path]:
    """Those that were changed at that Unix time or later, oldest first: no other has a line from then on."""
    changed = {path: path.stat().st_mtime for path in paths}
    yield from sorted((path for path in changed if changed[path] >= seconds), key=lambda one: changed[one])


def _is_of(path: Path, name: str) -> bool:
    bare = name.removesuffix(PACKED)
    if bare.startswith(path.name):
        return _MARK.fullmatch(bare[len(path.name) :]) is not None
    ended = bare.endswith(path.suffix) and bare != path.suffix
    return ended and _MARK.fullmatch(bare[len(path.stem) : len(bare) - len(path.suffix)]) is not None
