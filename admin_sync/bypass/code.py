"""Emergency codes: two halves that two people keep, and what recognises them without telling them. Pure.

Each half is ten characters of Crockford's base 32, 50 bits, written `K7QF2-M2XD9`. The person's half is made where they
ask, the other where a member of the security team hands it over, and only verifiers leave those places: PBKDF2 with
HMAC-SHA-256 over the half, the realm and the account's address (NIST SP 800-63B-4, section 3.1.2.2). So no server
ever sees a half before it is typed at the login, and a verifier is worth nothing for another account or realm.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Sequence
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, StringConstraints

ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: no I, L, O, which look like digits, and no U."""

ITERATIONS: Final = 600_000
"""As in the extension's `Verifier`."""

_LENGTH: Final = 10
_PURPOSE: Final = "tradepulse-mfa-bypass/1"


class Verifier(BaseModel):
    """What recognises a half: a salt of 16 and a hash of 32 bytes, in hexadecimal digits, lower case."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    salt: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
    hash: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]

    def __repr__(self) -> str:
        # Half a code can be guessed from it, given days; it has no place in a log.
        return "Verifier(…)"

    __str__ = __repr__


def digest(halves: Sequence[Verifier]) -> str:
    """By which two verifiers are told from two others without being told: SHA-256 over both, as in the extension's
    `Codes`."""
    return hashlib.sha256("\n".join(f"{half.salt}:{half.hash}" for half in halves).encode()).hexdigest()


def new_half() -> str:
    """A half of a code as it is shown to whoever keeps it."""
    text = "".join(secrets.choice(ALPHABET) for _ in range(_LENGTH))
    return f"{text[:5]}-{text[5:]}"


def verifier(half: str, realm: str, address: str, salt: bytes | None = None) -> Verifier:
    """What recognises a half on the account of an address in a realm (`tradepulse-prod`).

    Raises ValueError for what is no half.
    """
    plain = re.sub(r"[\s-]", "", half).upper()
    if len(plain) != _LENGTH or set(plain) - set(ALPHABET):
        raise ValueError("a half of an emergency code is ten letters and digits")
    salt = secrets.token_bytes(16) if salt is None else salt
    text = "\n".join((_PURPOSE, realm, address.lower(), plain))
    return Verifier(salt=salt.hex(), hash=hashlib.pbkdf2_hmac("sha256", text.encode(), salt, ITERATIONS).hex())
