"""An external token, checked by the rules of the provider that issued it.

signature by the provider's keys ─▶ kind ─▶ iss, aud, azp ─▶ times ─▶ VerifiedIdentity

The two kinds of token are signed by the same keys and look alike, and taking one for the other is an
old attack (OpenID Connect Core section 2, RFC 9068 section 2.1, RFC 8725 section 3.12). So a token has
to bear no mark of a kind that the provider's rule does not accept. Refresh, logout and security event
tokens are never accepted, and one that is bound to its sender's key (`cnf`) would lose that binding.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from typing import Any

from identity.claims import moment
from identity.jwks import JwksCache
from identity.jws import Parsed, check_signature
from identity.reject import RejectReason, TokenRejected
from session_broker.access import ProviderRule, TokenKind
from session_broker.verify import VerifiedIdentity

_LEEWAY = 30
"""Seconds that clocks may differ."""

_MAX_TEXT = 512
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")

_ACCESS_TYPES = frozenset({"at+jwt", "application/at+jwt"})
_PLAIN_TYPES = frozenset({"jwt"})
_ID_MARKS = frozenset({"nonce", "at_hash", "c_hash", "s_hash"})
_ACCESS_MARKS = frozenset({"scope", "scp", "azpacr", "appidacr", "idtyp"})
_NEVER = frozenset({"events", "toe", "txn"})
"""Claims of security event and logout tokens (RFC 8417); no ID or access token has them."""

_PURPOSES = {"ID": TokenKind.ID, "Bearer": TokenKind.ACCESS}
"""What a provider that is a Keycloak says in `typ`; its refresh and logout tokens say something else."""


class ExternalVerifier:
    """Verifies tokens of one provider. `name_of` names a token in audit lines; `clock` returns unix seconds."""

    def __init__(
        self,
        name: str,
        rule: ProviderRule,
        keys: JwksCache,
        name_of: Callable[[str], str],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._name = name
        self._rule = rule
        self._keys = keys
        self._name_of = name_of
        self._clock = clock

    async def verify(self, token: str, parsed: Parsed, audience: str) -> VerifiedIdentity:
        """The identity that the token proves; which of our services it is for, its issuer cannot know.

        Raises `TokenRejected` and `KeysUnavailable`.
        """
        del audience
        if parsed.algorithm not in self._rule.algorithms:
            raise TokenRejected(RejectReason.ALGORITHM_REFUSED)
        check_signature(parsed, await self._keys.find(parsed.key_id))
        claims = parsed.claims
        _check_kind(parsed, self._rule.accepts)
        if claims.get("iss") != self._rule.issuer:
            raise TokenRejected(RejectReason.ISSUER_REFUSED)
        _check_audience(claims, self._rule)
        _check_clients(claims, self._rule)
        issued_at, expires_at = self._times(claims)
        if "cnf" in claims:
            raise TokenRejected(RejectReason.SENDER_CONSTRAINED)
        return VerifiedIdentity(
            provider=self._name,
            issuer=self._rule.issuer,
            subject=_text(claims, "sub"),
            session=_text(claims, "sid") if "sid" in claims else None,
            issued_at=issued_at,
            expires_at=expires_at,
            token_name=self._name_of(token),
        )

    def _times(self, claims: Mapping[str, Any]) -> tuple[int, int]:
        now = self._clock()
        issued_at, expires_at = moment(claims, "iat"), moment(claims, "exp")
        if now >= expires_at + _LEEWAY or now >= issued_at + self._rule.max_age + _LEEWAY:
            raise TokenRejected(RejectReason.EXPIRED)
        if issued_at > now + _LEEWAY:
            raise TokenRejected(RejectReason.ISSUED_IN_FUTURE)
        if "nbf" in claims and moment(claims, "nbf") > now + _LEEWAY:
            raise TokenRejected(RejectReason.NOT_YET_VALID)
        return issued_at, expires_at


def _check_kind(parsed: Parsed, accepted: frozenset[TokenKind]) -> None:
    claims, header = parsed.claims, (parsed.type or "jwt").lower()
    if not _NEVER.isdisjoint(claims):
        raise TokenRejected(RejectReason.PURPOSE_REFUSED)
    if header not in _ACCESS_TYPES | _PLAIN_TYPES:
        raise TokenRejected(RejectReason.TYPE_REFUSED)
    marks: set[TokenKind | None] = set()
    if header in _ACCESS_TYPES or not _ACCESS_MARKS.isdisjoint(claims):
        marks.add(TokenKind.ACCESS)
    if not _ID_MARKS.isdisjoint(claims):
        marks.add(TokenKind.ID)
    if "typ" in claims:
        marks.add(_PURPOSES.get(claims["typ"]) if isinstance(claims["typ"], str) else None)
    # Marks of both kinds, or of none that we know, are no kind at all.
    if not marks <= set(accepted) or len(marks) > 1:
        raise TokenRejected(RejectReason.PURPOSE_REFUSED)


def _check_audience(claims: Mapping[str, Any], rule: ProviderRule) -> None:
    audience = claims.get("aud")
    only = audience[0] if isinstance(audience, list) and len(audience) == 1 else audience
    # One audience: a token that is also for somebody else could be replayed to us by them.
    if not isinstance(only, str) or only not in rule.audiences:
        raise TokenRejected(RejectReason.AUDIENCE_REFUSED)


def _check_clients(claims: Mapping[str, Any], rule: ProviderRule) -> None:
    named = [claims[name] for name in ("azp", "client_id", "appid") if name in claims]
    if rule.clients is not None and (not named or any(client not in rule.clients for client in named)):
        raise TokenRejected(RejectReason.CLIENT_REFUSED)


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    if value is None:
        raise TokenRejected(RejectReason.CLAIM_MISSING)
    if not isinstance(value, str) or not 0 < len(value) <= _MAX_TEXT or _CONTROL.search(value):
        raise TokenRejected(RejectReason.CLAIM_MALFORMED)
    return value
