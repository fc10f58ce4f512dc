"""Speaking with a broker's token and revocation endpoints, in bounded time and size, once per call."""

from __future__ import annotations

import base64
import urllib.parse
from collections.abc import Mapping, Sequence

import httpx

from identity.outbound import OutboundError, Reply, exchange
from identity.secret import SecretUnreadable
from vault_api.brokers.answer import AnswerUnusable, TokenAnswer, error_code, token_answer
from vault_api.brokers.metadata import BrokerUnavailable, Metadata
from vault_api.brokers.schemas import Broker
from vault_api.brokers.secrets import NamedSecrets
from vault_api.tokens import AccessToken, BrokerToken, RefreshToken

ANSWER_SECONDS = 15.0
"""How long a broker may take over one answer. Every claim on a refresh lasts longer than this."""

_MAX_BYTES = 131_072


class BrokerRefused(Exception):
    """The broker said no, with an error code of OAuth; repeating the same request does not help."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class BrokerClient:
    """OAuth 2.0 towards brokers.

    http:    a client that calls public addresses only (`identity.destination`)
    seconds: the deadline of one exchange
    """

    def __init__(
        self, http: httpx.AsyncClient, metadata: Metadata, secrets: NamedSecrets, *, seconds: float = ANSWER_SECONDS
    ) -> None:
        self._http = http
        self.metadata = metadata
        self._secrets = secrets
        self._seconds = seconds

    async def redeem(self, broker: Broker, *, code: str, redirect_uri: str, verifier: str) -> TokenAnswer:
        """The tokens of an authorization code. Raises BrokerRefused, BrokerUnavailable."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
        }
        return await self._tokens(broker, form)

    async def refresh(self, broker: Broker, token: RefreshToken) -> TokenAnswer:
        """New tokens for a refresh token. Raises BrokerRefused, BrokerUnavailable."""
        return await self._tokens(broker, {"grant_type": "refresh_token", "refresh_token": token.text()})

    async def narrow(self, broker: Broker, token: AccessToken, scopes: Sequence[str]) -> TokenAnswer:
        """Another access token with no more than those scopes (RFC 8693). Raises BrokerRefused, BrokerUnavailable."""
        form = {
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "subject_token": token.text(),
            "subject_token_type": "urn:ietf:params:oauth:token-type:access_token",
            "requested_token_type": "urn:ietf:params:oauth:token-type:access_token",
            "scope": " ".join(scopes),
        }
        return await self._tokens(broker, form)

    async def revoke(self, broker: Broker, token: BrokerToken) -> bool:
        """Revokes a token (RFC 7009); False where the broker has no endpoint for it.

        Raises BrokerRefused, BrokerUnavailable.
        """
        endpoints = await self.metadata.of(broker)
        if endpoints.revoke is None:
            return False
        hint = {"token": token.text(), "token_type_hint": token.kind}
        reply = await self._post(broker, endpoints.revoke, hint)
        if reply.status == 200:
            return True
        raise self._problem(reply)

    async def _tokens(self, broker: Broker, form: Mapping[str, str]) -> TokenAnswer:
        endpoints = await self.metadata.of(broker)
        reply = await self._post(broker, endpoints.token, form)
        if reply.status == 200:
            try:
                return token_answer(reply.body)
            except AnswerUnusable as error:
                # It did something and we cannot tell what it gave.
                raise BrokerUnavailable(f"answer_unusable:{error}", sent=True) from None
        raise self._problem(reply)

    async def _post(self, broker: Broker, url: str, form: Mapping[str, str]) -> Reply:
        try:
            secret = self._secrets.read(broker.secret)
        except SecretUnreadable:
            raise BrokerUnavailable("client_secret_unreadable") from None
        # RFC 6749 section 2.3.1: both halves are form-encoded before they are put together.
        pair = f"{urllib.parse.quote_plus(broker.client_id)}:{urllib.parse.quote_plus(secret.text())}"
        try:
            return await exchange(
                self._http,
                "POST",
                url,
                content=urllib.parse.urlencode(form).encode(),
                headers={
                    "Content-Type": "application/x-www-form-urlencoded",
                    "Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}",
                },
                max_bytes=_MAX_BYTES,
                timeout=self._seconds,
            )
        except httpx.InvalidURL:
            raise BrokerUnavailable("address_invalid") from None
        except OutboundError as error:
            refused = error.kind == "DestinationRefused"
            raise BrokerUnavailable("address_refused" if refused else "no_answer", sent=error.sent) from None

    @staticmethod
    def _problem(reply: Reply) -> BrokerRefused | BrokerUnavailable:
        if reply.status in (400, 401, 403):
            code = error_code(reply.body)
            if code not in ("unreadable", "temporarily_unavailable", "server_error", "slow_down"):
                return BrokerRefused(code)
        # A redirect is an answer too: following it would carry the secret to wherever it points.
        return BrokerUnavailable(f"status_{reply.status}")
