"""The proof of approval: what the access service signs once a request to break the glass is approved.

A compact JWS (RFC 7515) of type `break-glass-proof+jwt`, under Ed25519 (RFC 9864) or ES256, by a key of the set
that the operator gave the vault. Members: `iss`, `aud`, `sub` and `email` of who opens, `request`, its `hash` as
it was approved, `environment`, `account`, `until` (the grant's end), `iat`, `exp`. Times are Unix seconds. It is
good for two minutes at most, and for one release, because a request has one.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from identity.jws import check_signature, parse
from identity.key_set import SigningKey, parse_key_set
from identity.principal import Principal
from identity.reject import TokenRejected
from identity.strict_json import StrictJsonError

TYPE: Final = "break-glass-proof+jwt"
ISSUER: Final = "tradepulse-access"
AUDIENCE: Final = "tradepulse-vault"
LONGEST: Final = 120
"""Seconds for which a proof may be good."""

_LEEWAY: Final = 30
_MAX_BYTES: Final = 4096
_REQUEST = re.compile(r"REQ-[0-9]{1,18}\Z")
_HASH = re.compile(r"[0-9a-f]{64}\Z")


class ProofRefused(Exception):
    """The proof does not allow this. `reason` is a stable code for the trail; the caller is told none."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the proof of approval is refused: {reason}")
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Proof:
    """A request that was approved, for this person and account."""

    request: str
    hash: str


class ProofKeys:
    """Whose signature counts.

    `clock` gives Unix seconds.
    """

    def __init__(self, keys: Mapping[str, SigningKey], *, clock: Callable[[], float] = time.time) -> None:
        self._keys = keys
        self._clock = clock

    @classmethod
    def from_file(cls, path: Path | None) -> ProofKeys | None:
        """The keys of a JWKS file; None without one, and then nothing is released. Raises ValueError."""
        if path is None:
            return None
        try:
            return cls(parse_key_set(path.read_bytes()))
        except OSError as error:
            raise ValueError(f"VAULT_APPROVAL_KEYS_FILE: cannot read {path}: {error.strerror}") from None
        except StrictJsonError as error:
            raise ValueError(f"VAULT_APPROVAL_KEYS_FILE: {path}: {error}") from None

    def verify(self, text: str, principal: Principal, *, environment: str, account: str) -> Proof:
        """The proof, if it is genuine, in time, and about exactly this. Raises ProofRefused."""
        try:
            parsed = parse(text, algorithms=("Ed25519", "ES256"), max_bytes=_MAX_BYTES)
            key = self._keys.get(parsed.key_id)
            if key is None or parsed.type != TYPE:
                raise ProofRefused("proof_not_ours")
            check_signature(parsed, key)
        except TokenRejected as error:
            raise ProofRefused(f"proof_{error.reason.value}") from None
        claims = parsed.claims
        self._in_time(claims)
        expected = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": principal.subject,
            "email": (principal.email or "").lower(),
            "environment": environment,
            "account": account,
        }
        # An account without an address would match a proof without one.
        if principal.email is None or any(claims.get(name) != value for name, value in expected.items()):
            raise ProofRefused("proof_for_something_else")
        request, digest = claims.get("request"), claims.get("hash")
        if not isinstance(request, str) or not _REQUEST.match(request):
            raise ProofRefused("proof_malformed")
        if not isinstance(digest, str) or not _HASH.match(digest):
            raise ProofRefused("proof_malformed")
        return Proof(request, digest)

    def _in_time(self, claims: Mapping[str, Any]) -> None:
        times = [claims.get(name) for name in ("iat", "exp", "until")]
        if any(type(one) is not int for one in times):
            raise ProofRefused("proof_malformed")
        issued, expires, until = (int(one) for one in times if one is not None)
        now = self._clock()
        if issued > now + _LEEWAY or expires - issued > LONGEST:
            raise ProofRefused("proof_not_in_time")
        # No leeway at the end: a grant that is over is over.
        if now >= expires or now >= until:
            raise ProofRefused("proof_expired")
