"""The clients that Keycloak makes for every realm: which of them are closed.

`iam.client` leaves them alone, because nobody declares them one by one. But each is a door with settings of
its own: `admin-cli` takes passwords, and the account console links identity providers and removes credentials
by an API that passes by the login flows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from admin_sync.diff import Change
from admin_sync.keycloak.adapter import Reader, Writer
from admin_sync.keycloak.connection import segment
from admin_sync.model import Json, Ref, Resource

KIND = "builtin_client"

CLOSED: Final = "closed"
OPEN: Final = "open"

_CLOSED: Final[Mapping[str, Json]] = {
    "enabled": False,
    "standardFlowEnabled": False,
    "implicitFlowEnabled": False,
    "directAccessGrantsEnabled": False,
    "serviceAccountsEnabled": False,
    # Keycloak's own have wildcards, which our policy for clients refuses to every client that is written.
    "redirectUris": [],
    "webOrigins": [],
}

_NAMES: Final = frozenset({"account", "account-console", "admin-cli", "security-admin-console"})


class BuiltinClientAdapter:
    """Reads all of them as open or closed, and closes. What an earlier opening looked like is not known."""

    kind = KIND

    def read(self, reader: Reader) -> Iterable[Resource]:
        """Each of Keycloak's own clients that people or programs could log in with."""
        if reader.representation is None:
            return
        for found in reader.export.get("clients") or ():
            if found["clientId"] in _NAMES:
                closed = all((found.get(name) or type(value)()) == value for name, value in _CLOSED.items())
                yield Resource(Ref(KIND, found["clientId"]), {"state": CLOSED if closed else OPEN})

    def write(self, writer: Writer, change: Change) -> None:
        """Close one. Raises LookupError if the realm has no such client."""
        if change.after is None or change.after.attrs["state"] != CLOSED:
            raise ValueError("a client of Keycloak's own is only ever closed")
        found = writer.connection.get(f"{writer.path}/clients", clientId=change.ref.name)
        if not found:
            raise LookupError(f"there is no client {change.ref.name} in {writer.realm}")
        [client] = found
        writer.connection.put(f"{writer.path}/clients/{segment(client['id'])}", {**client, **_CLOSED})
