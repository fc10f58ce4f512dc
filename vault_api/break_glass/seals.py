"""The key under which one version of one account's credential lies, and what is sealed under it.

    K       = HKDF-SHA256(KMS.mac(root, message), "tradepulse/vault/1")
    message = canonical("break-glass-key", environment, account, uint32 version, salt)

The first part keeps these messages apart from those of partners' keys. The salt is random for each version, so
no two versions share a key; environment, account and version are in the associated data besides, so a row that
is moved to another account does not open.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from identity.secret import Secret
from vault_api.kms import Kms
from vault_api.sealing.canonical import canonical, uint32
from vault_api.sealing.envelope import Place, open_sealed, seal
from vault_api.sealing.keys import SALT_BYTES, PartnerKey

KIND = "emergency_credential"


@dataclass(frozen=True, slots=True)
class Slot:
    """Where a credential belongs: the account, in one environment, and the version counted from one."""

    environment: str
    account: str
    version: int

    @property
    def owner(self) -> str:
        """Who the key belongs to. No partner can be called that, because of the slash."""
        return f"break-glass/{self.environment}"

    def place(self) -> Place:
        """The place that the value is bound to."""
        return Place(self.owner, self.account, KIND, self.version)

    def message(self, salt: bytes) -> bytes:
        """What the KMS authenticates. Raises ValueError when the salt is not 32 bytes."""
        if len(salt) != SALT_BYTES:
            raise ValueError(f"a salt has {SALT_BYTES} bytes, not {len(salt)}")
        return canonical(
            b"break-glass-key", self.environment.encode(), self.account.encode(), uint32(self.version), salt
        )


@dataclass(frozen=True, slots=True)
class Sealed:
    """A sealed credential and what is needed, besides the KMS, to open it."""

    root_version: int
    salt: bytes
    value: bytes = field(repr=False)


async def key(kms: Kms, slot: Slot, root_version: int, salt: bytes) -> PartnerKey:
    """The key of a slot. Raises KmsUnavailable, KmsRefused."""
    return PartnerKey.from_mac(slot.owner, slot.version, await kms.mac(root_version, slot.message(salt)))


async def seal_credential(kms: Kms, slot: Slot, credential: Secret) -> Sealed:
    """Seals under the newest root key and a new salt. Raises KmsUnavailable, KmsRefused."""
    root_version, salt = kms.current_version, os.urandom(SALT_BYTES)
    made = await key(kms, slot, root_version, salt)
    return Sealed(root_version, salt, seal(made, slot.place(), credential.reveal()))


def open_credential(made: PartnerKey, slot: Slot, value: bytes) -> Secret:
    """What was sealed. Raises SealError."""
    return Secret(open_sealed(made, slot.place(), value))
