"""What is stored against what is written, purely."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from admin_sync.audit_reconcile.stored import Stored


@dataclass(frozen=True, slots=True)
class Findings:
    """The outcome for one realm. Every stored event is written, pending or missing."""

    stored: int
    written: int
    pending: int
    """Announced in a write-ahead file; Keycloak will write them."""
    missing: tuple[Stored, ...]
    doubled: tuple[str, ...]
    """Event ids with more than one line."""
    oldest_pending: int | None = None
    """Time of the oldest pending event, in milliseconds since 1970."""


def compare(stored: Iterable[Stored], lines: Mapping[str, int], pending: AbstractSet[str]) -> Findings:
    """Hold the stored events against the number of lines that each id has."""
    events = list(stored)
    written = [event for event in events if lines.get(event.id, 0)]
    rest = [event for event in events if not lines.get(event.id, 0)]
    missing = tuple(event for event in rest if event.id not in pending)
    doubled = tuple(event.id for event in written if lines[event.id] > 1)
    waits = min((event.time for event in rest if event.id in pending), default=None)
    return Findings(len(events), len(written), len(rest) - len(missing), missing, doubled, waits)
