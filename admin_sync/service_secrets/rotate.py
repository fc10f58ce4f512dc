"""One secret is replaced. The order is what matters: first the sink knows both, then Keycloak changes, then the sink.

Keycloak's own rotation, which keeps the old secret for a grace period, is a preview feature of 26.7 and is not used
(docs/decisions/0051). A run that ends anywhere is finished by the next: what Keycloak has now says how far it came.
"""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from admin_sync.errors import Interrupted
from admin_sync.keycloak.connection import Connection, segment
from admin_sync.service_secrets.due import CREATED, Held
from admin_sync.service_secrets.sink import Sink

BYTES: Final = 48
"""Of randomness: 384 bits, which also serve as the key of an HMAC (client-secret-jwt, RFC 7518 section 3.2)."""


def rotate(
    connection: Connection,
    sink: Sink,
    one: Held,
    *,
    clock: Callable[[], float] = time.time,
    reached: Callable[[str], None] = lambda _: None,
) -> Path:
    """Give a client another secret; the file that has it. `reached` is told of each step.

    Raises KeycloakProblem, Interrupted and OSError; after each of them a re-run is safe.
    """
    path = f"/{segment(one.realm)}/clients/{segment(one.server_id)}"
    coming = sink.coming(one.realm, one.client)
    if coming is None:
        coming = secrets.token_urlsafe(BYTES)
        sink.announce(one.realm, one.client, coming)
    reached("announced")
    if not _same(_present(connection, path), coming):
        connection.put(
            path,
            {
                "clientId": one.client,
                # Left out, a policy of the realm would fill in another.
                "clientAuthenticatorType": one.authenticator,
                "secret": coming,
                "attributes": {CREATED: str(int(clock()))},
            },
        )
        reached("changed")
        if not _same(_present(connection, path), coming):
            sink.forget(one.realm, one.client)
            raise Interrupted(f"client {one.client} in {one.realm}: Keycloak took another secret than it was given")
    written = sink.promote(one.realm, one.client)
    reached("promoted")
    return written


def _present(connection: Connection, path: str) -> str:
    found = connection.get(f"{path}/client-secret")
    return str((found or {}).get("value") or "")


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())
