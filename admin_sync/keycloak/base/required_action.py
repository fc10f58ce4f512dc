"""Required actions: what a person may be asked to do between the login and the application."""

from __future__ import annotations

from collections.abc import Iterable

from admin_sync.diff import Change
from admin_sync.keycloak.adapter import Reader, Writer
from admin_sync.keycloak.connection import segment
from admin_sync.model import Ref, Resource

KIND = "required_action"


class RequiredActionAdapter:
    """Reads and writes required actions by alias. One that is unknown to the realm is registered first."""

    kind = KIND

    def read(self, reader: Reader) -> Iterable[Resource]:
        """Every required action of the realm."""
        if reader.representation is None:
            return
        for action in reader.export.get("requiredActions", []):
            attrs = {"enabled": action["enabled"], "default": action["defaultAction"], "priority": action["priority"]}
            yield Resource(Ref(KIND, action["alias"]), attrs)

    def write(self, writer: Writer, change: Change) -> None:
        """Register the action where the realm does not know it, then set what we manage of it."""
        if change.after is None:
            raise ValueError("a required action is not deleted")
        alias = change.ref.name
        base = f"{writer.path}/authentication"
        path = f"{base}/required-actions/{segment(alias)}"
        found = writer.connection.get(path)
        if found is None:
            writer.connection.post(f"{base}/register-required-action", {"providerId": alias, "name": alias})
            # Who only records these calls has no answer to this one.
            found = writer.connection.get(path) or {"alias": alias, "name": alias, "providerId": alias}
        wanted = change.after.attrs
        settings = {"enabled": wanted["enabled"], "defaultAction": wanted["default"], "priority": wanted["priority"]}
        writer.connection.put(path, {**found, **settings})
