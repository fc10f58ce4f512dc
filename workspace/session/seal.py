"""From the secret in a cookie to the name of a row and to the key that opens it (HKDF, RFC 5869; AES-256-GCM).

Two labels, so that the name of a row says nothing about its key. A row is bound to its name: put in another's place it
does not open.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field
from typing import Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

SECRET_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_FORM: Final = b"\x01"


class DoesNotOpen(Exception):
    """A sealed row that this secret does not open: another's, changed, or of a form that is not known."""


@dataclass(frozen=True, slots=True)
class Handle:
    """What a browser's secret leads to. `id` is 32 bytes and no secret."""

    id: bytes
    _key: bytes = field(repr=False)

    @classmethod
    def of(cls, secret: bytes, purpose: str) -> Self:
        """The handle of a secret of at least 32 bytes, for one purpose (`session`, `login`)."""
        if len(secret) < SECRET_BYTES:
            raise ValueError("a secret is of at least 32 bytes")
        label = f"tradepulse/workspace/{purpose}/1".encode()
        key = HKDF(algorithm=SHA256(), length=32, salt=None, info=label).derive(secret)
        return cls(hashlib.sha256(label + b"\0" + secret).digest(), key)

    def seal(self, plain: bytes) -> bytes:
        """`plain` for the store."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return _FORM + nonce + AESGCM(self._key).encrypt(nonce, plain, _FORM + self.id)

    def open(self, sealed: bytes) -> bytes:
        """What `seal` was given. Raises DoesNotOpen."""
        if sealed[:1] != _FORM:
            raise DoesNotOpen
        try:
            return AESGCM(self._key).decrypt(sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :], _FORM + self.id)
        except (InvalidTag, ValueError):
            raise DoesNotOpen from None
