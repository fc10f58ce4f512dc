"""Emergency codes as text: halves, and what recognises them."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from admin_sync.bypass.code import ALPHABET, Verifier, new_half, verifier

REALM, ADDRESS, SALT = "tradepulse-dev", "ana@x.example", bytes(range(16))


def test_a_verifier_is_the_one_that_keycloak_computes() -> None:
    # The same vector is in the extension's VerifierTest.
    made = verifier("K7QF2-M2XD9", REALM, "Ana@X.example", SALT)
    assert made.salt == "000102030405060708090a0b0c0d0e0f"
    assert made.hash == "ceeaa71267b0d60edbb7e9cbdd6234fe09df7a10cbeceda8610144e6988795d6"


def test_halves_are_never_the_same_and_have_no_letters_that_look_like_digits() -> None:
    halves = {new_half() for _ in range(500)}
    assert len(halves) == 500
    assert set("".join(halves)) == {*ALPHABET, "-"}
    assert all(len(half) == 11 for half in halves)


@pytest.mark.parametrize("other", [("K7QF2-M2XD8", REALM, ADDRESS), ("K7QF2-M2XD9", "tradepulse-prod", ADDRESS)])
def test_another_half_or_another_realm_has_another_verifier(other: tuple[str, str, str]) -> None:
    assert verifier(*other, SALT) != verifier("K7QF2-M2XD9", REALM, ADDRESS, SALT)


@pytest.mark.parametrize("text", ["", "K7QF2", "K7QF2-M2XD9-0", "K7QF2-M2XDU"])
def test_what_is_no_half_has_no_verifier(text: str) -> None:
    with pytest.raises(ValueError, match="ten letters and digits"):
        verifier(text, REALM, ADDRESS)


def test_a_verifier_is_shown_nowhere() -> None:
    made = verifier("K7QF2-M2XD9", REALM, ADDRESS, SALT)
    assert made.hash not in f"{made!r} {made} {[made]}"


@pytest.mark.parametrize("salt", ["00", "G" * 32, "A" * 32, "0" * 32 + "\n"])
def test_only_a_verifier_is_read_as_one(salt: str) -> None:
    with pytest.raises(ValidationError):
        Verifier(salt=salt, hash="0" * 64)
