"""Who linked and who approved a connection, by the names that the audit trail knows them by.

The vault keeps a connection's people by their ids, and their names in the lines of what they did. What was found once
stays true, so it is remembered.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

_NEAR: Final = 5.0
"""Seconds by which the time of a line and that of its effect may differ."""

_LINKED: Final = frozenset({"connection.linked", "credential.store"})
_APPROVED: Final = frozenset({"connection.approve"})


@dataclass(frozen=True, slots=True)
class Deed:
    """That somebody linked or approved a connection; `at` is as the vault writes it."""

    partner: str
    connection: str
    events: frozenset[str]
    by: str
    at: str


def deeds(partner: str, connection: Mapping[str, Any]) -> Mapping[str, Deed]:
    """What was done to a connection, as the vault describes it: `linked`, `approved`."""
    name = str(connection["connection"])
    found = {}
    for deed, events in (("linked", _LINKED), ("approved", _APPROVED)):
        by, at = connection[f"{deed}_by"], connection[f"{deed}_at"]
        if deed == "linked" and at is None:
            by, at = connection["stored_by"], connection["stored_at"]
        if by is not None and at is not None:
            found[deed] = Deed(partner, name, events, str(by), str(at))
    return found


class KnownPeople:
    """At most `size` names by what they did; the one asked for longest ago goes first."""

    def __init__(self, *, size: int = 10_000) -> None:
        self._size = size
        self._names: OrderedDict[Deed, str] = OrderedDict()

    def __len__(self) -> int:
        return len(self._names)

    def name(self, deed: Deed) -> str | None:
        """Who did it; None if that is not known yet."""
        found = self._names.get(deed)
        if found is not None:
            self._names.move_to_end(deed)
        return found

    def learn(self, wanted: Iterable[Deed], events: Sequence[Mapping[str, Any]]) -> None:
        """Take the names of those deeds out of lines of the trail."""
        for deed in wanted:
            resource, at = f"partners/{deed.partner}/connections/{deed.connection}", datetime.fromisoformat(deed.at)
            for event in events:
                if (
                    event.get("event") in deed.events
                    and event.get("outcome") == "success"
                    and event.get("resource") == resource
                    and event.get("actor")
                    and abs((datetime.fromisoformat(str(event["time"])) - at).total_seconds()) < _NEAR
                ):
                    self._names[deed] = str(event["actor"])
            while len(self._names) > self._size:
                self._names.popitem(last=False)
