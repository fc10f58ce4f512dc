"""When each person was last seen in each environment, by Keycloak's own events.

Two records are read and the later sighting counts: the events that Keycloak keeps in its database, and the lines that
its listener wrote into the audit files. What matters as much as a sighting is how far back a record goes: a binding
is unused only if the record that does not mention it begins before the time in question.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from admin_sync.audit_reconcile.stored import stored
from admin_sync.certification.item import Use
from admin_sync.keycloak.connection import Connection, segment
from admin_sync.model import Json
from admin_sync.monitor.line import Line, parsed
from admin_sync.rotated import lines

SEEN: Final = frozenset(
    {
        *("login", "broker.login", "token.issued", "token.issued.device", "token.issued.extension"),
        *("token.issued.assertion", "token.refreshed", "token.exchanged"),
    }
)
"""Events of the audit log by which somebody used what they hold."""

SEEN_STORED: Final = frozenset(
    {
        *("LOGIN", "CODE_TO_TOKEN", "REFRESH_TOKEN", "IDENTITY_PROVIDER_LOGIN", "OAUTH2_DEVICE_CODE_TO_TOKEN"),
        *("OAUTH2_EXTENSION_GRANT", "JWT_AUTHORIZATION_GRANT", "TOKEN_EXCHANGE"),
    }
)
"""The same as Keycloak calls them."""

_PROGRESS_EVERY: Final = 50_000


@dataclass(slots=True)
class Usage:
    """Sightings by realm and address in lower case, and how far back each realm's record goes."""

    last: dict[tuple[str, str], datetime] = field(default_factory=dict)
    since: dict[str, datetime] = field(default_factory=dict)

    def recorded(self, realm: str, at: datetime) -> None:
        """Something happened in a realm: its record goes back to here at least."""
        if realm not in self.since or at < self.since[realm]:
            self.since[realm] = at

    def seen(self, realm: str, person: str, at: datetime) -> None:
        """Somebody was seen."""
        key = (realm, person.lower())
        if key not in self.last or at > self.last[key]:
            self.last[key] = at

    def of(self, realm: str, addresses: Iterable[str]) -> Use:
        """What is known of a person, by all their addresses, in a realm."""
        sightings = [self.last[realm, one] for one in addresses if (realm, one) in self.last]
        return Use(max(sightings, default=None), self.since.get(realm))


def take_line(usage: Usage, line: Line) -> None:
    """Count one line of the audit log; those of other sources than Keycloak say nothing about use."""
    if line.source != "keycloak" or not line.realm:
        return
    usage.recorded(line.realm, line.time)
    if line.success and line.event in SEEN and line.actor:
        usage.seen(line.realm, line.actor, line.time)


def take_event(usage: Usage, realm: str, event: Json, names: Mapping[str, str]) -> None:
    """Count one event of Keycloak's database. `names` are addresses by user id."""
    at = datetime.fromtimestamp(int(event["time"]) / 1000, UTC)
    usage.recorded(realm, at)
    person = names.get(str(event.get("userId")))
    if person and not event.get("error") and event.get("type") in SEEN_STORED:
        usage.seen(realm, person, at)


def from_files(usage: Usage, paths: Iterable[Path], note: Callable[[str], None]) -> None:
    """Read audit files. Raises OSError."""
    count = 0
    for path in paths:
        for text in lines(path):
            count += 1
            if count % _PROGRESS_EVERY == 0:
                note(f"reading the audit log: {count} lines")
            # Most lines are other services'; the word alone tells, before anything is parsed.
            if b'"keycloak"' in text and (line := parsed(text)) is not None:
                take_line(usage, line)


def from_keycloak(
    usage: Usage, connection: Connection, realm: str, since: datetime, note: Callable[[str], None]
) -> None:
    """Ask Keycloak for what it keeps of a realm. Raises KeycloakProblem."""
    names = {
        str(one["id"]): str(one["email"]) for one in connection.pages(f"/{segment(realm)}/users") if one.get("email")
    }
    begin = round(since.timestamp() * 1000)
    for count, event in enumerate(stored(connection, realm, "user", begin, None), start=1):
        take_event(usage, realm, event.body, names)
        if count % 1000 == 0:
            note(f"{realm}: {count} events")
