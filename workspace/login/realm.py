"""What we ask of the realm: tokens for a code, tokens for a refresh token, the end of a session.

As the client `tradepulse`, by an assertion that our key signs (RFC 7523 section 2.2); no shared secret exists.
Answers are bounded in time and size, and both tokens are verified before anything is believed (`identity.login`).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

import httpx

from identity.client_key import ClientKey
from identity.jwks import JwksCache
from identity.jws import ALGORITHMS, parse
from identity.login.errors import LoginFailed
from identity.login.provider import Provider
from identity.login.registration import Registration, Wanted
from identity.login.tokens import Tokens, accepted
from identity.outbound import OutboundError, Reply, exchange
from identity.principal import Principal
from identity.reject import TokenRejected
from identity.strict_json import StrictJsonError, loads_object

_SECONDS: Final = 8.0
_MOST: Final = 65_536
_LONGEST_TOKEN: Final = 16_384


class RealmAway(Exception):
    """Keycloak does not answer, or answers that it cannot now. `retry_after` is in seconds."""

    retry_after = 3


class SessionOver(Exception):
    """The realm knows of no such session any more: it was ended there, or its refresh token was used already."""


class Realm:
    """One realm's token endpoint, as one confidential client."""

    def __init__(self, http: httpx.AsyncClient, registration: Registration, key: ClientKey, keys: JwksCache) -> None:
        self._http = http
        self._key = key
        self._keys = keys
        self.registration = registration
        base = f"{registration.issuer}/protocol/openid-connect"
        # Keycloak's own places: what could be discovered stands in the issuer's name already.
        self.provider = Provider(
            registration.issuer, f"{base}/auth", f"{base}/token", f"{base}/certs", None, None, f"{base}/logout", True
        )

    async def redeem(self, code: str, verifier: str, redirect_uri: str, *, wanted: Wanted, nonce: str) -> Tokens:
        """The tokens for a code. Raises LoginFailed, RealmAway and KeysUnavailable."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "code_verifier": verifier,
            "redirect_uri": redirect_uri,
        }
        sent = time.time()
        reply = await self._post(self.provider.token, form)
        tokens, _ = await self._judged(_document(reply), wanted, nonce, sent)
        return tokens

    async def renew(self, tokens: Tokens) -> tuple[Tokens, Principal]:
        """The next tokens of a session. Raises SessionOver, LoginFailed, RealmAway and KeysUnavailable."""
        if tokens.refresh is None:
            raise SessionOver
        sent = time.time()
        reply = await self._post(
            self.provider.token, {"grant_type": "refresh_token", "refresh_token": tokens.refresh.text()}
        )
        document = _document(reply)
        if reply.status == 400 and document.get("error") == "invalid_grant":
            raise SessionOver
        renewed, principal = await self._judged(document, Wanted(), None, sent)
        if renewed.subject != tokens.subject:
            raise SessionOver
        return renewed, principal

    async def end(self, tokens: Tokens) -> None:
        """End the session in the realm, for all its applications. Raises RealmAway."""
        if tokens.refresh is not None:
            # Not by the browser: its address would have to carry the id token.
            reply = await self._post(
                f"{self.registration.issuer}/protocol/openid-connect/logout", {"refresh_token": tokens.refresh.text()}
            )
            over = reply.status == 400 and _document(reply).get("error") == "invalid_grant"
            if reply.status not in (200, 204) and not over:
                raise RealmAway(f"the realm ends no session: it answers {reply.status}")

    async def _judged(
        self, document: Mapping[str, Any], wanted: Wanted, nonce: str | None, sent: float
    ) -> tuple[Tokens, Principal]:
        keys = {}
        for name in ("access_token", "id_token"):
            token = document.get(name)
            if isinstance(token, str):
                try:
                    parsed = parse(token, algorithms=ALGORITHMS, max_bytes=_LONGEST_TOKEN)
                    keys[parsed.key_id] = await self._keys.find(parsed.key_id)
                except TokenRejected:
                    # Without its key `accepted` refuses the token, and says so.
                    continue
        return accepted(document, keys, self.registration, wanted=wanted, nonce=nonce, now=sent)

    async def _post(self, url: str, form: Mapping[str, str]) -> Reply:
        body = urlencode({**form, **self._key.form(time.time())}).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        try:
            reply = await exchange(
                self._http, "POST", url, content=body, headers=headers, max_bytes=_MOST, timeout=_SECONDS
            )
        except OutboundError as problem:
            raise RealmAway(str(problem)) from None
        if reply.status >= 500 or reply.status == 429:
            raise RealmAway(f"the realm answers {reply.status}")
        return reply


def _document(reply: Reply) -> Mapping[str, Any]:
    try:
        return loads_object(reply.body, max_bytes=_MOST)
    except StrictJsonError:
        return {}


__all__ = ["LoginFailed", "Realm", "RealmAway", "SessionOver"]
