"""Pure: what the answer of a token endpoint means (RFC 6749 sections 5.1 and 5.2)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from vault_api.tokens import AccessToken, RefreshToken

_CODE = re.compile(r"[a-z_]{1,40}\Z")
_SCOPE = re.compile(r"[!#-\[\]-~]{1,200}\Z")
LONGEST = 10 * 365 * 86400.0


class AnswerUnusable(Exception):
    """A success that holds no usable token. The text is a stable code and nothing of the answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenAnswer:
    """What a broker gave. `expires_in` in seconds, None where it did not say."""

    access: AccessToken = field(repr=False)
    refresh: RefreshToken | None = field(repr=False)
    expires_in: float | None
    refresh_expires_in: float | None
    scopes: tuple[str, ...] | None
    id_token: str | None = field(repr=False)


def token_answer(body: bytes) -> TokenAnswer:
    """The tokens in a 200 answer. Raises AnswerUnusable."""
    document = _object(body)
    kind = document.get("token_type", "Bearer")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise AnswerUnusable("token_type")
    try:
        access: AccessToken = AccessToken.parse(document.get("access_token"))
        given = document.get("refresh_token")
        # Some brokers send null or an empty string where they mean that the old one goes on.
        refresh: RefreshToken | None = None if given in (None, "") else RefreshToken.parse(given)
    except ValueError:
        raise AnswerUnusable("token") from None
    scope = document.get("scope")
    scopes = None
    if isinstance(scope, str):
        scopes = tuple(dict.fromkeys(scope.split()))
        if len(scopes) > 100 or not all(_SCOPE.match(each) for each in scopes):
            raise AnswerUnusable("scope")
    id_token = document.get("id_token")
    return TokenAnswer(
        access=access,
        refresh=refresh,
        expires_in=_seconds(document.get("expires_in")),
        refresh_expires_in=_seconds(document.get("refresh_expires_in", document.get("refresh_token_expires_in"))),
        scopes=scopes,
        id_token=id_token if isinstance(id_token, str) else None,
    )


def error_code(body: bytes) -> str:
    """The OAuth error of a refusal, `unreadable` where it holds none."""
    try:
        code = _object(body).get("error")
    except AnswerUnusable:
        code = None
    return code if isinstance(code, str) and _CODE.match(code) else "unreadable"


def check_id_token(
    id_token: str | None, *, issuer: str, client_id: str, nonce_hash: bytes, now: float, leeway: float = 60.0
) -> None:
    """Checks the claims of an ID token that came from the token endpoint itself.

    It was received over the connection whose name TLS checked, which OpenID Connect Core section
    3.1.3.7 (6) accepts in place of its signature. Raises AnswerUnusable.
    """
    parts = (id_token or "").split(".")
    if len(parts) != 3 or len(id_token or "") > 16_384:
        raise AnswerUnusable("id_token_missing")
    try:
        claims = _object(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except ValueError:
        raise AnswerUnusable("id_token") from None
    audience = claims.get("aud")
    audiences: Sequence[Any] = audience if isinstance(audience, list) else [audience]
    if claims.get("iss") != issuer or client_id not in audiences:
        raise AnswerUnusable("id_token_issuer_or_audience")
    if len(audiences) > 1 and claims.get("azp") != client_id:
        raise AnswerUnusable("id_token_issuer_or_audience")
    expires = claims.get("exp")
    if isinstance(expires, bool) or not isinstance(expires, int | float) or expires + leeway < now:
        raise AnswerUnusable("id_token_expired")
    nonce = claims.get("nonce")
    if not isinstance(nonce, str) or not hmac.compare_digest(hashlib.sha256(nonce.encode()).digest(), nonce_hash):
        raise AnswerUnusable("id_token_nonce")


def _object(body: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(body)
    except ValueError:
        raise AnswerUnusable("json") from None
    if not isinstance(document, dict):
        raise AnswerUnusable("json")
    return document


def _seconds(value: object) -> float | None:
    """A lifetime; some brokers write the number as text. Nonsense counts as absent."""
    if isinstance(value, str) and value.isdecimal() and len(value) < 12:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        return None
    return min(float(value), LONGEST)
