"""Keys: what the KMS answers becomes a partner's key, and that becomes the keys of one record.

    K(partner, v)        = HKDF-SHA256(ikm = KMS.mac(root, message), info = "tradepulse/vault/1")   32 bytes
    message              = canonical("partner-key", partner, uint32 v, salt)
    key, commitment      = HKDF-Expand(K, "record" ‖ N, 64) cut in the middle
    fingerprint          = HKDF-Expand(K, "fingerprint", 16)

HKDF is RFC 5869. The extract step takes no salt: the partner's salt is inside the message that the
KMS authenticates, so whoever lacks either the root key or the salt has nothing to expand.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NoReturn

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand

from vault_api.sealing.canonical import canonical, uint32

MAC_BYTES = 32
SALT_BYTES = 32
KEY_BYTES = 32
NONCE_BYTES = 24
COMMITMENT_BYTES = 32
FINGERPRINT_BYTES = 16
LABEL = b"tradepulse/vault/1"


def mac_message(partner: str, version: int, salt: bytes) -> bytes:
    """What the KMS authenticates for one partner and key version.

    Raises ValueError when the salt is not 32 bytes, the version is not 1 … 2**32 - 1, or the
    partner has no name: each of them would quietly weaken every key derived from it.
    """
    if len(salt) != SALT_BYTES:
        raise ValueError(f"a salt has {SALT_BYTES} bytes, not {len(salt)}")
    if version < 1:
        raise ValueError("key versions count from one")
    if not partner:
        raise ValueError("a partner has a name")
    return canonical(b"partner-key", partner.encode(), uint32(version), salt)


@dataclass(frozen=True, slots=True, repr=False)
class RecordKeys:
    """The AES-256 key of one record and the commitment to it, 32 bytes each."""

    key: bytes
    commitment: bytes

    def __repr__(self) -> str:
        return "<record keys>"


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class PartnerKey:
    """K(partner, version), 32 bytes. Its bytes appear in no repr and no pickle."""

    partner: str
    version: int
    _key: bytes = field(repr=False)

    @classmethod
    def from_mac(cls, partner: str, version: int, mac: bytes) -> PartnerKey:
        """Derives the key from the KMS's 32-byte answer over `mac_message`.

        Raises ValueError when the answer is not 32 bytes.
        """
        if len(mac) != MAC_BYTES:
            raise ValueError(f"the KMS answered {len(mac)} bytes, not {MAC_BYTES}")
        hkdf = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=LABEL)
        return cls(partner=partner, version=version, _key=hkdf.derive(mac))

    def fingerprint(self) -> bytes:
        """Sixteen bytes that recognise this key and tell nothing about it."""
        return self._expand(b"fingerprint", FINGERPRINT_BYTES)

    def record_keys(self, nonce: bytes) -> RecordKeys:
        """The keys of the one record whose 24-byte nonce this is. Raises ValueError on another length."""
        if len(nonce) != NONCE_BYTES:
            raise ValueError(f"a record's nonce has {NONCE_BYTES} bytes, not {len(nonce)}")
        material = self._expand(b"record" + nonce, KEY_BYTES + COMMITMENT_BYTES)
        return RecordKeys(key=material[:KEY_BYTES], commitment=material[KEY_BYTES:])

    def _expand(self, info: bytes, length: int) -> bytes:
        return HKDFExpand(algorithm=SHA256(), length=length, info=info).derive(self._key)

    def __repr__(self) -> str:
        return f"<key {self.version} of {self.partner}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a partner's key does not leave the process that derived it")
