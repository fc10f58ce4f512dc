"""Whose token is it, and is it good: tokens dispatched by issuer, each checked by that issuer's own rules.

    token ─ unverified iss ─▶ the one verifier of exactly that issuer ─▶ VerifiedIdentity

The issuer that a token claims only selects who checks it. A verifier of one issuer cannot be talked
into another's keys or audiences, and an issuer that is compared loosely ("starts with") or is not in
the access file has no verifier at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from identity.jwks import KeysUnavailable
from identity.jws import ALGORITHMS, Parsed, parse
from identity.principal import Principal
from identity.reject import RejectReason, TokenRejected

__all__ = ["Dispatch", "KeysUnavailable", "TokenRejected", "VerifiedIdentity", "Verifier"]

MAX_TOKEN_BYTES = 16_384


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedIdentity:
    """Who an incoming token speaks of, as its issuer says; the token itself is in no field.

    provider:   the name of the issuer in the access file, or `access.INTERNAL` for our own realm
    issuer, subject, session: as in the token; `session` is its `sid`, where it has one
    issued_at, expires_at:    unix seconds
    principal:  the caller, for an internal token; None for an external one, who is nobody yet
    """

    provider: str
    issuer: str
    subject: str
    session: str | None
    issued_at: int
    expires_at: int
    token_name: str
    principal: Principal | None = None


class Verifier(Protocol):
    """Checks tokens that claim to be of one issuer."""

    async def verify(self, token: str, parsed: Parsed, audience: str) -> VerifiedIdentity:
        """The identity that `token` proves to a service with `audience`.

        Raises `TokenRejected` with the reason, or `KeysUnavailable` where the issuer's keys cannot be had.
        """
        ...


class Dispatch:
    """All verifiers, by exact issuer."""

    def __init__(
        self, verifiers: Mapping[str, tuple[str, Verifier]], *, algorithms: Sequence[str] = ALGORITHMS
    ) -> None:
        self._verifiers = dict(verifiers)
        self._algorithms = tuple(algorithms)

    def parse(self, token: str) -> Parsed:
        """The token taken apart, not believed yet. Raises `TokenRejected`."""
        return parse(token, algorithms=self._algorithms, max_bytes=MAX_TOKEN_BYTES)

    async def verify(self, token: str, parsed: Parsed, audience: str) -> VerifiedIdentity:
        """See `Verifier.verify`."""
        return await self._claimed(parsed)[1].verify(token, parsed, audience)

    def _claimed(self, parsed: Parsed) -> tuple[str, Verifier]:
        issuer = parsed.claims.get("iss")
        found = self._verifiers.get(issuer) if isinstance(issuer, str) else None
        if found is None:
            raise TokenRejected(RejectReason.ISSUER_REFUSED)
        return found
