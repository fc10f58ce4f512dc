"""Our own services' access tokens: client credentials, authenticated by a signed assertion (`client_key.py`)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

import httpx

from identity.client_key import ClientKey, public_jwks
from identity.outbound import OutboundError, exchange
from identity.secret import Secret
from identity.strict_json import StrictJsonError, loads_object

__all__ = ["ServiceToken", "ServiceTokenUnavailable", "public_jwks"]

_TOKEN_PATH = "/protocol/openid-connect/token"  # noqa: S105 - a path
_RENEW_AT = 0.8
_MAX_BYTES = 65_536


class ServiceTokenUnavailable(Exception):
    """The identity provider gave no token. `retry_after` is in seconds; the text says what to check."""

    retry_after = 5


class ServiceToken:
    """A bearer token of one service, renewed at 80 % of its life; many callers share one request.

    `key_pem` is an EC P-256 (ES256) or RSA (RS256) private key of at least 2048 bits, without a
    password. `audience` of the assertion is the issuer; by default it is derived from a Keycloak
    `token_url`. `key_id` is by default the key's RFC 7638 thumbprint, as in `public_jwks`.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        token_url: str,
        client_id: str,
        key_pem: Secret | bytes | str,
        *,
        audience: str | None = None,
        key_id: str | None = None,
        scope: str | None = None,
        timeout: float = 5.0,
        cooldown: float = 1.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if audience is None and not token_url.endswith(_TOKEN_PATH):
            raise ValueError("name the audience: the token URL is not Keycloak's, so the issuer is unknown")
        self._http = http
        self._token_url = token_url
        self._client_id = client_id
        self._key = ClientKey(
            client_id, key_pem, audience=audience or token_url.removesuffix(_TOKEN_PATH), key_id=key_id
        )
        self._scope = scope
        self._timeout = timeout
        self._cooldown = cooldown
        self._clock = clock
        self._token: Secret | None = None
        # Unix seconds; both are of our clock, counted from before the request was sent.
        self._renew_at = 0.0
        self._expires_at = 0.0
        self._failed_at: float | None = None
        self._flight: asyncio.Task[None] | None = None

    async def get(self) -> str:
        """A token that is valid now. Raises `ServiceTokenUnavailable`."""
        now = self._clock()
        if self._token is not None and now < self._renew_at:
            return self._token.text()
        if self._flight is None and not self._resting(now):
            self._flight = asyncio.create_task(self._renew())
            self._flight.add_done_callback(self._landed)
        usable = self._token is not None and now < self._expires_at
        if self._flight is not None and not usable:
            # Shielded: the one who started the request may be cancelled while others wait for it.
            await asyncio.shield(self._flight)
        if self._token is None or self._clock() >= self._expires_at:
            raise ServiceTokenUnavailable(
                f"no token for {self._client_id}; see that the identity provider answers and knows the client's key"
            )
        return self._token.text()

    def invalidate(self) -> None:
        """Forget the token, because a server refused it; the next `get` asks for a new one."""
        self._token = None

    async def close(self) -> None:
        """End a renewal that is still running in the background."""
        if self._flight is not None:
            self._flight.cancel()
            await asyncio.wait([self._flight])

    def _resting(self, now: float) -> bool:
        return self._failed_at is not None and 0 <= now - self._failed_at < self._cooldown

    def _landed(self, flight: asyncio.Task[None]) -> None:
        self._flight = None
        if not flight.cancelled() and flight.exception() is not None:
            self._failed_at = self._clock()

    async def _renew(self) -> None:
        asked_at = self._clock()
        form = {
            "grant_type": "client_credentials",
            **self._key.form(asked_at),
        }
        if self._scope is not None:
            form["scope"] = self._scope
        try:
            reply = await exchange(
                self._http,
                "POST",
                self._token_url,
                content=urlencode(form).encode("ascii"),
                headers={"Content-Type": "application/x-www-form-urlencoded"},
                max_bytes=_MAX_BYTES,
                timeout=self._timeout,
            )
            answer = loads_object(reply.body)
        except (OutboundError, StrictJsonError) as error:
            raise ServiceTokenUnavailable(f"no token for {self._client_id}: {error}") from None
        if reply.status != 200:
            raise ServiceTokenUnavailable(
                f"no token for {self._client_id}: the identity provider answered {reply.status} ({_code(answer)}); "
                "see that the client exists and that its key is registered"
            )
        self._accept(answer, asked_at)

    def _accept(self, answer: Mapping[str, Any], asked_at: float) -> None:
        token, life, kind = answer.get("access_token"), answer.get("expires_in"), answer.get("token_type")
        if not isinstance(token, str) or not token or type(life) is not int or life < 1:
            raise ServiceTokenUnavailable(f"no token for {self._client_id}: the identity provider's answer has none")
        if not isinstance(kind, str) or kind.lower() != "bearer":
            raise ServiceTokenUnavailable(f"no token for {self._client_id}: it is not a bearer token")
        self._token = Secret(token)
        self._renew_at = asked_at + _RENEW_AT * life
        self._expires_at = asked_at + life
        self._failed_at = None


def _code(answer: Mapping[str, Any]) -> str:
    """The OAuth error code, which is from a fixed alphabet; the description may repeat what was sent."""
    code = answer.get("error")
    return code if isinstance(code, str) and len(code) <= 64 and code.replace("_", "").isalnum() else "no error code"
