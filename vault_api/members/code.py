"""The code that an invitation is taken up with: 80 random bits, as sixteen signs that people can read to each other.

Nothing of it is kept but a hash, which for a code that long needs neither salt nor slowness: who has the hash alone
would have to try 2^80 codes (NIST SP 800-63B, look-up secrets).
"""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import Final

_SIGNS: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's: no I, L, O and U."""

_CODE: Final = re.compile(f"[{_SIGNS}]{{16}}\\Z")
_NAME: Final = re.compile(r"[a-z0-9]{16}\Z")
_NAME_SIGNS: Final = "abcdefghijklmnopqrstuvwxyz0123456789"


def new_code() -> str:
    """A code as it is told: `ABCD-EFGH-JKMN-PQRS`."""
    return _grouped("".join(secrets.choice(_SIGNS) for _ in range(16)))


def new_name() -> str:
    """What an invitation is called, in its address. It is no secret, and nobody guesses it."""
    return "".join(secrets.choice(_NAME_SIGNS) for _ in range(16))


def is_name(text: str) -> bool:
    """Whether an invitation could be called that."""
    return _NAME.match(text) is not None


def read_code(text: str) -> str | None:
    """A code as somebody typed it, in the form in which it was told; None for what is none."""
    bare = re.sub(r"[\s-]", "", text).upper().replace("O", "0").replace("I", "1").replace("L", "1")
    return _grouped(bare) if _CODE.match(bare) else None


def code_hash(partner: str, invitation: str, code: str) -> bytes:
    """What is kept of a code: 32 bytes that are of no use for another invitation."""
    return hashlib.sha256("\n".join(("tradepulse/invitation/1", partner, invitation, code)).encode()).digest()


def _grouped(bare: str) -> str:
    return "-".join(bare[start : start + 4] for start in range(0, 16, 4))
