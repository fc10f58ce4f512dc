"""Seal and open one token.

    sealed = 0x01 ‖ v (uint32) ‖ N[24] ‖ commitment[32] ‖ AES-256-GCM(key, 0^96, plaintext, aad)
    aad    = canonical(partner, connection, kind, uint64 credential version, uint32 v)

All numbers are big-endian. A sealed value is 77 bytes longer than its plaintext.

*The GCM nonce is constant, and that is safe here*: the key belongs to this record alone, because it
is expanded from N, which is random and 24 bytes long. GCM breaks when a key meets the same nonce
twice; for that, N would have to repeat under one partner's key, and after 2**64 records that is
still a chance of about 2**-65. Calling AES-GCM with a random 96-bit nonce under one long-lived key
would already be out of its bound after 2**32 records (NIST SP 800-38D, 8.3).

*The commitment is checked before the cipher*: AES-GCM does not commit to its key, so a ciphertext
can be built that opens under two (Dodis et al., 2018; Albertini et al., 2022). The commitment is the
second half of an HKDF output, so two keys with the same one are a collision of HMAC-SHA-256.

*The associated data binds the value to its place*: moved to another row, partner, kind or version it
does not open. Every failure is the same `SealError`; which check failed is nobody's business outside.
"""

from __future__ import annotations

import hmac
import os
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from vault_api.sealing.canonical import canonical, uint32, uint64
from vault_api.sealing.keys import COMMITMENT_BYTES, NONCE_BYTES, PartnerKey

FORMAT = 0x01
TAG_BYTES = 16
GCM_NONCE = bytes(12)
HEADER_BYTES = 1 + 4 + NONCE_BYTES + COMMITMENT_BYTES
OVERHEAD_BYTES = HEADER_BYTES + TAG_BYTES


class SealError(Exception):
    """A sealed value is not what it claims to be. Says nothing about why, on purpose."""

    def __init__(self) -> None:
        super().__init__("the sealed value does not open")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sealed value belongs: the one row, kind and version it opens in."""

    partner: str
    connection: str
    kind: str
    version: int
    """The credential's version, counted from one."""

    def associated_data(self, key_version: int) -> bytes:
        """The canonical associated data. Raises ValueError for numbers out of range."""
        return canonical(
            self.partner.encode(),
            self.connection.encode(),
            self.kind.encode(),
            uint64(self.version),
            uint32(key_version),
        )


def seal(key: PartnerKey, place: Place, plaintext: bytes) -> bytes:
    """The sealed value, `OVERHEAD_BYTES` longer than the plaintext, under a fresh random nonce.

    Raises ValueError when the key is another partner's than the place's.
    """
    return _seal_with(key, place, plaintext, nonce=os.urandom(NONCE_BYTES))


def _seal_with(key: PartnerKey, place: Place, plaintext: bytes, *, nonce: bytes) -> bytes:
    """Seals under a given nonce. Only frozen vectors may choose one; a repeated nonce breaks GCM."""
    if key.partner != place.partner:
        raise ValueError("a partner's value is sealed under that partner's key")
    record = key.record_keys(nonce)
    body = AESGCM(record.key).encrypt(GCM_NONCE, plaintext, place.associated_data(key.version))
    return bytes([FORMAT]) + uint32(key.version) + nonce + record.commitment + body


def key_version_of(sealed: bytes) -> int:
    """The key version that a sealed value names; it is not to be believed before the value opened.

    Raises SealError when the value is too short or of another format.
    """
    if len(sealed) < OVERHEAD_BYTES or sealed[0] != FORMAT:
        raise SealError
    return int.from_bytes(sealed[1:5], "big")


def open_sealed(key: PartnerKey, place: Place, sealed: bytes) -> bytes:
    """The plaintext. Raises SealError, always the same, for anything that is not exactly right."""
    if key_version_of(sealed) != key.version or key.partner != place.partner:
        raise SealError
    nonce = sealed[5 : 5 + NONCE_BYTES]
    claimed = sealed[5 + NONCE_BYTES : HEADER_BYTES]
    record = key.record_keys(nonce)
    if not hmac.compare_digest(claimed, record.commitment):
        raise SealError
    try:
        return AESGCM(record.key).decrypt(GCM_NONCE, sealed[HEADER_BYTES:], place.associated_data(key.version))
    except (InvalidTag, ValueError):
        raise SealError from None
