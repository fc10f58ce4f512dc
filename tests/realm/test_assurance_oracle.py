"""The rules by which logins are judged, by themselves: what adds up, and what never does."""

from __future__ import annotations

from itertools import combinations

import pytest
from assurance_oracle import Proof, highest, methods, number


@pytest.mark.parametrize(
    ("proofs", "level"),
    [
        ([], 0),
        ([Proof.PASSWORD], 1),
        ([Proof.PROVIDER], 1),
        ([Proof.CLIENT], 1),
        ([Proof.KEY], 1),
        ([Proof.APP, Proof.RECOVERY], 1),
        ([Proof.PASSWORD, Proof.APP], 2),
        ([Proof.PASSWORD, Proof.RECOVERY], 2),
        ([Proof.PROVIDER, Proof.APP], 2),
        ([Proof.PASSKEY], 2),
        ([Proof.PROVIDER_AAL2], 2),
        ([Proof.PASSWORD, Proof.KEY], 3),
        ([Proof.PASSKEY, Proof.KEY], 3),
        ([Proof.PROVIDER_AAL3], 3),
    ],
)
def test_what_adds_up(proofs: list[Proof], level: int) -> None:
    assert highest(proofs) == level


def test_one_more_proof_never_lowers_a_level() -> None:
    for size in range(len(Proof)):
        for made in combinations(Proof, size):
            assert all(highest([*made, more]) >= highest(made) for more in Proof)


def test_only_hardware_reaches_the_highest_level() -> None:
    hardware = {Proof.KEY, Proof.PROVIDER_AAL3}
    others = [proof for proof in Proof if proof not in hardware]
    assert highest(others) == 2


def test_methods_are_those_of_the_proofs_and_what_a_trusted_provider_named() -> None:
    assert methods([Proof.PASSWORD, Proof.APP]) == {"pwd", "otp"}
    assert methods([Proof.PROVIDER]) == frozenset()
    assert methods([Proof.PROVIDER_AAL2], ["mfa"]) == {"mfa"}


@pytest.mark.parametrize("word", ["", "aal4", "3", "gold"])
def test_a_word_that_is_no_level_is_refused(word: str) -> None:
    with pytest.raises(ValueError, match="no level"):
        number(word)
