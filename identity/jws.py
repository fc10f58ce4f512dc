"""Compact signed tokens, opened: strict parsing ours, signature checking joserfc's (RFC 7515, RFC 8725).

The parsing is our own because libraries let through what attackers need: duplicate keys, sloppy
base64url, and headers that bring their own key. What comes out of `parse` is not yet verified;
`check_signature` is the only judge of that.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from joserfc.errors import JoseError
from joserfc.jws import JWSRegistry

from identity.key_set import SigningKey
from identity.reject import RejectReason, TokenRejected
from identity.strict_json import StrictJsonError, loads_object

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519")
"""Every signature algorithm that any issuer of ours may use. No HMAC, and no `none`."""

# joserfc's implementations, bound once: the name in a token's header selects among these and
# nothing else, whatever the library registers by default today or tomorrow.
_IMPLEMENTATIONS = {name: JWSRegistry.algorithms[name] for name in ALGORITHMS}

_MAX_HEADER_BYTES = 2048
_MAX_DEPTH = 8

# The headers a signed token of ours can have. Those that bring or fetch a key (jwk, jku, x5u, x5c)
# or change what is signed (crit, b64, zip) are not among them; nor is anything unknown.
_KNOWN_HEADERS = frozenset({"alg", "kid", "typ", "cty", "x5t", "x5t#S256"})

_SEGMENT = re.compile(r"[A-Za-z0-9_-]+\Z")
_KEY_ID = re.compile(r"[A-Za-z0-9_=+-][A-Za-z0-9_.=+-]{0,127}\Z")


@dataclass(frozen=True, slots=True, repr=False)
class Parsed:
    """A token taken apart but not believed yet."""

    algorithm: str
    key_id: str
    type: str | None
    claims: Mapping[str, Any]
    signing_input: bytes
    signature: bytes


def parse(token: str, *, algorithms: tuple[str, ...], max_bytes: int) -> Parsed:
    """Take a compact token apart, refusing all that needs no key to be refused.

    Raises `TokenRejected`; never looks anything up and never raises anything else.
    """
    # Characters are at least as many as bytes are not: the cheap check comes before any copy.
    if len(token) > max_bytes:
        raise TokenRejected(RejectReason.TOO_LARGE)
    parts = token.split(".")
    if len(parts) != 3 or not all(_SEGMENT.match(part) for part in parts):
        raise TokenRejected(RejectReason.MALFORMED)
    header = document(parts[0], _MAX_HEADER_BYTES)
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in algorithms or algorithm not in _IMPLEMENTATIONS:
        raise TokenRejected(RejectReason.ALGORITHM_REFUSED)
    if not header.keys() <= _KNOWN_HEADERS:
        raise TokenRejected(RejectReason.HEADER_REFUSED)
    key_id = header.get("kid")
    if not isinstance(key_id, str) or not _KEY_ID.match(key_id):
        raise TokenRejected(RejectReason.KEY_ID_REFUSED)
    kind = header.get("typ")
    if kind is not None and not isinstance(kind, str):
        raise TokenRejected(RejectReason.TYPE_REFUSED)
    return Parsed(
        algorithm=algorithm,
        key_id=key_id,
        type=kind,
        claims=document(parts[1], max_bytes),
        signing_input=f"{parts[0]}.{parts[1]}".encode("ascii"),
        signature=decode(parts[2]),
    )


def check_signature(parsed: Parsed, key: SigningKey) -> None:
    """Raise `TokenRejected` unless `key` may be used with the token's algorithm and signed the token."""
    if parsed.algorithm not in key.algorithms:
        raise TokenRejected(RejectReason.KEY_MISMATCH)
    implementation = _IMPLEMENTATIONS[parsed.algorithm]
    try:
        genuine = implementation.verify(parsed.signing_input, parsed.signature, key.key)
    except (JoseError, ValueError, TypeError):
        genuine = False
    if genuine is not True:
        raise TokenRejected(RejectReason.SIGNATURE_INVALID)


def document(segment: str, max_bytes: int) -> dict[str, Any]:
    """The JSON object in one part of a token. Raises `TokenRejected`."""
    try:
        return loads_object(decode(segment), max_bytes=max_bytes, max_depth=_MAX_DEPTH)
    except StrictJsonError:
        raise TokenRejected(RejectReason.MALFORMED) from None


def decode(segment: str) -> bytes:
    """base64url without padding; refuses the spellings that decode alike but are not the same text."""
    try:
        data = base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    except (binascii.Error, ValueError):
        raise TokenRejected(RejectReason.MALFORMED) from None
    if base64.urlsafe_b64encode(data).rstrip(b"=") != segment.encode("ascii"):
        raise TokenRejected(RejectReason.MALFORMED)
    return data
