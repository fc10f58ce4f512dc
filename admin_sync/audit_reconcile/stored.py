"""What Keycloak itself has stored of a realm's events.

Its admin API has no cursor, and orders by time alone, so pages by number may skip one of two events
of the same millisecond. Pages are taken by time instead: the next begins with the last millisecond of
the one before, and what comes again is known by its id.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from admin_sync.keycloak.connection import Connection, Refused, segment
from admin_sync.model import Json

Kind = Literal["user", "admin"]

PAGE: Final = 500

_PATHS: Final[dict[Kind, str]] = {"user": "events", "admin": "admin-events"}


@dataclass(frozen=True, slots=True)
class Stored:
    """One event of Keycloak's tables. `time` is in milliseconds since 1970; `body` is Keycloak's representation."""

    id: str
    kind: Kind
    time: int
    body: Json


@dataclass(frozen=True, slots=True)
class Kept:
    """What a realm stores at all."""

    user: bool
    admin: bool


def kept(connection: Connection, realm: str) -> Kept:
    """Whether a realm stores its events. Raises KeycloakProblem, `Refused` for a realm that is not there."""
    config = connection.get(f"/{segment(realm)}/events/config")
    if config is None:
        raise Refused(f"Keycloak has no realm {realm}; apply the configuration first", 404, "")
    return Kept(bool(config.get("eventsEnabled")), bool(config.get("adminEventsEnabled")))


def stored(connection: Connection, realm: str, kind: Kind, since: int, until: int | None) -> Iterator[Stored]:
    """The events of a kind from `since` to `until` (milliseconds, both included; None for all there are), oldest first,
    each once.

    Raises KeycloakProblem.
    """
    path = f"/{segment(realm)}/{_PATHS[kind]}"
    size, begin = PAGE, since
    end = {} if until is None else {"dateTo": until}
    seen: set[str] = set()
    while True:
        page = connection.get(path, dateFrom=begin, **end, direction="asc", first=0, max=size) or []
        for body in page:
            if body["id"] not in seen:
                seen.add(body["id"])
                yield Stored(body["id"], kind, int(body["time"]), body)
        if len(page) < size:
            return
        last = int(page[-1]["time"])
        if last == begin:
            # More of one millisecond than a page holds: only a larger page gets past it.
            size *= 2
        else:
            seen = {body["id"] for body in page if int(body["time"]) == last}
            begin = last
