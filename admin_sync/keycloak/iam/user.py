"""Accounts of people, called by e-mail address in lower case.

Who they are linked to upstream is read by provider, not by person: a request for each provider that
maps groups, and pages, instead of a request for each account.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from admin_sync.diff import Action, Change
from admin_sync.keycloak.adapter import Reader, Writer, attribute, is_managed
from admin_sync.keycloak.connection import Refused
from admin_sync.model import MANAGED_ATTRIBUTE, Json, Ref, Resource
from admin_sync.refs import USER


class UserAdapter:
    """Reads accounts; creates and deletes those of local people, disables those of people who are barred."""

    kind = USER

    def read(self, reader: Reader) -> Iterable[Resource]:
        """Every account that has an e-mail address."""
        mapping = {found["identityProviderAlias"] for found in reader.export.get("identityProviderMappers") or ()}
        linked: dict[str, list[str]] = {}
        for alias, people in reader.linked_users(sorted(mapping)).items():
            for found in people:
                linked.setdefault(found["id"], []).append(alias)
        for found in reader.users:
            if not found.get("email"):
                continue
            attrs = {
                "email": found["email"].lower(),
                "email_verified": found.get("emailVerified", False),
                "enabled": found.get("enabled", False),
                "providers": linked.get(found["id"], []),
                "managed_by": attribute(found, MANAGED_ATTRIBUTE),
            }
            yield Resource(Ref(USER, found["email"].lower()), attrs, server_id=found["id"], managed=is_managed(found))

    def write(self, writer: Writer, change: Change) -> None:
        """Create an account without a password, delete one of ours, or disable one."""
        if change.action is Action.DELETE:
            assert change.before is not None  # noqa: S101
            writer.connection.delete(f"{writer.path}/users/{change.before.server_id}")
            return
        assert change.after is not None  # noqa: S101
        wanted = change.after.attrs
        if change.action is Action.UPDATE:
            assert change.before is not None  # noqa: S101
            # Keycloak leaves everything as it is that a representation of an account does not name.
            writer.connection.put(f"{writer.path}/users/{change.before.server_id}", {"enabled": wanted["enabled"]})
            return
        body = representation(wanted)
        try:
            writer.remember(change.ref, writer.connection.post(f"{writer.path}/users", body))
        except Refused as problem:
            if problem.status != 409:
                raise
            # Made by an attempt whose answer was lost; anything else that takes the name is an error, because
            # whoever made an account of that address meanwhile is not the person who gets its grants.
            place, email = f"{writer.path}/users", wanted["email"]
            listed = writer.connection.get(place, email=email, exact=True, briefRepresentation=False) or ()
            made = next((one for one in listed if is_managed(one)), None)
            if made is None:
                raise
            writer.remember(change.ref, made["id"])


def representation(wanted: Mapping[str, Json]) -> dict[str, Json]:
    """A new account as Keycloak takes it: no password, and something to do at the first login."""
    return {
        "username": wanted["email"],
        "email": wanted["email"],
        "emailVerified": wanted["email_verified"],
        "enabled": True,
        "requiredActions": wanted["required_actions"],
        "attributes": {MANAGED_ATTRIBUTE: [wanted["managed_by"]]},
    }
