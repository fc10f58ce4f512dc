"""Tokens of our own realm: those that callers bring, and those that an exchange made.

The rules are `identity.verify`'s, as every service of ours applies them; there is one verifier per
audience, because a token for one service is nothing to another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from identity.claims import moment
from identity.jwks import JwksCache
from identity.jws import Parsed
from identity.principal import Principal
from identity.reject import RejectReason, TokenRejected
from identity.verify import TokenPolicy, TokenVerifier
from session_broker.access import INTERNAL
from session_broker.verify import VerifiedIdentity


class InternalVerifier:
    """Verifies tokens of our realm for each of `audiences`.

    `clients` is the `azp` allow-list of the tokens that are looked at.
    """

    def __init__(
        self,
        audiences: Iterable[str],
        keys: JwksCache,
        *,
        issuer: str,
        environment: str,
        clients: frozenset[str],
        name_key: bytes | None,
        clock: Callable[[], float],
        cache_size: int,
    ) -> None:
        self._issuer = issuer
        self._by_audience = {
            audience: TokenVerifier(
                TokenPolicy(issuer=issuer, audience=audience, environment=environment, clients=clients),
                keys,
                clock,
                name_key=name_key,
                cache_size=cache_size,
            )
            for audience in audiences
        }

    async def verify(self, token: str, parsed: Parsed, audience: str) -> VerifiedIdentity:
        """See `verify.Verifier`."""
        principal = await self.principal(token, audience)
        return VerifiedIdentity(
            provider=INTERNAL,
            issuer=self._issuer,
            subject=principal.subject,
            session=principal.session,
            issued_at=moment(parsed.claims, "iat"),
            expires_at=principal.expires_at,
            token_name=principal.token_name,
            principal=principal,
        )

    async def principal(self, token: str, audience: str) -> Principal:
        """The caller of a service with that audience. Raises `TokenRejected` and `KeysUnavailable`."""
        verifier = self._by_audience.get(audience)
        if verifier is None:
            raise TokenRejected(RejectReason.AUDIENCE_REFUSED)
        return await verifier.verify(token)
