"""Logout tokens, checked as OpenID Connect Back-Channel Logout 1.0 section 2.6 asks, and a little stricter.

The token is the whole authority of the request: whoever can make one can end sessions. So it is bound
to an issuer and a client that were configured, it is no other token that the issuer signed (`events`,
no `nonce`), and it is young; whether it was used before is for whom that matters to.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from identity.claims import moment
from identity.jwks import JwksCache
from identity.jws import Parsed, check_signature
from identity.reject import RejectReason, TokenRejected

_EVENT: Final = "http://schemas.openid.net/event/backchannel-logout"
_TYPES: Final = frozenset({"logout+jwt", "jwt"})
_LEEWAY: Final = 30
_MAX_AGE: Final = 300
"""Seconds since its issue after which a logout token is not taken any more."""

_TEXT = re.compile(r"[!-~]{1,255}\Z")


@dataclass(frozen=True, slots=True)
class LogoutToken:
    """What ended: one session, or every session of a subject. `issued_at` is in unix seconds; `client` was told."""

    provider: str
    issuer: str
    session: str | None
    subject: str | None
    id: str
    issued_at: int
    client: str


@dataclass(frozen=True, slots=True)
class LogoutIssuer:
    """Who may send logout tokens: its keys, the clients they are for, and the signatures it uses."""

    provider: str
    issuer: str
    audiences: frozenset[str]
    algorithms: tuple[str, ...]
    keys: JwksCache


async def open_logout_token(
    parsed: Parsed, issuers: Mapping[str, LogoutIssuer], clock: Callable[[], float] = time.time
) -> LogoutToken:
    """The logout that a token proves. Raises `TokenRejected` and `KeysUnavailable`."""
    claims = parsed.claims
    issuer = issuers.get(claims["iss"]) if isinstance(claims.get("iss"), str) else None
    if issuer is None:
        raise TokenRejected(RejectReason.ISSUER_REFUSED)
    if parsed.algorithm not in issuer.algorithms:
        raise TokenRejected(RejectReason.ALGORITHM_REFUSED)
    check_signature(parsed, await issuer.keys.find(parsed.key_id))
    if (parsed.type or "jwt").lower() not in _TYPES:
        raise TokenRejected(RejectReason.TYPE_REFUSED)
    events = claims.get("events")
    if "nonce" in claims or not isinstance(events, dict) or not isinstance(events.get(_EVENT), dict):
        raise TokenRejected(RejectReason.PURPOSE_REFUSED)
    audience = claims.get("aud")
    only = audience[0] if isinstance(audience, list) and len(audience) == 1 else audience
    if not isinstance(only, str) or only not in issuer.audiences:
        raise TokenRejected(RejectReason.AUDIENCE_REFUSED)
    issued_at = _issued_at(claims, clock())
    session, subject = _text(claims, "sid"), _text(claims, "sub")
    identifier = _text(claims, "jti")
    if identifier is None or (session is None and subject is None):
        raise TokenRejected(RejectReason.CLAIM_MISSING)
    return LogoutToken(issuer.provider, issuer.issuer, session, subject, identifier, issued_at, only)


def _issued_at(claims: Mapping[str, Any], now: float) -> int:
    issued_at = moment(claims, "iat")
    if now >= issued_at + _MAX_AGE + _LEEWAY or ("exp" in claims and now >= moment(claims, "exp") + _LEEWAY):
        raise TokenRejected(RejectReason.EXPIRED)
    if issued_at > now + _LEEWAY:
        raise TokenRejected(RejectReason.ISSUED_IN_FUTURE)
    return issued_at


def _text(claims: Mapping[str, Any], name: str) -> str | None:
    if name not in claims:
        return None
    value = claims[name]
    if not isinstance(value, str) or not _TEXT.match(value):
        raise TokenRejected(RejectReason.CLAIM_MALFORMED)
    return value
