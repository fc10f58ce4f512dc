"""The access token that admin-sync acts with: by client credentials (RFC 6749, section 4.4), renewed before it ends."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Callable, Mapping
from typing import Final, Protocol
from urllib.parse import quote, urlencode

import orjson

from admin_sync.keycloak.http import NoAnswer, Pool
from admin_sync.keycloak.problems import KeycloakProblem, NotAllowed, NotReachable

_SHARE: Final = 0.9
"""The share of a token's lifetime after which another is asked for."""


class ServiceAccount(Protocol):
    """What a connection needs to know of the account it acts as."""

    @property
    def url(self) -> str: ...
    @property
    def realm(self) -> str: ...
    @property
    def client_id(self) -> str: ...
    def credential(self) -> Mapping[str, str]: ...


class Token:
    """The current token of a service account. One thread renews it while the others wait for it."""

    def __init__(self, account: ServiceAccount, pool: Pool, clock: Callable[[], float] = time.monotonic) -> None:
        self._pool = pool
        self._target = f"/realms/{quote(account.realm, safe='')}/protocol/openid-connect/token"
        self._account = account
        self._clock = clock
        self._lock = threading.Lock()
        self._value: str | None = None
        self._renew_at = 0.0
        self._ahead: float | None = None

    def value(self, refused: str | None = None) -> str:
        """A token that holds for a while, and is not the one that was `refused`. Raises NotAllowed, NotReachable."""
        with self._lock:
            if self._value is None or self._value == refused or self._clock() >= self._renew_at:
                self._value = None
                self._value = self._ask()
            return self._value

    def time(self) -> float:
        """The time in seconds by Keycloak's own clock, as its latest token tells. Raises NotAllowed, NotReachable."""
        self.value()
        assert self._ahead is not None  # noqa: S101  (a token came)
        return self._ahead + self._clock()

    def _ask(self) -> str:
        asked = self._clock()
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        # Read anew each time: an assertion that a platform vouches with is good for minutes.
        form = {"grant_type": "client_credentials", "client_id": self._account.client_id, **self._account.credential()}
        try:
            answer = self._pool.send("POST", self._target, urlencode(form).encode(), headers)
        except NoAnswer as problem:
            raise NotReachable(f"Keycloak did not answer POST {self._target} ({problem}); check that it runs") from None
        if answer.status != 200:
            raise _problem(answer.status)
        try:
            given = orjson.loads(answer.content)
            self._renew_at = asked + _SHARE * float(given["expires_in"])
            token = str(given["access_token"])
            payload = token.split(".")[1]
            issued = float(orjson.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["iat"])
            self._ahead = issued - self._clock()
            return token
        except (ValueError, KeyError, TypeError, IndexError):
            raise NotReachable(
                "what answers at ADMIN_SYNC_KEYCLOAK_URL is not Keycloak (it gave no token); check for a proxy"
            ) from None


def _problem(status: int) -> KeycloakProblem:
    if status in (400, 401, 403):
        return NotAllowed(
            "Keycloak did not accept admin-sync's own credentials; "
            "check ADMIN_SYNC_CLIENT_ID and its secret or assertion"
        )
    return NotReachable(f"Keycloak gave no token (status {status}); check ADMIN_SYNC_KEYCLOAK_URL and its health")
