"""A JWKS document, reduced to the public keys that may verify signatures (RFC 7517)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

from identity.strict_json import StrictJsonError, loads_object

MAX_BYTES = 262_144
_MAX_KEYS = 64
_RSA_BITS = range(2048, 8193)

_RSA_ALGORITHMS = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
_CURVE_ALGORITHMS: Mapping[tuple[str, str], frozenset[str]] = {
    ("EC", "P-256"): frozenset({"ES256"}),
    ("EC", "P-384"): frozenset({"ES384"}),
    ("EC", "P-521"): frozenset({"ES512"}),
    # RFC 9864 renamed EdDSA with this curve to Ed25519; Keycloak writes the old name.
    ("OKP", "Ed25519"): frozenset({"EdDSA", "Ed25519"}),
}


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One public key and the algorithms it may be used with."""

    key_id: str
    algorithms: frozenset[str]
    key: Key


def parse_key_set(body: bytes) -> Mapping[str, SigningKey]:
    """The usable signing keys of a JWKS document, by key id.

    A key of an unknown kind, for encryption, too small or malformed is left out, as RFC 7517
    section 5 asks; two keys of one id are both left out, for nobody can say which is meant. A
    document without any usable key raises `StrictJsonError`: it is never what an issuer means.
    """
    entries = loads_object(body, max_bytes=MAX_BYTES).get("keys")
    if not isinstance(entries, list) or len(entries) > _MAX_KEYS:
        raise StrictJsonError("the document is not a key set")
    keys: dict[str, SigningKey] = {}
    ambiguous: set[str] = set()
    for entry in entries:
        key = _signing_key(entry) if isinstance(entry, dict) else None
        if key is None:
            continue
        if key.key_id in keys:
            ambiguous.add(key.key_id)
        keys[key.key_id] = key
    usable = {key_id: key for key_id, key in keys.items() if key_id not in ambiguous}
    if not usable:
        raise StrictJsonError("the key set holds no usable signing key")
    return usable


def _signing_key(entry: Mapping[str, Any]) -> SigningKey | None:
    key_id, use, operations = entry.get("kid"), entry.get("use", "sig"), entry.get("key_ops", ["verify"])
    if not isinstance(key_id, str) or use != "sig" or not isinstance(operations, list) or "verify" not in operations:
        return None
    if "d" in entry or "k" in entry:
        return None  # A private or symmetric key that is published is nobody's secret any more.
    try:
        key, algorithms = _import(entry)
    except (JoseError, ValueError, TypeError, KeyError, OverflowError):
        return None
    declared = entry.get("alg")
    if declared is not None:
        if not isinstance(declared, str) or declared not in algorithms:
            return None
        if entry["kty"] != "OKP":
            algorithms = frozenset({declared})
    return SigningKey(key_id, algorithms, key)


def _import(entry: Mapping[str, Any]) -> tuple[Key, frozenset[str]]:
    """The key and what it can verify. Raises KeyError, ValueError or TypeError for any other key."""
    kind = entry["kty"]
    if kind == "RSA":
        # The size is known before the library sees the number, so a huge one costs nothing.
        bits = int.from_bytes(_number(entry["n"])).bit_length()
        exponent = int.from_bytes(_number(entry["e"]))
        if bits not in _RSA_BITS or exponent < 3 or exponent % 2 == 0 or exponent.bit_length() > 32:
            raise ValueError("the modulus or the exponent is out of range")
        return RSAKey.import_key({"kty": "RSA", "n": entry["n"], "e": entry["e"]}), _RSA_ALGORITHMS
    algorithms = _CURVE_ALGORITHMS[(kind, entry["crv"])]
    if kind == "EC":
        return ECKey.import_key({"kty": "EC", "crv": entry["crv"], "x": entry["x"], "y": entry["y"]}), algorithms
    return OKPKey.import_key({"kty": "OKP", "crv": entry["crv"], "x": entry["x"]}), algorithms


def _number(text: Any) -> bytes:
    if not isinstance(text, str) or len(text) > 2048:
        raise TypeError("a key parameter is not text of a plausible length")
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error:
        raise ValueError("a key parameter is not base64url") from None
