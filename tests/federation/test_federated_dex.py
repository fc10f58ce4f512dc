"""A provider that is neither Keycloak nor ours: Dex, with its own login page, groups and keys."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING

import pytest
from dex_process import DexPerson

from stack.login import LoginFailed

if TYPE_CHECKING:
    from tests.federation.conftest import Federation

pytestmark = pytest.mark.integration

KEYS_AGAIN = 12.0
"""Seconds after which Keycloak asks for a provider's keys again at the latest; it does so every ten."""


def test_a_person_of_dex_comes_and_goes_with_their_groups_and_outlives_its_keys(federation: Federation) -> None:
    dex = federation.dex
    person = DexPerson(f"{secrets.token_hex(6)}@federated.example", secrets.token_hex(8), secrets.token_hex(12))
    as_person = {"username": person.email, "password": person.password, "acr": "aal1"}
    person.groups = ["up-research", "up-unknown"]
    dex.run(person)
    with federation.forms() as driver:
        claims = driver.by("dex", **as_person).claims()
        assert (claims["email"], claims["groups"]) == (person.email, ["quant", "viewer"])
        assert (claims["acr"], claims["assurance_level"]) == ("aal1", "aal1"), "Dex tells nothing of its logins"
        app = driver.factor

    person.groups = []
    dex.know(person)
    again = federation.login("dex", app, **as_person).claims()
    assert (again["sub"], again["groups"]) == (claims["sub"], []), "lost there, lost here"

    with pytest.raises(LoginFailed):
        federation.login("dex", app, **as_person | {"password": "guessed"})
    person.verified = False
    dex.know(person)
    with pytest.raises(LoginFailed, match="has not verified"):
        federation.login("dex", app, **as_person)

    dex.stop()
    with pytest.raises(LoginFailed):
        federation.login("dex", app, **as_person)
    person.verified = True
    dex.run(person)
    deadline = time.monotonic() + KEYS_AGAIN
    while True:
        try:
            with_new_keys = federation.login("dex", app, **as_person).claims()
            break
        except LoginFailed:
            assert time.monotonic() < deadline
            time.sleep(1)
    assert with_new_keys["sub"] == claims["sub"]
