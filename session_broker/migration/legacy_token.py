"""The platform's own tokens: HS256, read and written here and nowhere else in the product.

Everybody who can check such a token can also make one. That is the reason to leave them, and the reason why the
secret is known to this package alone: services behind the proxy that still read them keep their own copy until they
move.

Shape of the claims: `iss`, `aud`, `sub` (the account's name at the platform), `email`, `roles` (list of LegacyRole),
`iat`, `exp`, and `client` (the application, for the metrics). Times are unix seconds.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
from joserfc.jwk import OctKey
from joserfc.jws import JWSRegistry

from identity.jws import decode, document
from identity.reject import RejectReason, TokenRejected
from identity.secret import Secret
from session_broker.migration.roles import LegacyRole, UnknownLegacyRole, legacy_role

MIN_SECRET_BYTES: Final = 32
"""RFC 7518 section 3.2: a key at least as long as the hash."""

MAX_BYTES: Final = 4096
LEEWAY: Final = 30
"""Seconds by which clocks may differ."""

_ALGORITHM: Final = "HS256"
_HMAC: Final = JWSRegistry.algorithms[_ALGORITHM]
_HEADERS: Final = frozenset({"alg", "typ"})
_MAX_ROLES: Final = len(LegacyRole)
_MAX_TEXT: Final = 256
_MINTED: Final = "double_write"
"""The claim of a token that was made here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LegacyIdentity:
    """Whom a verified legacy token names. It proves no second factor, so it is worth the lowest level."""

    subject: str
    email: str
    roles: tuple[LegacyRole, ...]
    client: str
    issued_at: int
    expires_at: int


def looks_legacy(token: str) -> bool:
    """Whether a token says that it is signed as legacy ones are. Nothing is believed of it: it only picks who looks.

    An internal or external token never says so, since none of their verifiers takes that algorithm.
    """
    try:
        return len(token) <= MAX_BYTES and document(token.partition(".")[0], MAX_BYTES).get("alg") == _ALGORITHM
    except TokenRejected:
        return False


class LegacyTokens:
    """Reads and writes legacy tokens of one issuer and audience.

    Raises ValueError for a secret shorter than 32 bytes or without an issuer and an audience.
    """

    def __init__(self, secret: Secret, *, issuer: str, audience: str, clock: Callable[[], float]) -> None:
        if len(secret.reveal()) < MIN_SECRET_BYTES:
            raise ValueError(f"the secret of legacy tokens has at least {MIN_SECRET_BYTES} bytes")
        if not issuer or not audience:
            raise ValueError("legacy tokens have an issuer and an audience")
        self._key = OctKey.import_key(secret.reveal())
        self._issuer = issuer
        self._audience = audience
        self._clock = clock

    def verify(self, token: str) -> LegacyIdentity:
        """Whom the token names. Raises `TokenRejected`.

        The algorithm is the one that is written here, whatever the header says (RFC 8725 section 3.1),
        and the key is an octet key, so no public key of anybody can be mistaken for it.
        """
        if len(token) > MAX_BYTES:
            raise TokenRejected(RejectReason.TOO_LARGE)
        parts = token.split(".")
        if len(parts) != 3:
            raise TokenRejected(RejectReason.MALFORMED)
        header = document(parts[0], MAX_BYTES)
        if header.get("alg") != _ALGORITHM:
            raise TokenRejected(RejectReason.ALGORITHM_REFUSED)
        if not header.keys() <= _HEADERS:
            raise TokenRejected(RejectReason.HEADER_REFUSED)
        if header.get("typ", "JWT") != "JWT":
            raise TokenRejected(RejectReason.TYPE_REFUSED)
        claims, signature = document(parts[1], MAX_BYTES), decode(parts[2])
        # In constant time, by the library; nothing of the claims is believed before.
        if _HMAC.verify(f"{parts[0]}.{parts[1]}".encode("ascii"), signature, self._key) is not True:
            raise TokenRejected(RejectReason.SIGNATURE_INVALID)
        return self._identity(claims)

    def mint(self, *, subject: str, email: str, roles: Sequence[LegacyRole], client: str, expires_at: int) -> str:
        """A legacy token for services that still read them. It never outlives `expires_at` (unix seconds).

        It says that it comes from here, and one that does is not accepted back: what leaks behind the proxy
        opens nothing in front of it.
        """
        claims = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": subject,
            "email": email,
            "roles": [role.value for role in roles],
            "client": client,
            "iat": int(self._clock()),
            "exp": expires_at,
            _MINTED: True,
        }
        signed = f"{_encoded({'alg': _ALGORITHM, 'typ': 'JWT'})}.{_encoded(claims)}"
        return f"{signed}.{_base64(_HMAC.sign(signed.encode('ascii'), self._key))}"

    def _identity(self, claims: Mapping[str, Any]) -> LegacyIdentity:
        if claims.get("iss") != self._issuer:
            raise TokenRejected(RejectReason.ISSUER_REFUSED)
        if claims.get("aud") != self._audience:
            raise TokenRejected(RejectReason.AUDIENCE_REFUSED)
        if _MINTED in claims:
            raise TokenRejected(RejectReason.PURPOSE_REFUSED)
        now, issued_at, expires_at = self._clock(), _time(claims, "iat"), _time(claims, "exp")
        if now >= expires_at + LEEWAY:
            raise TokenRejected(RejectReason.EXPIRED)
        if now < issued_at - LEEWAY:
            raise TokenRejected(RejectReason.ISSUED_IN_FUTURE)
        return LegacyIdentity(
            subject=_text(claims, "sub"),
            email=_text(claims, "email"),
            roles=_roles(claims),
            client=_text(claims, "client"),
            issued_at=issued_at,
            expires_at=expires_at,
        )


def _roles(claims: Mapping[str, Any]) -> tuple[LegacyRole, ...]:
    listed = claims.get("roles")
    if not isinstance(listed, list) or not listed or len(listed) > _MAX_ROLES:
        raise TokenRejected(RejectReason.CLAIM_MALFORMED)
    try:
        return tuple(legacy_role(name if isinstance(name, str) else "") for name in listed)
    except UnknownLegacyRole:
        raise TokenRejected(RejectReason.ROLE_UNKNOWN) from None


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    if value is None:
        raise TokenRejected(RejectReason.CLAIM_MISSING)
    if not isinstance(value, str) or not 0 < len(value) <= _MAX_TEXT or not value.isprintable():
        raise TokenRejected(RejectReason.CLAIM_MALFORMED)
    return value


def _time(claims: Mapping[str, Any], name: str) -> int:
    value = claims.get(name)
    if value is None:
        raise TokenRejected(RejectReason.CLAIM_MISSING)
    # A boolean is an int in Python, and is no time.
    if type(value) is not int or not 0 < value < 2**40:
        raise TokenRejected(RejectReason.CLAIM_MALFORMED)
    return value


def _encoded(value: Mapping[str, Any]) -> str:
    return _base64(orjson.dumps(value))


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
