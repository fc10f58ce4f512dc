"""Which static secrets are due. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from admin_sync.load.document import Document
from admin_sync.model import Current, Resource
from admin_sync.service_secrets.sink import NEXT
from admin_sync.static_secrets import SECRETS, confidential

CREATED: Final = "client.secret.creation.time"
"""The attribute in which Keycloak says since when a secret is what it is, in seconds since 1970."""

_AHEAD: Final = timedelta(minutes=5)
"""A creation that lies further in the future is no clock's difference."""


@dataclass(frozen=True, slots=True)
class Held:
    """A client that holds a static secret under an exception in force."""

    realm: str
    client: str
    server_id: str
    authenticator: str
    since: datetime | None
    """When the secret was made; None where Keycloak does not say."""
    rotation: timedelta
    ends: datetime
    """When the exception ends."""
    why: str | None
    """Why it is due now, None if it is not."""


def held(document: Document, current: Current, written: Collection[str], *, forced: Collection[str] = ()) -> list[Held]:
    """The clients of a realm with an excepted secret, each with the reason why it is due, sorted by name.

    written: the clients whose secret is in the sink, and with `.next` those whose rotation was begun
    forced: the clients whose secret somebody wants rotated now
    """
    exceptions = {
        one.client: one for one in document.policies.service_accounts.exceptions if one.expires > document.now
    }
    found = []
    for client in confidential(current):
        exception = exceptions.get(client.ref.name)
        if exception is None or client.attrs.get("authenticator") not in SECRETS or client.server_id is None:
            continue
        since = _since(client)
        if since is not None and since > document.now + _AHEAD:
            # Whoever may write attributes could otherwise put the next rotation off for good.
            since = None
        reasons = _reasons(client.ref.name, since, document.now - exception.rotation, written, forced)
        found.append(
            Held(
                realm=current.realm,
                client=client.ref.name,
                server_id=client.server_id,
                authenticator=str(client.attrs["authenticator"]),
                since=since,
                rotation=exception.rotation,
                ends=exception.expires,
                why=next(reasons, None),
            )
        )
    return found


def _reasons(
    name: str, since: datetime | None, limit: datetime, written: Collection[str], forced: Collection[str]
) -> Iterator[str]:
    if name in forced:
        yield "asked for"
    if name not in written:
        yield "its file is not there"
    if name + NEXT in written:
        yield "its last rotation was cut off"
    if since is None:
        yield "nobody knows how old it is"
    elif since <= limit:
        yield f"it is of {since:%Y-%m-%d %H:%M} UTC"


def _since(client: Resource) -> datetime | None:
    attributes = client.attrs.get("attributes")
    value = attributes.get(CREATED) if isinstance(attributes, dict) else None
    try:
        seconds = int(str(value))
        return datetime.fromtimestamp(seconds, UTC) if seconds > 0 else None
    except (ValueError, OverflowError, OSError):
        return None
