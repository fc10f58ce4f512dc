"""A small realm to change in bulk, everything about it as text, and batches written by hand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from admin_sync.keycloak.bulk.capability import place
from admin_sync.keycloak.connection import Connection
from admin_sync.keycloak.rest.reader import RestReader

NONCE = "0123456789abcdef" * 2


@dataclass(frozen=True)
class BulkRealm:
    """One realm of a test module."""

    admin: Connection
    name: str

    @property
    def path(self) -> str:
        return f"/{self.name}"

    def apply(self, *operations: dict[str, Any], admin: Connection | None = None, **more: Any) -> Any:
        """What the provider answers to a batch."""
        return (admin or self.admin).ask(f"{place(self.name)}/apply", batch(*operations, **more))

    def everything(self) -> str:
        """The realm, its people and who belongs where, by the admin API, in one order."""
        reader = RestReader(self.admin, self.name)
        export = reader.export
        roles = [role["name"] for role in export["roles"]["realm"]]
        clients = [(owner, role["name"]) for owner, listed in export["roles"]["client"].items() for role in listed]
        groups = [group["id"] for group in every(export.get("groups") or [])]
        found = {
            "representation": reader.representation,
            "export": export,
            "users": list(reader.users),
            "organizations": list(reader.organizations),
            "roles": dict(reader.role_members(roles)),
            "clients": {"/".join(one): held for one, held in reader.client_role_members(clients).items()},
            "groups": dict(reader.group_members(groups)),
        }
        return json.dumps(ordered(found), sort_keys=True, indent=1)

    def events(self) -> list[dict[str, Any]]:
        """The stored admin events, the oldest first."""
        found = self.admin.get(f"{self.path}/admin-events", max=1000)
        return sorted(found, key=lambda event: event["time"])


def batch(*operations: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A document for the provider."""
    return {"protocol": 1, "nonce": NONCE, "names": {}, "operations": list(operations), **more}


def operation(method: str, path: str, body: Any = None, **more: Any) -> dict[str, Any]:
    """One admin call of a batch."""
    found = {"ref": f"{method} {path}", "method": method, "path": path, **more}
    return found if body is None else {**found, "body": body}


def named(number: int) -> str:
    """The placeholder of a name."""
    return f"{NONCE}x{number}x"


def person(name: str, **more: Any) -> dict[str, Any]:
    """An account to create."""
    mail = f"{name}@bulk.example"
    return {"username": mail, "email": mail, "enabled": True, "emailVerified": True, **more}


def every(groups: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Groups with all below them."""
    return [found for group in groups for found in (group, *every(group.get("subGroups") or []))]


def ordered(value: Any) -> Any:
    """The same with every list in one order: Keycloak keeps most of them as sets."""
    if isinstance(value, dict):
        return {name: ordered(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return sorted((ordered(inner) for inner in value), key=lambda inner: json.dumps(inner, sort_keys=True))
    return value
