"""Sessions, offline tokens and consents. With a session ends what was admitted and borrowed in it.

Keycloak tells every client that has a `logout_url` of each session that ends (OpenID Connect Back-Channel
Logout 1.0), so the session broker drops what it admitted and has the vault end the session's leases.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from admin_sync.keycloak.connection import Connection, Refused, segment
from admin_sync.model import Json
from admin_sync.offboarding.case import Account, Case, Item


class Sessions:
    """Ends every session of the person, and refuses what was issued before."""

    code = "sessions"
    says = "sessions ended, refresh tokens with them"

    def places(self, case: Case) -> Sequence[str]:
        """Every environment."""
        return case.environments

    def look(self, case: Case, place: str) -> Sequence[Item]:
        """Accounts that have sessions."""
        return [item for one in case.accounts(place) for item in self._of(case, place, one)]

    def _of(self, case: Case, place: str, account: Account) -> Iterator[Item]:
        listed = sessions_of(case.connection, case.path(place), account.id)
        if listed:
            yield Item(f"sessions of {account.username}", {"id": account.id, "sessions": listed})

    def take(self, case: Case, place: str, item: Item) -> Mapping[str, Json]:
        """End all sessions of an account at once; tokens from before are refused by whoever asks Keycloak."""
        case.connection.post(f"{case.path(place)}/users/{item.detail['id']}/logout")
        return {}

    def left(self, case: Case, place: str) -> Sequence[Item]:
        """The same, asked anew."""
        return self.look(case, place)


class OfflineAccess:
    """Takes back consents, and the offline tokens that outlive every session."""

    code = "offline"
    says = "offline tokens and consents revoked"

    def places(self, case: Case) -> Sequence[str]:
        """Every environment."""
        return case.environments

    def look(self, case: Case, place: str) -> Sequence[Item]:
        """Clients that hold an offline token or a consent of the person's."""
        return [
            Item(
                f"client {one['clientId']} for {account.username}",
                {"id": account.id, "client": one["clientId"], "offline_token": bool(one.get("additionalGrants"))},
            )
            for account in case.accounts(place)
            for one in case.connection.get(f"{case.path(place)}/users/{account.id}/consents") or ()
        ]

    def take(self, case: Case, place: str, item: Item) -> Mapping[str, Json]:
        """Revoke what one client holds; Keycloak ends the offline sessions with it."""
        client = segment(item.detail["client"])
        case.connection.delete(f"{case.path(place)}/users/{item.detail['id']}/consents/{client}")
        return {}

    def left(self, case: Case, place: str) -> Sequence[Item]:
        """The same, asked anew."""
        return self.look(case, place)


def sessions_of(connection: Connection, path: str, account: str) -> list[Json]:
    """The sessions of an account: id, start and last use in UTC, address and clients. Raises KeycloakProblem."""
    return [
        {
            "session": one["id"],
            "started": _moment(one.get("start")),
            "last_used": _moment(one.get("lastAccess")),
            "ip": one.get("ipAddress"),
            "clients": sorted((one.get("clients") or {}).values()),
        }
        for one in connection.get(f"{path}/users/{account}/sessions") or ()
    ]


def end_sessions_of(connection: Connection, path: str, account: str) -> None:
    """End the sessions of an account and its offline ones. Raises KeycloakProblem; safe to repeat."""
    connection.post(f"{path}/users/{account}/logout")
    for one in connection.get(f"{path}/users/{account}/consents") or ():
        if one.get("additionalGrants"):
            try:
                connection.delete(f"{path}/users/{account}/consents/{segment(one['clientId'])}")
            except Refused as problem:
                # Somebody else revoked it meanwhile.
                if problem.status != 404:
                    raise


def _moment(milliseconds: Json) -> str | None:
    return None if milliseconds is None else datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat()
