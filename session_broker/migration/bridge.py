"""From a legacy token to an internal one: a short assertion of ours that Keycloak redeems (RFC 7523).

    legacy token ─ verify ─▶ whom it names ─ sign ─▶ assertion ─▶ the exchange, as for any provider

Keycloak knows the bridge as an identity provider and trusts it with nothing but a name: only an account that is linked
to that name gets a token, and no level above the lowest, since a legacy token proves no factor.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final

from joserfc import jwt

from identity.client_key import key_set_of, load_signing_key
from identity.secret import Secret
from session_broker.access import LEGACY
from session_broker.migration.legacy_token import LegacyIdentity, LegacyTokens, looks_legacy
from session_broker.verify import VerifiedIdentity

_ASSERTION_SECONDS: Final = 60


class Bridge:
    """Verifies legacy tokens and signs assertions for them.

    issuer:    of the assertions; the provider in Keycloak has it too
    audience:  the realm's issuer
    name_of:   names a token in audit lines
    """

    def __init__(
        self,
        tokens: LegacyTokens,
        key_pem: Secret,
        *,
        issuer: str,
        audience: str,
        name_of: Callable[[str], str],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._tokens = tokens
        self._key, self._algorithm = load_signing_key(key_pem)
        self._issuer = issuer
        self._audience = audience
        self._name_of = name_of
        self._clock = clock

    def knows(self, token: str) -> bool:
        """Whether the token says of itself that it is a legacy one. Only then is it looked at here."""
        return looks_legacy(token)

    def legacy(self, token: str) -> LegacyIdentity:
        """Whom a legacy token names. Raises `TokenRejected`."""
        return self._tokens.verify(token)

    def identity(self, token: str) -> VerifiedIdentity:
        """The same as the doorkeeper knows identities. Raises `TokenRejected`."""
        found = self._tokens.verify(token)
        return VerifiedIdentity(
            provider=LEGACY,
            issuer=self._issuer,
            subject=found.subject,
            session=None,
            issued_at=found.issued_at,
            expires_at=found.expires_at,
            token_name=self._name_of(token),
        )

    def assertion(self, identity: VerifiedIdentity) -> str:
        """A new assertion about somebody whom a legacy token named. Good for one minute and once."""
        now = int(self._clock())
        claims: dict[str, Any] = {
            "iss": self._issuer,
            "sub": identity.subject,
            "aud": self._audience,
            "jti": str(uuid.uuid4()),
            "iat": now,
            "exp": now + _ASSERTION_SECONDS,
        }
        header = {"alg": self._algorithm, "kid": self._key.thumbprint(), "typ": "JWT"}
        return jwt.encode(header, claims, self._key, algorithms=[self._algorithm])

    def key_set(self) -> Mapping[str, Any]:
        """The public key, for Keycloak to fetch (RFC 7517)."""
        return key_set_of(self._key, self._algorithm)
