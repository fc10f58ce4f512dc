"""How a confidential client proves itself: an assertion that its private key signs (RFC 7523 section 2.2).

No shared secret exists. Keycloak 26 takes the realm's issuer URL as the only audience of an assertion
and refuses a list.
"""

from __future__ import annotations

import uuid
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from identity.secret import Secret

_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_ASSERTION_SECONDS = 60
_MIN_RSA_BITS = 2048


class ClientKey:
    """A client's private key, and the assertions it signs for one authorization server.

    `key_pem` is an EC P-256 (ES256) or RSA (RS256) private key of at least 2048 bits, without a
    password. `audience` is the server's issuer. `key_id` is by default the key's RFC 7638
    thumbprint, as in `public_jwks`. Raises `ValueError`.
    """

    def __init__(
        self, client_id: str, key_pem: Secret | bytes | str, *, audience: str, key_id: str | None = None
    ) -> None:
        self._client_id = client_id
        self._key, self._algorithm = load_signing_key(key_pem)
        self._key_id = key_id or self._key.thumbprint()
        self._audience = audience

    def form(self, now: float) -> dict[str, str]:
        """The members of a token request that authenticate the client. `now` is in unix seconds; every
        call signs a new assertion, because the server takes each once."""
        return {
            "client_id": self._client_id,
            "client_assertion_type": _ASSERTION_TYPE,
            "client_assertion": self._assertion(now),
        }

    def _assertion(self, now: float) -> str:
        claims = {
            "iss": self._client_id,
            "sub": self._client_id,
            "aud": self._audience,
            "jti": str(uuid.uuid4()),
            "iat": int(now),
            "exp": int(now) + _ASSERTION_SECONDS,
        }
        header = {"alg": self._algorithm, "kid": self._key_id, "typ": "JWT"}
        return jwt.encode(header, claims, self._key, algorithms=[self._algorithm])


def public_jwks(key_pem: Secret | bytes | str) -> dict[str, list[dict[str, Any]]]:
    """The key set to register for a service's key: public part, `use`, `alg`, and the id we sign with."""
    return key_set_of(*load_signing_key(key_pem))


def key_set_of(key: ECKey | RSAKey, algorithm: str) -> dict[str, list[dict[str, Any]]]:
    """The public part of a key as a key set (RFC 7517)."""
    public = key.as_dict(private=False)
    return {"keys": [{**public, "kid": key.thumbprint(), "use": "sig", "alg": algorithm}]}


def load_signing_key(key_pem: Secret | bytes | str) -> tuple[ECKey | RSAKey, str]:
    """A private key and the algorithm that it signs with. Raises ValueError for any other than `ClientKey` takes."""
    pem = key_pem.reveal() if isinstance(key_pem, Secret) else key_pem
    pem = pem.encode("ascii", "replace") if isinstance(pem, str) else pem
    try:
        raw = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError):
        raise ValueError("the client key is not an unencrypted private key in PEM") from None
    if isinstance(raw, EllipticCurvePrivateKey) and isinstance(raw.curve, SECP256R1):
        return ECKey.import_key(pem), "ES256"
    if isinstance(raw, RSAPrivateKey) and raw.key_size >= _MIN_RSA_BITS:
        return RSAKey.import_key(pem), "RS256"
    raise ValueError("the client key must be EC P-256, or RSA of at least 2048 bits")
