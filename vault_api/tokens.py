"""Broker tokens as types: an access token cannot be taken for a refresh token, and neither shows itself."""

from __future__ import annotations

import re
from typing import ClassVar, Self

from identity.secret import Secret

MAX_TOKEN_BYTES = 16_384

_VISIBLE = re.compile(r"[\x21-\x7e]+\Z")


class BrokerToken(Secret):
    """A token of a broker; `kind` is what it is sealed as."""

    __slots__ = ()
    kind: ClassVar[str]

    @classmethod
    def parse(cls, value: object) -> Self:
        """A token from a request: visible ASCII (RFC 6749 appendix A.12), 1 to 16,384 characters.

        Raises ValueError, whose text does not repeat the value.
        """
        if isinstance(value, cls):
            return value
        if not isinstance(value, str) or len(value) > MAX_TOKEN_BYTES or not _VISIBLE.match(value):
            raise ValueError(f"must be 1 to {MAX_TOKEN_BYTES} visible ASCII characters")
        return cls(value)

    def __repr__(self) -> str:
        return f"<{self.kind}>"

    __str__ = __repr__


class AccessToken(BrokerToken):
    """What a release answers."""

    __slots__ = ()
    kind = "access_token"


class RefreshToken(BrokerToken):
    """What never leaves the vault but for the broker itself."""

    __slots__ = ()
    kind = "refresh_token"
