"""The audit trail as files: CSV for a spreadsheet, JSON lines for whoever wants to check the chain. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from typing import Any, Final

import rfc8785

COLUMNS: Final = (
    "seq", "time", "event", "outcome", "reason", "actor", "action", "resource", "ip", "assurance_level", "amr",
    "roles", "session", "trace_id", "decision_id", "key_version", "hash",
)  # fmt: skip

_FORMULAS: Final = ("=", "+", "-", "@", "\t", "\r")


def header() -> str:
    """The first line of a CSV file (RFC 4180)."""
    return _csv([COLUMNS])


def rows(events: Iterable[Mapping[str, Any]]) -> str:
    """Lines of the trail as CSV."""
    return _csv([[_cell(event.get(name)) for name in COLUMNS] for event in events])


def lines(events: Iterable[Mapping[str, Any]]) -> str:
    """Lines of the trail as JSON (RFC 8785), one document each, as `admin-sync audit verify` reads them."""
    return "".join(rfc8785.dumps(dict(event)).decode() + "\n" for event in events)


def _csv(table: Iterable[Iterable[object]]) -> str:
    made = io.StringIO()
    csv.writer(made, lineterminator="\r\n").writerows(table)
    return made.getvalue()


def _cell(value: object) -> str:
    if value is None:
        return ""
    text = " ".join(map(str, value)) if isinstance(value, list) else str(value)
    # A spreadsheet would work out what begins like a formula (OWASP, CSV Injection).
    return f"'{text}" if text.startswith(_FORMULAS) else text
