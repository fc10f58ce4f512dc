"""The exchange in Keycloak: redeem the external token, then narrow what came of it to one audience.

    external token ─ RFC 7523 ─▶ token of the person, of every audience we may ask for ─ RFC 8693 ─▶ of one

Keycloak verifies the external token once more by its own configuration, finds the account that the
identity belongs to, and refuses who is disabled, not set up or unknown. What the token may prove is
decided there as well, by the executor in `realm/extension` (decision 0037). The token in between
leaves this process never.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlencode

import httpx
import structlog

from identity.client_key import ClientKey
from identity.outbound import OutboundError, Reply, exchange
from identity.secret import Secret
from identity.strict_json import StrictJsonError, loads_object
from identity.trace import outgoing_headers
from session_broker.breaker import CircuitBreaker, CircuitOpen
from session_broker.exchange import ExchangeRefused, ExchangeUnavailable, InternalToken
from session_broker.metrics import Metrics
from session_broker.verify import VerifiedIdentity

_JWT_GRANT: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_TOKEN_EXCHANGE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"  # noqa: S105 - a name
ACCESS_TOKEN_TYPE: Final = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - a name
_MAX_BYTES: Final = 65_536

_REASONS: Final[Mapping[str, str]] = {
    "User not found": "account_unknown",
    "User is not enabled": "account_disabled",
    "Account is not fully set up": "account_incomplete",
    "Account is locked": "account_locked",
    "No Identity Provider for provided issuer": "provider_unknown",
    "Identity Provider is not enabled": "provider_disabled",
    "Identity Provider is not allowed for the client": "provider_not_allowed",
    "Invalid token audience": "audience_refused",
    "Token is not active": "expired",
    "Token was issued too far in the past to be used now": "expired",
    "Token reuse detected": "reuse_refused",
    "Audience not found": "audience_unknown",
    "Sender-constrained tokens are not exchanged": "sender_constrained",
    "Invalid signature": "signature_invalid",
}
"""Keycloak's words for a refusal as codes of ours. Any other refusal has its OAuth error code."""

_OURS: Final = frozenset({"invalid_client", "unauthorized_client", "unsupported_grant_type"})
"""Errors that are about this client and not about who calls: nobody's token is refused for them."""

_log = structlog.get_logger(__name__)


class KeycloakExchange:
    """Exchanges in one realm, as one confidential client.

    `timeout` is the deadline in seconds for everything, the wait for a free place among `at_once` included.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        token_url: str,
        key: ClientKey,
        metrics: Metrics,
        *,
        breaker: CircuitBreaker,
        timeout: float,
        at_once: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._http = http
        self._token_url = token_url
        self._key = key
        self._metrics = metrics
        self._breaker = breaker
        self._timeout = timeout
        self._places = asyncio.Semaphore(at_once)
        self._clock = clock

    async def redeem(self, identity: VerifiedIdentity, token: str, audience: str) -> InternalToken:
        """See `exchange.Exchange`."""
        started = time.perf_counter()
        result = "failed"
        try:
            narrowed = await self._redeem(token, audience, f"{identity.provider} {identity.subject}")
            result = "done"
            return narrowed
        except ExchangeRefused:
            result = "refused"
            raise
        finally:
            self._metrics.exchanged(identity.provider, result, time.perf_counter() - started)

    async def _redeem(self, token: str, audience: str, whose: str) -> InternalToken:
        try:
            async with asyncio.timeout(self._timeout):
                async with self._places:
                    broad = await self._ask({"grant_type": _JWT_GRANT, "assertion": token}, whose)
                    return await self._ask(
                        {
                            "grant_type": _TOKEN_EXCHANGE,
                            "subject_token": broad.token.text(),
                            "subject_token_type": ACCESS_TOKEN_TYPE,
                            "requested_token_type": ACCESS_TOKEN_TYPE,
                            "audience": audience,
                        },
                        whose,
                    )
        except TimeoutError:
            raise ExchangeUnavailable(f"no exchange was possible within {self._timeout:g} s") from None

    async def _ask(self, form: Mapping[str, str], whose: str) -> InternalToken:
        try:
            self._breaker.enter()
        except CircuitOpen as error:
            raise ExchangeUnavailable(str(error), retry_after=error.retry_after) from None
        try:
            answer = self._understood(await self._send(form))
        except ExchangeUnavailable as problem:
            # What it stumbles over again and again may be one person's odd token, for which nobody else is to wait.
            self._breaker.failed(whose if problem.stumbled else None)
            raise
        except asyncio.CancelledError:
            # A call that outlived the deadline is cancelled, and that is the server's failure too.
            self._breaker.failed()
            raise
        except ExchangeRefused:
            self._breaker.succeeded()
            raise
        self._breaker.succeeded()
        return answer

    async def _send(self, form: Mapping[str, str]) -> Reply:
        try:
            return await exchange(
                self._http,
                "POST",
                self._token_url,
                content=urlencode({**form, **self._key.form(self._clock())}).encode("ascii"),
                headers={"Content-Type": "application/x-www-form-urlencoded", **outgoing_headers()},
                max_bytes=_MAX_BYTES,
                timeout=self._timeout,
            )
        except OutboundError as error:
            raise ExchangeUnavailable(str(error)) from None

    def _understood(self, reply: Reply) -> InternalToken:
        stumbled = reply.status == HTTPStatus.INTERNAL_SERVER_ERROR
        try:
            answer = loads_object(reply.body, max_bytes=_MAX_BYTES)
        except StrictJsonError:
            why = f"the identity provider answered {reply.status} without JSON"
            raise ExchangeUnavailable(why, stumbled=stumbled) from None
        if reply.status == 200:
            return _token(answer)
        code, described = answer.get("error"), answer.get("error_description")
        reason = _REASONS.get(described) if isinstance(described, str) else None
        if reason is not None:
            raise ExchangeRefused(reason)
        if not isinstance(code, str) or reply.status not in (400, 401, 403) or code in _OURS:
            _log.error("exchange.failed", status=reply.status, error_code=code if isinstance(code, str) else None)
            why = f"the identity provider answered {reply.status}; see that it knows this client"
            raise ExchangeUnavailable(why, stumbled=stumbled)
        # A description that we do not know may repeat what was sent, so it goes no further than this.
        raise ExchangeRefused(_plain(code))


def _token(answer: Mapping[str, Any]) -> InternalToken:
    token, life, kind = answer.get("access_token"), answer.get("expires_in"), answer.get("token_type")
    if not isinstance(token, str) or not token or type(life) is not int or life < 1:
        raise ExchangeUnavailable("the identity provider's answer holds no token that is valid now")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise ExchangeUnavailable("the identity provider's token is not a bearer token")
    return InternalToken(Secret(token), life)


def _plain(code: str) -> str:
    return code if len(code) <= 64 and code.replace("_", "").isalnum() else "refused"
