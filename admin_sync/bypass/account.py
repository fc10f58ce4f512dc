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
    """What an account has. `state` is `open`, `ended`, `used`, `withdrawn` or `guessed` (five wrong ones).

    `recognised_by` is the digest of both verifiers (`code.digest`), empty where they are forgotten.
    """

    request: str
    state: str
    ends: datetime
    failures: int
    recognised_by: str


@dataclass(frozen=True, slots=True)
class Kept:
    """A code of the realm that can be used or was, on the account of an address."""

    address: str
    account: str
    credential: str
    code: Code


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

    def kept(self) -> list[Kept]:
        """Every code of the realm that can be used or was; none where the realm has no extension, and so no codes."""
        told: Json = self._connection.get(f"/{self._realm}/tradepulse-bypass/codes")
        return [Kept(one["address"].lower(), one["user"], one["credential"], _read(one["code"])) for one in told or ()]

    def close(self, kept: Kept) -> None:
        """Close a code, if it is open still."""
        place = f"/{self._realm}/tradepulse-bypass/users/{segment(kept.account)}"
        self._connection.delete(f"{place}/{segment(kept.code.request)}")

    def forget(self, kept: Kept) -> None:
        """End the sessions of the account that used a code, and take away what is left of the code."""
        place = f"/{self._realm}/users/{segment(kept.account)}"
        self._connection.post(f"{place}/logout")
        self._connection.delete(f"{place}/credentials/{segment(kept.credential)}")

    def withdraw(self, address: str, request: str) -> Code | None:
        """Close the code of a request, if it is open; None if the account's code is not of that request."""
        place = self._place(address)
        self._connection.delete(f"{place}/{segment(request)}")
        found = self._code(place)
        return found if found is not None and found.request == request else None

    def _code(self, place: str) -> Code | None:
        told: Json = self._connection.get(place)
        return None if told is None else _read(told)

    def _place(self, address: str) -> str:
        found = self._connection.get(f"/{self._realm}/users", email=address, exact=True) or []
        if len(found) != 1:
            raise NoAccount(
                f"{self._realm} has {len(found)} accounts of {address}; a federated one appears with its first login"
            )
        return f"/{self._realm}/tradepulse-bypass/users/{segment(found[0]['id'])}"


def _read(told: Json) -> Code:
    ends = datetime.fromtimestamp(told["ends"], UTC)
    return Code(told["request"], told["state"], ends, told["failures"], told["recognised_by"])


def _refused(problem: Refused) -> CodeRefused | Refused:
    with suppress(ValueError, KeyError, TypeError):
        told = json.loads(problem.body)
        return CodeRefused(told["error"], told["message"])
    return problem
