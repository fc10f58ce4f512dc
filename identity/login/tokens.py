"""What a login gave, as it is kept between two runs, and how an answer of the token endpoint is judged."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from identity.claims import principal_from
from identity.jws import ALGORITHMS, Parsed, check_signature, parse
from identity.key_set import SigningKey
from identity.login.errors import Code, LoginFailed
from identity.login.registration import Registration, Wanted
from identity.principal import Principal
from identity.reject import TokenRejected
from identity.secret import Secret
from identity.strict_json import StrictJsonError, loads_object

LEEWAY: Final = 30
"""Seconds by which our clock and the issuer's may differ."""

_MAX_TOKEN: Final = 16_384
_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens of one person's session. `expires_at` is when the access token ends, in unix seconds by our clock."""

    access: Secret = field(repr=False)
    refresh: Secret | None = field(repr=False)
    expires_at: float
    subject: str

    def kept(self) -> bytes:
        """As bytes for a store; they hold the tokens."""
        return json.dumps(
            {
                "version": _VERSION,
                "access": self.access.text(),
                "refresh": None if self.refresh is None else self.refresh.text(),
                "expires_at": self.expires_at,
                "subject": self.subject,
            }
        ).encode()

    @classmethod
    def read(cls, kept: bytes) -> Tokens:
        """What `kept` wrote. Raises LoginFailed (store-unusable)."""
        try:
            found = loads_object(kept)
            refresh = found["refresh"]
            if found["version"] != _VERSION:
                raise StrictJsonError("another version")
            return cls(
                Secret(str(found["access"])),
                None if refresh is None else Secret(str(refresh)),
                float(found["expires_at"]),
                str(found["subject"]),
            )
        except (StrictJsonError, KeyError, TypeError, ValueError):
            raise LoginFailed(Code.STORE_UNUSABLE, "the kept session cannot be read; log in again") from None


def accepted(
    answer: Mapping[str, Any],
    keys: Mapping[str, SigningKey],
    registration: Registration,
    *,
    wanted: Wanted,
    nonce: str | None,
    now: float,
) -> tuple[Tokens, Principal]:
    """The tokens in a token endpoint's answer, and whom they are of.

    `nonce` is that of the request; None for a refresh or a device, whose answers carry none to compare. `now` is when
    the request was sent. Both tokens are verified, signature included: that the answer came over TLS proves who
    sent it, and not that the issuer is configured as we think (audience, level).

    Raises LoginFailed (token-rejected, assurance-too-low).
    """
    access, life, kind = answer.get("access_token"), answer.get("expires_in"), answer.get("token_type")
    refresh = answer.get("refresh_token")
    if not isinstance(access, str) or type(life) is not int or life < 1 or str(kind).lower() != "bearer":
        raise _rejected("the answer holds no bearer token")
    if refresh is not None and not isinstance(refresh, str):
        raise _rejected("the refresh token is not text")
    principal = _principal(access, keys, registration, now)
    identity = answer.get("id_token")
    if isinstance(identity, str):
        _check_identity(identity, keys, registration, access=access, nonce=nonce, now=now, subject=principal.subject)
    elif nonce is not None:
        raise _rejected("there is no id token")
    _check_wanted(principal, wanted, now)
    return Tokens(Secret(access), Secret(refresh) if refresh else None, now + life, principal.subject), principal


def read_again(access: Secret, keys: Mapping[str, SigningKey], registration: Registration, *, now: float) -> Principal:
    """Whom a kept access token is of. Raises LoginFailed (token-rejected)."""
    return _principal(access.text(), keys, registration, now)


def _principal(token: str, keys: Mapping[str, SigningKey], registration: Registration, now: float) -> Principal:
    parsed = _opened(token, keys)
    if parsed.type not in ("JWT", "at+jwt"):
        raise _rejected("the access token is of another type")
    try:
        principal = principal_from(
            parsed.claims,
            issuer=registration.issuer,
            audience=registration.audience,
            environment="",
            clients=frozenset({registration.client_id}),
            leeway=LEEWAY,
            now=now,
            token_name="",
        )
    except TokenRejected as refused:
        raise _rejected(f"the access token was refused: {refused.reason}") from None
    if principal.kind != "person":
        raise _rejected("it is a program's token and not a person's")
    return principal


def _check_identity(
    token: str,
    keys: Mapping[str, SigningKey],
    registration: Registration,
    *,
    access: str,
    nonce: str | None,
    now: float,
    subject: str,
) -> None:
    """OpenID Connect Core 1.0, section 3.1.3.7, with everything optional there required here."""
    parsed = _opened(token, keys)
    claims = parsed.claims
    expires = claims.get("exp")
    wrong = {
        "typ": claims.get("typ") not in ("ID", None),
        "iss": claims.get("iss") != registration.issuer,
        "aud": claims.get("aud") not in (registration.client_id, [registration.client_id]),
        "azp": claims.get("azp", registration.client_id) != registration.client_id,
        "exp": type(expires) is not int or now >= expires + LEEWAY,
        "sub": claims.get("sub") != subject,
        "nonce": nonce is not None and claims.get("nonce") != nonce,
        "at_hash": "at_hash" in claims and claims["at_hash"] != _at_hash(access, parsed.algorithm),
    }
    names = [name for name, is_wrong in wrong.items() if is_wrong]
    if names:
        raise _rejected(f"the id token's {', '.join(names)} is not this login's")


def _at_hash(access: str, algorithm: str) -> str:
    """The left half of the access token's digest (section 3.1.3.6), by the size in the algorithm's name."""
    bits = algorithm[-3:] if algorithm[-3:] in ("256", "384", "512") else "512"
    digest = hashlib.new(f"sha{bits}", access.encode("ascii")).digest()
    return base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode("ascii")


def _check_wanted(principal: Principal, wanted: Wanted, now: float) -> None:
    if wanted.level is not None and principal.assurance_level < wanted.level:
        raise LoginFailed(
            Code.ASSURANCE_TOO_LOW,
            f"{wanted.level} was asked for and {principal.assurance_level} was proved; "
            "register the factor that is needed (a security key for aal3), then log in again",
        )
    if wanted.max_age is not None and (
        principal.auth_time is None or principal.auth_time < now - wanted.max_age - LEEWAY
    ):
        raise LoginFailed(Code.ASSURANCE_TOO_LOW, "the issuer did not ask you again as it was told to; log in again")


def _opened(token: str, keys: Mapping[str, SigningKey]) -> Parsed:
    try:
        parsed = parse(token, algorithms=ALGORITHMS, max_bytes=_MAX_TOKEN)
        key = keys.get(parsed.key_id)
        if key is None:
            raise _rejected("it is signed with a key that the issuer does not publish")
        check_signature(parsed, key)
    except TokenRejected as refused:
        raise _rejected(f"a token was refused: {refused.reason}") from None
    return parsed


def _rejected(why: str) -> LoginFailed:
    return LoginFailed(Code.TOKEN_REJECTED, f"{why}; check TRADEPULSE_ISSUER and TRADEPULSE_OAUTH2_AUDIENCE")
