"""A line of the audit log as detectors and measures read it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import orjson

from admin_sync import rotated

_PAIR: Final = re.compile(r'([A-Za-z0-9_.]+)=("(?:[^"\\]|\\.)*"|\S*)')
_BEGINNING: Final = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True)
class Line:
    """One event. `about` are the pairs of its `resource`, where that is made of pairs."""

    event: str
    success: bool
    time: datetime
    source: str
    node: str
    seq: int
    actor: str | None
    session: str | None
    ip: str | None
    reason: str | None
    level: str | None
    amr: tuple[str, ...]
    about: Mapping[str, str] = field(default_factory=dict)

    @property
    def realm(self) -> str:
        """The realm it happened in, empty where the event has none."""
        return self.about.get("realm", "")

    @property
    def name(self) -> str:
        """What no other line is called."""
        return f"{self.source}/{self.node}/{self.seq}"


def parsed(text: bytes) -> Line | None:
    """The line in some bytes, or None where they hold none."""
    try:
        record = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(record, dict) or not isinstance(record.get("event"), str):
        return None
    return Line(
        event=record["event"],
        success=record.get("outcome") == "success",
        time=instant(record.get("occurred_at") or record.get("time")),
        source=_text(record, "source") or "",
        node=_text(record, "node") or "",
        seq=record["seq"] if type(record.get("seq")) is int else 0,
        actor=_text(record, "actor"),
        session=_text(record, "session"),
        ip=_text(record, "ip"),
        reason=_text(record, "reason"),
        level=_text(record, "assurance_level"),
        amr=tuple(one for one in record.get("amr") or () if isinstance(one, str)),
        about=pairs(_text(record, "resource") or ""),
    )


def lines(path: Path) -> Iterator[Line]:
    """The lines of a whole file; what is no line is left out. Raises OSError."""
    for text in rotated.lines(path):
        line = parsed(text)
        if line is not None:
            yield line


def pairs(resource: str) -> dict[str, str]:
    """The `name=value` pairs of a resource; a value with space in it stands there as a JSON string."""
    found = {}
    for name, value in _PAIR.findall(resource):
        if value.startswith('"'):
            try:
                value = str(orjson.loads(value))  # noqa: PLW2901
            except orjson.JSONDecodeError:
                continue
        found[name] = value
    return found


def _text(record: Mapping[str, Any], name: str) -> str | None:
    value = record.get(name)
    return value if isinstance(value, str) else None


def instant(value: Any) -> datetime:
    """An RFC 3339 time; the beginning of all times for what is none."""
    try:
        found = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return _BEGINNING
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
