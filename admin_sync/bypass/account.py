"""The emergency code of an account in Keycloak: opened, looked at, withdrawn. The extension's `tradepulse-bypass`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from admin_sync.bypass.code import Verifier
from admin_sync.errors import AdminSyncError
from admin_sync.keycloak.connection import Connection, segment
from admin_sync.keycloak.problems import Refused
from admin_sync.model import Json


class NoAccount(AdminSyncError):
    """The realm has no account, or several, of an address."""


class CodeRefused(AdminSyncError):
    """Keycloak does not open a code; `code` is stable: `another_open`, `bad_end`, `malformed`, `not_now`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


@dataclass(frozen=True, slots=True)
class Code:
    """What an account has. `state` is `open`, `ended`, `used`, `withdrawn` or `guessed` (five wrong ones)."""

    request: str
    state: str
    ends: datetime
    failures: int


class Accounts:
    """Emergency codes in one realm. Every call raises KeycloakProblem and NoAccount."""

    def __init__(self, connection: Connection, realm: str) -> None:
        self._connection = connection
        self._realm = realm

    def open(self, address: str, request: str, ends: datetime, halves: Sequence[Verifier]) -> Code:
        """Open a code until an instant; sent again, it opens no second one. Raises CodeRefused."""
        place = self._place(address)
        order = {
            "request": request,
            # Rounded down: it never lasts a moment longer than was approved.
            "ends": int(ends.timestamp()),
            "verifiers": [half.model_dump() for half in halves],
        }
        try:
            self._connection.put(place, order)
        except Refused as problem:
            raise _refused(problem) from None
        found = self._code(place)
        if found is None:
            raise CodeRefused("not_now", "Keycloak opened it and does not know it; look at the account and try again")
        return found

    def find(self, address: str) -> Code | None:
        """The account's latest code, None if it never had one."""
        return self._code(self._place(address))

    def withdraw(self, address: str, request: str) -> Code | None:
        """Close the code of a request, if it is open; None if the account's code is not of that request."""
        place = self._place(address)
        self._connection.delete(f"{place}/{segment(request)}")
        found = self._code(place)
        return found if found is not None and found.request == request else None

    def _code(self, place: str) -> Code | None:
        told: Json = self._connection.get(place)
        if told is None:
            return None
        return Code(told["request"], told["state"], datetime.fromtimestamp(told["ends"], UTC), told["failures"])

    def _place(self, address: str) -> str:
        found = self._connection.get(f"/{self._realm}/users", email=address, exact=True) or []
        if len(found) != 1:
            raise NoAccount(
                f"{self._realm} has {len(found)} accounts of {address}; a federated one appears with its first login"
            )
        return f"/{self._realm}/tradepulse-bypass/users/{segment(found[0]['id'])}"


def _refused(problem: Refused) -> CodeRefused | Refused:
    with suppress(ValueError, KeyError, TypeError):
        told = json.loads(problem.body)
        return CodeRefused(told["error"], told["message"])
    return problem
