"""The second factor of a person who is played by a program.

One-time codes follow RFC 6238 with the values of the realm's policy: HMAC-SHA-1, six digits, thirty seconds.
"""

from __future__ import annotations

import hmac
import struct
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Final

import orjson

_PERIOD: Final = 30
_DIGITS: Final = 6


class Factor(StrEnum):
    """What a first login registers; the value is the one of the page that offers the choice."""

    SECURITY_KEY = "security-key"
    AUTHENTICATOR_APP = "authenticator-app"


@dataclass(slots=True)
class SavedFactor:
    """A registered factor with its secret, which `repr` never shows.

    `key` is what the virtual authenticator stores of its credentials; `secret` is the text that
    Keycloak made for the authenticator app; `recovery_codes` are those that are left, in their order.
    `to_json` and `from_json` keep it between two runs: the result belongs into a file of mode 0600.
    """

    key: list[dict[str, Any]] = field(default_factory=list, repr=False)
    secret: str | None = field(default=None, repr=False)
    last_step: int = field(default=0, repr=False)
    recovery_codes: list[str] = field(default_factory=list, repr=False)
    emergency_code: tuple[str, str] | None = field(default=None, repr=False)
    """The two halves of an emergency code; it is typed once."""

    def to_json(self) -> bytes:
        """The factor as JSON, secrets included."""
        return orjson.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: bytes) -> SavedFactor:
        """The factor that `to_json` wrote."""
        return cls(**orjson.loads(text))

    def code(self, clock: Callable[[], float] = time.time, sleep: Callable[[float], None] = time.sleep) -> str:
        """A code that was not used yet.

        Keycloak takes each code once and looks one period ahead, so the next period's code serves
        when this one's is spent, and after that we wait. Raises ValueError without a secret.
        """
        if self.secret is None:
            raise ValueError("no authenticator app is registered")
        step = max(int(clock()) // _PERIOD, self.last_step + 1)
        early = step - 1 - clock() / _PERIOD
        if early > 0:
            sleep(early * _PERIOD)
        self.last_step = step
        return totp(self.secret, step)

    def recovery_code(self) -> str:
        """The next recovery code; it is spent. Raises ValueError if none is left."""
        if not self.recovery_codes:
            raise ValueError("no recovery code is left")
        return self.recovery_codes.pop(0)


def totp(secret: str, step: int) -> str:
    """The code of one period (RFC 6238 with the time step number `step`)."""
    digest = hmac.digest(secret.encode(), struct.pack(">Q", step), "sha1")
    offset = digest[-1] & 0x0F
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFF_FFFF
    return str(number % 10**_DIGITS).zfill(_DIGITS)
