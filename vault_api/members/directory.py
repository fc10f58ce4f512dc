"""Keycloak's side of a partner's members: the admin API extension `tradepulse-members`, asked as the vault.

It can do what is here and nothing else of organizations (decision 0069).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

import httpx
import orjson
import structlog

from identity.outbound import OutboundError, exchange
from identity.service_token import ServiceToken, ServiceTokenUnavailable
from identity.strict_json import StrictJsonError, loads_object
from identity.trace import outgoing_headers

_MAX_BYTES = 4 * 1_048_576

_ALL = "-"
"""What stands for all partners: none can be called that."""

_log = structlog.get_logger("vault_api.members")


class DirectoryUnavailable(Exception):
    """Keycloak does not answer, or not as it should; whether it did what it was asked is not known."""

    retry_after = 5


class DirectoryRefused(Exception):
    """Keycloak says no, and did nothing. `code` is stable."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(f"{status} {code}")
        self.status = status
        self.code = code


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody as Keycloak knows them; `roles` are those in one partner, each with its end."""

    id: str
    email: str | None
    name: str
    enabled: bool
    member: bool
    declared: bool
    factors: frozenset[str]
    roles: Sequence[tuple[str, datetime | None]]


@dataclass(frozen=True, slots=True)
class Partner:
    """A partner as Keycloak knows it."""

    name: str
    domains: Sequence[str]
    roles: Sequence[str]
    members: Sequence[Account]


@dataclass(frozen=True, slots=True)
class Ended:
    """A role that was taken out because it was over."""

    partner: str
    account: str
    email: str
    role: str


class Directory:
    """Every method raises DirectoryUnavailable and DirectoryRefused. `admin_url` ends in `/admin/realms/<realm>`."""

    def __init__(self, http: httpx.AsyncClient, admin_url: str, token: ServiceToken, *, timeout: float = 8.0) -> None:
        self._http = http
        self._url = f"{admin_url.rstrip('/')}/tradepulse-members"
        self._token = token
        self._timeout = timeout

    async def partner(self, partner: str) -> Partner:
        """A partner, its roles, and everybody in it."""
        found = await self._ask("GET", partner)
        return Partner(
            str(found["name"]),
            tuple(map(str, found["domains"])),
            tuple(map(str, found["roles"])),
            tuple(_account(one) for one in found["members"]),
        )

    async def account(self, partner: str, email: str) -> Account | None:
        """The account of an address, member or not."""
        try:
            return _account(await self._ask("GET", partner, "accounts", query={"email": email}))
        except DirectoryRefused as refused:
            if refused.code == "unknown_account":
                return None
            raise

    async def make(  # noqa: PLR0917 - a person
        self, partner: str, email: str, name: tuple[str, str], password: str, role: str, until: datetime | None
    ) -> Account:
        """An account for somebody of the partner, with a role."""
        body = {
            "email": email, "first_name": name[0], "last_name": name[1], "password": password, "role": role,
            "until": _seconds(until),
        }  # fmt: skip
        return _account(await self._ask("POST", partner, "people", body=body))

    async def give(self, partner: str, account: str, role: str, until: datetime | None) -> Account:
        """Gives a role, and makes somebody a member."""
        return _account(
            await self._ask("PUT", partner, "people", account, "roles", role, body={"until": _seconds(until)})
        )

    async def take(self, partner: str, account: str, role: str) -> None:
        """Takes a role."""
        await self._ask("DELETE", partner, "people", account, "roles", role)

    async def remove(self, partner: str, account: str) -> None:
        """Ends a membership."""
        await self._ask("DELETE", partner, "people", account)

    async def endings(self) -> Sequence[Ended]:
        """Takes out what is over at any partner, and says what it was."""
        found = await self._ask("POST", _ALL, "endings", body={})
        return [
            Ended(str(one["partner"]), str(one["id"]), str(one["email"]), str(one["role"])) for one in found["ended"]
        ]

    async def _ask(
        self, method: str, *path: str, body: Mapping[str, Any] | None = None, query: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        url = self._url + "".join(f"/{quote(part, safe='')}" for part in path)
        if query:
            url = f"{url}?{urlencode(query)}"
        for last in (False, True):
            try:
                bearer = await self._token.get()
                reply = await exchange(
                    self._http,
                    method,
                    url,
                    headers={
                        "Authorization": f"Bearer {bearer}",
                        **({} if body is None else {"Content-Type": "application/json"}),
                        **outgoing_headers(),
                    },
                    content=None if body is None else orjson.dumps(body),
                    max_bytes=_MAX_BYTES,
                    timeout=self._timeout,
                    attempts=2 if method == "GET" else 1,
                )
            except (OutboundError, ServiceTokenUnavailable) as error:
                _log.error("members.unavailable", problem=str(error))
                raise DirectoryUnavailable(str(error)) from None
            if reply.status != 401 or last:
                break
            # The realm may have been restarted with other keys, or the account's sessions revoked.
            self._token.invalidate()
        try:
            document = dict(loads_object(reply.body, max_bytes=_MAX_BYTES)) if reply.body else {}
        except StrictJsonError:
            document = {}
        if reply.status >= 400:
            code = document.get("error")
            _log.warning("members.refused", status=reply.status, code=code)
            if not isinstance(code, str) or reply.status in (401, 403, 405) or reply.status >= 500:
                raise DirectoryUnavailable(f"Keycloak answers {reply.status}")
            raise DirectoryRefused(reply.status, code)
        return document


def _account(found: Mapping[str, Any]) -> Account:
    parts = (found.get("first_name"), found.get("last_name"))
    return Account(
        str(found["id"]),
        found.get("email"),
        " ".join(str(part) for part in parts if part),
        bool(found["enabled"]),
        bool(found["member"]),
        bool(found["declared"]),
        frozenset(map(str, found["factors"])),
        tuple((str(one["role"]), _moment(one.get("until"))) for one in found["roles"]),
    )


def _seconds(until: datetime | None) -> int | None:
    return None if until is None else int(until.timestamp())


def _moment(seconds: Any) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(int(seconds), UTC)
