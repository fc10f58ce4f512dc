"""A security key in software: what a realm stores of it, and what it answers at a login (WebAuthn level 2).

Hardware would have to lie in a drawer that somebody can reach at night; a key whose private half exists only
sealed, and only for one opening, proves the same to Keycloak and ends with the opening. It is an ES256 key
without attestation, and it claims the presence of a user and not their verification: whoever releases it
has been verified by the vault.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_der_private_key

_USER_PRESENT: Final = 0x01
_LABEL: Final = "sealed"


@dataclass(frozen=True, slots=True)
class SoftwareKey:
    """A key pair on P-256 and the id by which a realm knows it. `repr` shows no secret."""

    credential_id: bytes = field(repr=False)
    private: ec.EllipticCurvePrivateKey = field(repr=False)

    @classmethod
    def new(cls) -> SoftwareKey:
        """A new pair."""
        return cls(os.urandom(32), ec.generate_private_key(ec.SECP256R1()))

    @classmethod
    def read(cls, credential_id: str, private: str) -> SoftwareKey:
        """What `written` gave. Raises ValueError, and TypeError for a key of another kind."""
        key = load_der_private_key(_decoded(private), password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise TypeError("not an elliptic-curve key")
        return cls(_decoded(credential_id), key)

    def written(self) -> tuple[str, str]:
        """The credential's id and the private key (PKCS #8, DER), each as base64url. The second one is secret."""
        der = self.private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        return encoded(self.credential_id), encoded(der)

    def stored(self) -> dict[str, Any]:
        """What Keycloak stores of it, as a credential of its admin API. Nothing in it is secret.

        The id is in the standard alphabet, the key in that of URLs: that is how Keycloak's own provider writes them.
        """
        data = {
            "aaguid": "00000000-0000-0000-0000-000000000000",
            "credentialId": base64.b64encode(self.credential_id).decode(),
            "counter": 0,
            "credentialPublicKey": encoded(_cose(self.private.public_key())),
            "attestationStatementFormat": "none",
            "transports": [],
        }
        return {
            "type": "webauthn",
            "userLabel": _LABEL,
            "credentialData": orjson.dumps(data).decode(),
            "secretData": "{}",
        }

    def answer(self, challenge: str, rp_id: str, origin: str) -> Mapping[str, str]:
        """The form that answers a challenge (base64url), as Keycloak's page would send it."""
        client = orjson.dumps({"type": "webauthn.get", "challenge": challenge, "origin": origin, "crossOrigin": False})
        authenticator = hashlib.sha256(rp_id.encode()).digest() + bytes([_USER_PRESENT]) + bytes(4)
        signed = self.private.sign(authenticator + hashlib.sha256(client).digest(), ec.ECDSA(SHA256()))
        return {
            "clientDataJSON": encoded(client),
            "authenticatorData": encoded(authenticator),
            "signature": encoded(signed),
            "credentialId": encoded(self.credential_id),
            "userHandle": "",
            "error": "",
        }


def encoded(value: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _cose(key: ec.EllipticCurvePublicKey) -> bytes:
    """The public key as COSE has it (RFC 9053, section 7.1.1): a map of kty EC2, ES256, P-256, x and y."""
    numbers = key.public_numbers()
    x, y = numbers.x.to_bytes(32), numbers.y.to_bytes(32)
    return bytes([0xA5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20]) + x + bytes([0x22, 0x58, 0x20]) + y
