from __future__ import annotations

import dataclasses
import itertools

import pytest

from identity.principal import AssuranceLevel, Membership, Principal

LEVELS = list(AssuranceLevel)


@pytest.mark.parametrize(("low", "high"), list(itertools.combinations(LEVELS, 2)))
def test_assurance_levels_are_ordered_by_strength(low, high):
    assert low < high
    assert low <= high
    assert high > low
    assert high >= low
    assert not high < low
    assert low != high
    assert max(low, high) is high


@pytest.mark.parametrize("other", ["aal1", "aal9", "phr", 2, None])
def test_an_assurance_level_is_not_compared_with_mere_text(other):
    for compare in ("__lt__", "__le__", "__gt__", "__ge__"):
        with pytest.raises(TypeError):
            getattr(AssuranceLevel.AAL2, compare)(other)


def make(**changes):
    fields = {
        "subject": "1",
        "email": None,
        "kind": "person",
        "environment": "dev",
        "issuer": "i",
        "client": "c",
        "groups": frozenset(),
        "assurance_level": AssuranceLevel.AAL1,
        "acr": None,
        "amr": (),
        "auth_time": None,
        "session": None,
        "expires_at": 1,
        "token_name": "t",
    }
    return Principal(**{**fields, **changes})


def test_nobody_changes_a_principal_after_verification():
    principal = make(organizations={"acme": Membership("acme", "1")})
    with pytest.raises(dataclasses.FrozenInstanceError):
        principal.groups = frozenset({"admin"})
    with pytest.raises(TypeError):
        make().organizations["acme"] = Membership("acme", "1")


def test_an_actor_is_named_by_what_identifies_it():
    assert make(email="a@b").actor == "a@b"
    assert make().actor == "1"
    assert make(kind="service", email="a@b").actor == "c"
