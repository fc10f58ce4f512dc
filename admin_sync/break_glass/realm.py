"""An emergency account in one realm. Each call looks first or replaces, so each may be made again after a crash.

The account is not of those that admin-sync marks as its own: a plan never deletes it, and never makes one. It has no
attributes, no name and no required action; the password is set by the one call of Keycloak's that records no
representation, and of the key only its public half goes over the wire.
"""

from __future__ import annotations

from typing import Any

from admin_sync.break_glass.accounts import address
from admin_sync.break_glass.credential import Credential
from admin_sync.errors import AdminSyncError
from admin_sync.keycloak.connection import Connection, segment


class AccountUnusable(AdminSyncError):
    """What stands in the realm under the account's name is not as it has to be; the text says what to do."""


class RealmAccount:
    """The account in a realm, through an admin connection. Every method raises KeycloakProblem."""

    def __init__(self, connection: Connection, realm: str, account: str) -> None:
        self._connection = connection
        self._users = f"/{segment(realm)}/users"
        self.realm = realm
        self.username = address(account)

    def found(self) -> dict[str, Any] | None:
        """The account as the realm has it."""
        listed = self._connection.get(self._users, username=self.username, exact=True) or ()
        return next((dict(one) for one in listed if one["username"] == self.username), None)

    def enabled(self) -> bool:
        """Whether somebody could log in with it; no for an account that is not there."""
        found = self.found()
        return found is not None and bool(found.get("enabled"))

    def lock(self) -> str:
        """Have the account, disabled and without a session, and nothing of what an opening may have left behind.

        Disabled first: what is ended after that cannot begin anew. Logging out also sets the time before which no
        token of the account counts, so an offline token does not come to life with the next opening.
        """
        identity = self._present()
        place = f"{self._users}/{identity}"
        self._connection.put(
            place,
            {
                "username": self.username,
                "email": self.username,
                "emailVerified": True,
                "enabled": False,
                "requiredActions": [],
            },
        )
        self._connection.post(f"{place}/logout")
        for consent in self._connection.get(f"{place}/consents") or ():
            self._connection.delete(f"{place}/consents/{segment(consent['clientId'])}")
        for link in self._connection.get(f"{place}/federated-identity") or ():
            # A link is a way in that no sealed credential guards.
            self._connection.delete(f"{place}/federated-identity/{segment(link['identityProvider'])}")
        return identity

    def take(self, credential: Credential) -> None:
        """Put a credential in force, and every other one out of it. The account has to be locked."""
        identity = self.lock()
        place = f"{self._users}/{identity}"
        for held in self._connection.get(f"{place}/credentials") or ():
            if held["type"] != "password":
                self._connection.delete(f"{place}/credentials/{segment(held['id'])}")
        self._connection.put(
            f"{place}/reset-password", {"type": "password", "value": credential.password.text(), "temporary": False}
        )
        self._connection.put(place, {"credentials": [credential.key.stored()]})

    def enable(self) -> None:
        """Let its credential log in. Raises AccountUnusable where there is no account to enable."""
        found = self.found()
        if found is None:
            raise AccountUnusable(
                f"{self.realm} has no account {self.username}; make it with `admin-sync break-glass seal`"
            )
        if not found.get("enabled"):
            self._connection.put(f"{self._users}/{found['id']}", {"enabled": True})

    def _present(self) -> str:
        found = self.found()
        if found is not None:
            return str(found["id"])
        made = self._connection.post(
            self._users,
            {"username": self.username, "email": self.username, "emailVerified": True, "enabled": False},
        )
        if made is None:
            raise AccountUnusable(f"{self.realm}: Keycloak did not say where it made {self.username}; try again")
        return made
