"""A broker's endpoints: spelt out in the configuration, or discovered from its issuer (RFC 8414) and remembered."""

from __future__ import annotations

import time
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import orjson

from identity.outbound import OutboundError, exchange
from vault_api.brokers.schemas import Broker

_MAX_BYTES = 262_144


class BrokerUnavailable(Exception):
    """The broker gave no usable answer; trying again later may help. `sent`: it may have acted all the same."""

    retry_after = 10

    def __init__(self, reason: str, *, sent: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.sent = sent


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """Where a broker answers. `issuer_in_response`: it says who it is when it redirects (RFC 9207)."""

    issuer: str | None
    authorize: str
    token: str
    revoke: str | None
    issuer_in_response: bool


class Metadata:
    """Endpoints by issuer, remembered for `seconds`."""

    def __init__(
        self, http: httpx.AsyncClient, *, seconds: float = 600.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._http = http
        self._seconds = seconds
        self._clock = clock
        self._known: dict[str, tuple[float, Endpoints]] = {}

    async def of(self, broker: Broker) -> Endpoints:
        """The endpoints of a broker. Raises BrokerUnavailable."""
        if broker.issuer is None:
            return Endpoints(
                issuer=None,
                authorize=str(broker.authorize_url),
                token=str(broker.token_url),
                revoke=broker.revoke_url,
                issuer_in_response=False,
            )
        known = self._known.get(broker.issuer)
        if known is not None and self._clock() - known[0] < self._seconds:
            return known[1]
        try:
            found = await self._discover(broker.issuer)
        except BrokerUnavailable:
            if known is None:
                raise
            # Endpoints hardly ever move; a broker whose metadata is away may still answer at them.
            return known[1]
        self._known[broker.issuer] = (self._clock(), found)
        return found

    async def _discover(self, issuer: str) -> Endpoints:
        parts = urllib.parse.urlsplit(issuer)
        path = parts.path.rstrip("/")
        for where in (f"/.well-known/oauth-authorization-server{path}", f"{path}/.well-known/openid-configuration"):
            url = urllib.parse.urlunsplit(parts._replace(path=where))
            try:
                reply = await exchange(self._http, "GET", url, max_bytes=_MAX_BYTES, timeout=5.0)
            except (OutboundError, httpx.InvalidURL):
                raise BrokerUnavailable("metadata_unreachable") from None
            if reply.status == 200:
                return _endpoints(reply.body, issuer)
        raise BrokerUnavailable("metadata_missing")


def _endpoints(body: bytes, issuer: str) -> Endpoints:
    try:
        document: Any = orjson.loads(body)
        # Section 3.3: metadata that says it is of another issuer is of another issuer.
        if document["issuer"] != issuer:
            raise BrokerUnavailable("metadata_of_another_issuer")
        authorize, token = document["authorization_endpoint"], document["token_endpoint"]
        revoke = document.get("revocation_endpoint")
        if not all(isinstance(url, str) for url in (authorize, token)) or not isinstance(revoke, str | None):
            raise BrokerUnavailable("metadata_malformed")
        # The first of them is where a browser is sent; `javascript:` is an address too.
        schemes = {urllib.parse.urlsplit(url).scheme for url in (authorize, token, revoke) if url is not None}
        if not schemes <= {"https", urllib.parse.urlsplit(issuer).scheme}:
            raise BrokerUnavailable("metadata_malformed")
        said = document.get("authorization_response_iss_parameter_supported") is True
    except (ValueError, KeyError, TypeError):
        raise BrokerUnavailable("metadata_malformed") from None
    return Endpoints(issuer=issuer, authorize=authorize, token=token, revoke=revoke, issuer_in_response=said)
