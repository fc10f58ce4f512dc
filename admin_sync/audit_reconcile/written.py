"""Which of Keycloak's events have a line, read from the files alone.

A line that is announced in a write-ahead file will be written by Keycloak itself, when it has committed
or when it starts again. The format of those files is told in the extension's `WriteAheadSegment`.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import orjson

from admin_sync.model import Json
from admin_sync.rotated import family, written_since
from admin_sync.rotated import lines as rotated_lines

_ID: Final = b'"event_id"'
_KEYCLOAK: Final = b'"keycloak"'
_CHECKSUM: Final = 8


@dataclass(slots=True)
class Lines:
    """What the audit files have: how many lines each event id has, and until when lines had no id yet."""

    ids: Counter[str] = field(default_factory=Counter)
    unidentified_until: int = 0
    """Milliseconds since 1970; before that, Keycloak's listener wrote lines without an id."""


def audit_files(audit: Path, others: Iterable[Path] = ()) -> list[Path]:
    """The audit file, what it was moved to beside it, and those of other nodes."""
    # By either way of naming: a line that was rotated away and not read would be taken for missing, and written again.
    beside = sorted({*audit.parent.glob(f"{audit.stem}*{audit.suffix}"), *family(audit)})
    return list(dict.fromkeys([*beside, *others]))


def lines_of(files: Iterable[Path], since: int) -> Lines:
    """The lines since a time (milliseconds). Raises OSError for a file that cannot be read."""
    found = Lines()
    for path in written_since(list(files), since / 1000):
        for raw in rotated_lines(path):
            _take(raw, since, found)
    return found


def announced(audit: Path) -> set[str]:
    """The event ids that Keycloak's write-ahead files beside an audit file still answer for. Raises OSError."""
    intents: dict[str, list[str]] = {}
    settled: set[str] = set()
    for path in sorted(audit.parent.glob(f"{audit.name}.keycloak@*.wal")):
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            # Keycloak removes one when all of it has its line; the audit file is read after this.
            continue
        for line in _checked(content):
            if "intent" in line:
                intents[line["intent"]] = [record["event_id"] for record in line["records"]]
            settled.update(line.get("settled", ()))
    return {identity for intent, ids in intents.items() if intent not in settled for identity in ids}


def milliseconds(stamp: str) -> int:
    """An RFC 3339 time as milliseconds since 1970. Raises ValueError."""
    return round(datetime.fromisoformat(stamp).timestamp() * 1000)


def stamp(time: int) -> str:
    """Milliseconds since 1970 as RFC 3339, in UTC."""
    return datetime.fromtimestamp(time / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def _take(raw: bytes, since: int, found: Lines) -> None:
    identified = _ID in raw
    if not identified and _KEYCLOAK not in raw:
        return
    try:
        line = orjson.loads(raw)
        time = milliseconds(line["time"])
    except (ValueError, KeyError, TypeError):
        # Not a line: the verification says which and why.
        return
    if identified and isinstance(line.get("event_id"), str):
        if time >= since:
            found.ids[line["event_id"]] += 1
    elif line.get("source") == "keycloak":
        found.unidentified_until = max(found.unidentified_until, time)


def _checked(content: bytes) -> Iterator[dict[str, Json]]:
    for raw in content.split(b"\n"):
        checksum, space, text = raw[:_CHECKSUM], raw[_CHECKSUM : _CHECKSUM + 1], raw[_CHECKSUM + 1 :]
        if space == b" " and checksum == b"%08x" % zlib.crc32(text):
            yield orjson.loads(text)
