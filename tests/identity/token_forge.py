"""Makes tokens, honest and hostile: any header, any payload bytes, any key."""

from __future__ import annotations

import base64
import json
from typing import Any

import joserfc.jws  # noqa: F401 - registers the algorithms
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

ISSUER = "http://localhost:8180/realms/tradepulse-dev"
AUDIENCE = "tradepulse-internal"
NOW = 1_900_000_000

RSA = RSAKey.generate_key(2048, {"kid": "rsa-1", "use": "sig", "alg": "RS256"})
OTHER_RSA = RSAKey.generate_key(2048, {"kid": "rsa-1", "use": "sig", "alg": "RS256"})
EC = ECKey.generate_key("P-256", {"kid": "ec-1", "use": "sig", "alg": "ES256"})
ED = OKPKey.generate_key("Ed25519", {"kid": "ed-1", "use": "sig", "alg": "EdDSA"})
ENCRYPTION = RSAKey.generate_key(2048, {"kid": "enc-1", "use": "enc", "alg": "RSA-OAEP"})


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def key_set(*keys: Key) -> dict[str, Any]:
    return {"keys": [key.as_dict(private=False) for key in keys or (RSA, EC, ED, ENCRYPTION)]}


def claims(**changes: Any) -> dict[str, Any]:
    """The claims of a good person's token; `name=...` changes one, `name=None` removes it."""
    base = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "0b9c1d3e-person",
        "email": "Ada@example.com",
        "groups": ["viewer", "trader"],
        "assurance_level": "aal2",
        "acr": "aal2",
        "amr": ["pwd", "hwk", "hwk"],
        "auth_time": NOW - 60,
        "azp": "tradepulse-cli",
        "sid": "session-1",
        "typ": "Bearer",
        "iat": NOW - 10,
        "exp": NOW + 290,
        "jti": "token-1",
        "organization": {"acme-capital": {"id": "7d0c", "groups": ["/partner-trader", "/desk/partner-admin"]}},
    }
    merged = {**base, **changes}
    return {name: value for name, value in merged.items() if value is not None}


def service_claims(**changes: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "client_id": "tradepulse-cli",
        "sid": None,
        "auth_time": None,
        "organization": None,
        "email": None,
        "assurance_level": "aal1",
        "acr": "aal1",
        "amr": None,
    }
    return claims(**{**fields, **changes})


def sign(
    payload: dict[str, Any] | bytes,
    *,
    header: dict[str, Any] | bytes | None = None,
    key: Key = RSA,
    algorithm: str = "RS256",
) -> str:
    """A token whose header and payload are exactly the given bytes, truly signed with `key`."""
    if header is None:
        header = {"alg": algorithm, "typ": "JWT", "kid": key.kid}
    head = header if isinstance(header, bytes) else json.dumps(header).encode()
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    signing_input = f"{b64(head)}.{b64(body)}"
    signature = JWSRegistry.algorithms[algorithm].sign(signing_input.encode(), key)
    return f"{signing_input}.{b64(signature)}"
