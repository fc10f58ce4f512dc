"""The seam every KMS provider implements, and the two ways in which one can fail."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class KmsRefused(Exception):
    """The provider is not usable as configured; the process must not start. The text is one clear line."""


class KmsUnavailable(Exception):
    """The provider does not answer now. Nothing is wrong with the request; it may be repeated."""


@dataclass(frozen=True, slots=True)
class KmsHealth:
    """What a provider says about itself. `detail` is for operators and holds no secret."""

    ok: bool
    provider: str
    current_version: int
    """The root key version that new partner keys are derived under."""
    detail: str = ""


class Kms(Protocol):
    """A holder of root keys."""

    @property
    def current_version(self) -> int:
        """The root key version that new partner keys are derived under; at least one."""
        ...

    async def mac(self, key_version: int, message: bytes) -> bytes:
        """32 bytes: a pseudo-random function of the message under that root key version.

        Raises KmsUnavailable when there is no answer now, and KmsRefused when there never will be one
        (an unknown version, a message it cannot take). It never answers something else instead.
        """
        ...

    async def health(self) -> KmsHealth:
        """Whether `mac` would work now. Never raises."""
        ...


async def self_test(kms: Kms) -> None:
    """Proves at start that the provider can MAC: 32 bytes, the same twice, another for another message.

    Raises KmsRefused with one line that says what to do. Known answers cannot be asked for, because
    nobody but the provider knows the root key.
    """
    try:
        first = await kms.mac(kms.current_version, b"tradepulse/vault/self-test/1")
        again = await kms.mac(kms.current_version, b"tradepulse/vault/self-test/1")
        other = await kms.mac(kms.current_version, b"tradepulse/vault/self-test/2")
    except KmsUnavailable as error:
        raise KmsRefused(f"the KMS does not answer: {error}; the vault does not start without it") from error
    if len(first) != 32 or first != again or first == other:
        raise KmsRefused("the KMS answers, but not with a 32-byte MAC of the message; the vault does not start with it")
