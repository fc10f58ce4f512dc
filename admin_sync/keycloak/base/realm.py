"""The realm itself: its settings, and its creation in one request."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from admin_sync.diff import Action, Change
from admin_sync.keycloak.adapter import Reader, Writer
from admin_sync.keycloak.base import events, flow, representation
from admin_sync.model import Json, Ref, Resource

KIND = "realm"

# What other kinds own, what the server makes up, and what would show a masked secret as a difference.
_NOT_SETTINGS = frozenset(
    {"id", "realm", "defaultRole", "clientProfiles", "clientPolicies", "requiredCredentials", "smtpServer"}
    | events.FIELDS
    | set(flow.BINDINGS.values())
)

# Keycloak answers them in no order.
_SETS = frozenset({"supportedLocales"})


def normal(settings: Mapping[str, Json]) -> dict[str, Json]:
    """Settings so that equal ones look equal."""
    return {name: sorted(value) if name in _SETS else value for name, value in settings.items()}


class RealmAdapter:
    """Reads and writes the settings of one realm. A realm is never deleted here."""

    kind = KIND

    def read(self, reader: Reader) -> Iterable[Resource]:
        """The realm's settings, or nothing if there is no such realm."""
        found = reader.representation
        if found is None:
            return
        settings = normal({name: value for name, value in found.items() if name not in _NOT_SETTINGS})
        yield Resource(Ref(KIND, reader.realm), settings, server_id=found["id"])

    def write(self, writer: Writer, change: Change) -> None:
        """Create the realm with its settings, or change them."""
        if change.action is Action.DELETE or change.after is None:
            raise ValueError("a realm is not deleted by a plan")
        if change.action is Action.CREATE and writer.connection.get(writer.path) is None:
            writer.connection.post("", {"realm": writer.realm, **change.after.attrs})
            return
        representation.change(writer, change.after.attrs)
