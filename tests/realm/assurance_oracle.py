"""What a login proved, judged by what the person did and by nothing that the server said about it.

The rules are those of `realm/README.md` in a few lines, written apart from the flows on purpose: a row of
`docs/assurance.md` may never be higher than what comes out here.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Final


class Proof(StrEnum):
    """One thing that a person or a program did; a registration is none."""

    PASSWORD = "password"
    PROVIDER = "provider"
    """A login at an identity provider that told nothing of how, or nothing that counts."""
    PROVIDER_AAL2 = "provider, two factors"
    """The same, and the provider is trusted to say that it asked for two factors."""
    PROVIDER_AAL3 = "provider, hardware"
    KEY = "security key"
    APP = "one-time code"
    RECOVERY = "recovery code"
    EMERGENCY = "emergency code"
    """Two halves of a code, after two people approved one login."""
    PASSKEY = "passkey"
    CLIENT = "client's key"
    """A program proved the key or the workload that it is; no person was there."""


_FIRST: Final = frozenset({Proof.PASSWORD, Proof.PROVIDER, Proof.PROVIDER_AAL2, Proof.PROVIDER_AAL3, Proof.PASSKEY})
_SECOND: Final = frozenset({Proof.APP, Proof.RECOVERY, Proof.EMERGENCY, Proof.KEY})
_METHODS: Final = {
    Proof.PASSWORD: {"pwd"},
    Proof.KEY: {"hwk"},
    Proof.PASSKEY: {"hwk"},
    Proof.APP: {"otp"},
    Proof.RECOVERY: {"recovery"},
    Proof.EMERGENCY: {"mfa_bypass"},
}


def highest(proofs: Iterable[Proof]) -> int:
    """The highest level, 1 for `aal1`, that these proofs of one session are worth; 0 if they are worth none."""
    made = set(proofs)
    if not made:
        return 0
    first = bool(made & _FIRST)
    if (first and Proof.KEY in made) or Proof.PROVIDER_AAL3 in made:
        return 3
    if (first and made & _SECOND) or Proof.PASSKEY in made or Proof.PROVIDER_AAL2 in made:
        return 2
    return 1


def methods(proofs: Iterable[Proof], upstream: Iterable[str] = ()) -> frozenset[str]:
    """The methods that `amr` may name; `upstream` are those that a trusted provider named for its own login."""
    return frozenset(upstream).union(*(_METHODS.get(proof, set()) for proof in proofs))


def number(level: str) -> int:
    """1 for `aal1`. Raises ValueError for what is no level."""
    if level not in ("aal1", "aal2", "aal3"):
        raise ValueError(f"{level!r} is no level")
    return int(level[-1])
