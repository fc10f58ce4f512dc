"""The seam to whoever turns a verified external token into an internal one.

    VerifiedIdentity and its token ─▶ InternalToken of one audience, or an exception that says what to answer

`keycloak.py` is the implementation. It redeems the token (RFC 7523) and narrows the result
(RFC 8693); another issuer of internal tokens is another class with this one method.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from identity.secret import Secret
from session_broker.verify import VerifiedIdentity


@dataclass(frozen=True, slots=True)
class InternalToken:
    """An access token of our realm, not looked at yet. `expires_in` is in seconds."""

    token: Secret
    expires_in: int


class ExchangeRefused(Exception):
    """The identity provider knows the token and says no: nobody has that identity here, the account is
    disabled or not set up, or what the token proves is not enough. `code` is the OAuth error code."""

    def __init__(self, code: str) -> None:
        super().__init__(f"the exchange was refused ({code})")
        self.code = code


class ExchangeUnavailable(Exception):
    """There is no answer: the identity provider is away, late, broken or busy. `retry_after` is in seconds.

    `stumbled` where it is there and failed at this very request, which may lie in what was asked.
    """

    def __init__(self, why: str, *, retry_after: int = 5, stumbled: bool = False) -> None:
        super().__init__(why)
        self.retry_after = retry_after
        self.stumbled = stumbled


class Exchange(Protocol):
    """Exchanges external tokens."""

    async def redeem(self, identity: VerifiedIdentity, token: str, audience: str) -> InternalToken:
        """An internal token for `audience` alone, of the person whose external `token` was verified.

        Raises `ExchangeRefused` and `ExchangeUnavailable`; never anything else, and never returns the
        token that it was given.
        """
        ...
