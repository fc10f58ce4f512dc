"""What a server says about its bulk provider."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from admin_sync.keycloak.connection import Connection, KeycloakProblem, NotAllowed, segment

PROVIDER: Final = "tradepulse-bulk"

PROTOCOL: Final = 1
"""The version that this client speaks. A server of another version is read by the admin API instead."""


@dataclass(frozen=True, slots=True)
class Capability:
    """What one transaction may hold."""

    operations: int
    bytes: int


class Absent(Exception):
    """The server offers no bulk provider that we could use; the text says why."""


def place(realm: str) -> str:
    """Where a realm's bulk provider is."""
    return f"/{segment(realm)}/{PROVIDER}"


def ask(connection: Connection, realms: tuple[str, ...]) -> Capability:
    """The capability of a server, asked at the first of `realms` that exists. Raises Absent and KeycloakProblem."""
    found = None
    for realm in realms:
        try:
            found = connection.get(place(realm))
        except NotAllowed:
            raise Absent("this account may not use its bulk provider") from None
        if found is not None:
            break
    if not isinstance(found, dict) or found.get("provider") != PROVIDER:
        raise Absent("this server has no bulk provider")
    if found.get("protocol") != PROTOCOL:
        raise Absent(f"its bulk provider speaks protocol {found.get('protocol')}, this admin-sync {PROTOCOL}")
    try:
        return Capability(operations=int(found["operations"]), bytes=int(found["bytes"]))
    except (KeyError, ValueError, TypeError):
        raise KeycloakProblem("the bulk provider's capability cannot be read; check its version") from None
