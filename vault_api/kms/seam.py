"""The seam every KMS provider implements, and the two ways in which one can fail."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

MAX_MESSAGE_BYTES = 4096
"""The longest message that every provider takes; AWS KMS has the lowest bound (GenerateMac)."""


class KmsRefused(Exception):
    """The provider is not usable as configured, or was asked for what it never will answer. The text is one line."""


class KmsUnavailable(Exception):
    """The provider does not answer now. Nothing is wrong with the request; it may be repeated."""


@dataclass(frozen=True, slots=True)
class KmsHealth:
    """What a provider says about itself. `detail` is for operators and holds no secret."""

    ok: bool
    provider: str
    current_version: int
    """The root key version that new partner keys are derived under; zero while nobody could be asked."""
    detail: str = ""


class Kms(Protocol):
    """A holder of root keys."""

    @property
    def current_version(self) -> int:
        """The root key version that new partner keys are derived under, as of the last look at the holder.

        At least one; zero before the first look that succeeded.
        """
        ...

    async def look(self) -> None:
        """Looks at the holder: is it there, and which versions has it. Raises KmsUnavailable, KmsRefused."""
        ...

    async def mac(self, key_version: int, message: bytes) -> bytes:
        """32 bytes: a pseudo-random function of the message under that root key version.

        Raises KmsUnavailable when there is no answer now, and KmsRefused when there never will be one
        (an unknown version, a message longer than 4096 bytes). It never answers something else instead,
        and it answers or raises in bounded time.
        """
        ...

    async def health(self) -> KmsHealth:
        """Looks, and says whether `mac` would work now. Never raises."""
        ...

    async def close(self) -> None:
        """Gives sessions and connections back. Never raises."""
        ...


class RootKeys(Kms, Protocol):
    """A provider that can also make and remove versions of its root key, with the rights of whoever runs it."""

    async def add_version(self) -> int:
        """Makes a new version under which nothing was sealed yet, and answers its number.

        The older versions stay: what was sealed under them opens with nothing else. Raises
        KmsUnavailable, and KmsRefused when this account may not do it.
        """
        ...

    async def remove_version(self, version: int) -> None:
        """Destroys an older version for good; whoever asks has made sure that nothing is sealed under it.

        Raises KmsUnavailable, and KmsRefused for the current version or one that is not there.
        """
        ...


def require_older(version: int, current: int) -> None:
    """Raises KmsRefused unless the version is older than the current one."""
    if not 1 <= version < current:
        raise KmsRefused(f"root key version {version} is not older than the current one, {current}; rotate first")


def require_message(message: bytes) -> None:
    """Raises KmsRefused for a message that not every provider could take."""
    if len(message) > MAX_MESSAGE_BYTES:
        raise KmsRefused(f"a message has at most {MAX_MESSAGE_BYTES} bytes, not {len(message)}")


async def self_test(kms: Kms) -> None:
    """Proves that the provider can MAC: 32 bytes, the same twice, another for another message.

    Raises KmsUnavailable when it does not answer, and KmsRefused with one line when it answers wrongly.
    Known answers cannot be asked for, because nobody but the provider knows the root key.
    """
    await kms.look()
    first = await kms.mac(kms.current_version, b"tradepulse/vault/self-test/1")
    again = await kms.mac(kms.current_version, b"tradepulse/vault/self-test/1")
    other = await kms.mac(kms.current_version, b"tradepulse/vault/self-test/2")
    if len(first) != 32 or first != again or first == other:
        raise KmsRefused("the KMS answers, but not with a 32-byte MAC of the message; the vault does not start with it")
