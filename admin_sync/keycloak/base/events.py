"""What Keycloak keeps of events, and which listeners it calls."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from admin_sync.diff import Change
from admin_sync.keycloak.adapter import Reader, Writer
from admin_sync.keycloak.base import representation
from admin_sync.model import Json, Ref, Resource

KIND = "events"
REF = Ref(KIND, "events")

FIELDS = frozenset(
    {
        "eventsEnabled",
        "eventsExpiration",
        "eventsListeners",
        "enabledEventTypes",
        "adminEventsEnabled",
        "adminEventsDetailsEnabled",
    }
)
_SETS = ("eventsListeners", "enabledEventTypes")


def normal(settings: Mapping[str, Json]) -> dict[str, Json]:
    """The settings with their sets sorted, as both sides are compared."""
    return {name: sorted(value) if name in _SETS else value for name, value in settings.items() if name in FIELDS}


class EventsAdapter:
    """Reads and writes the event settings of a realm."""

    kind = KIND

    def read(self, reader: Reader) -> Iterable[Resource]:
        """The settings, if there is a realm."""
        if reader.representation is not None:
            yield Resource(REF, normal(reader.representation))

    def write(self, writer: Writer, change: Change) -> None:
        """Change the settings."""
        if change.after is None:
            raise ValueError("event settings are not deleted")
        representation.change(writer, change.after.attrs)
