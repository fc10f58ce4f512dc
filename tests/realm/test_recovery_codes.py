"""Recovery codes: a second factor for whoever lost theirs, never the highest level, and no way around a factor."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from stack.login import Factor, LoginFailed, SavedFactor

if TYPE_CHECKING:
    from stack.login import Tokens
    from tests.realm.conftest import Person, Realm

pytestmark = pytest.mark.integration

REGISTRATION = "kc-recovery-codes-settings-form"
CODE = "kc-recovery-code-login-form"


@pytest.fixture(scope="module")
def code_holder(
    realm: Realm, new_person: Callable[..., AbstractContextManager[Person]]
) -> Iterator[tuple[Person, SavedFactor]]:
    """Somebody with an authenticator app and recovery codes, both of the first login."""
    with new_person() as somebody, realm.forms() as driver:
        first = replace(somebody.first(Factor.AUTHENTICATOR_APP), recovery_codes=True)
        claims = driver.first_login(first).claims()
        assert (claims["acr"], claims["amr"]) == ("aal1", ["pwd"])
        assert driver.visited[-3:] == ["tradepulse-choose-factor", "kc-totp-settings-form", REGISTRATION]
        yield somebody, driver.factor


def proved(tokens: Tokens) -> tuple[str, str, list[str]]:
    claims = tokens.claims()
    return claims["acr"], claims["assurance_level"], claims["amr"]


def kinds(realm: Realm, person: Person) -> list[str]:
    found: list[dict[str, Any]] = realm.admin.get(f"{realm.path}/users/{person.id}/credentials")
    return sorted(credential["type"] for credential in found if credential["type"] != "password-history")


def audited(realm: Realm, *words: str) -> dict[str, Any]:
    """The newest line of the audit that has all these words; Keycloak writes it just after it has answered."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        lines = (realm.audit / "iam_events.jsonl").read_text().splitlines()
        found = [line for line in lines if all(word in line for word in words)]
        if found:
            line: dict[str, Any] = orjson.loads(found[-1])
            return line
        time.sleep(0.1)
    pytest.fail(f"no line of the audit has {words}")


def test_a_recovery_code_proves_the_second_level_by_its_own_name(
    realm: Realm, code_holder: tuple[Person, SavedFactor]
) -> None:
    person, saved = code_holder
    with realm.forms(saved) as driver:
        tokens = driver.login(person.again(acr="aal2", essential=True, recovery_code=True))
        assert proved(tokens) == ("aal2", "aal2", ["pwd", "recovery"])
    line = audited(realm, '"event":"login"', tokens.claims()["sid"])
    assert line["amr"] == ["pwd", "recovery"]
    assert "credential_type=recovery-authn-codes" in line["resource"]


def test_a_recovery_code_never_proves_the_highest_level(realm: Realm, code_holder: tuple[Person, SavedFactor]) -> None:
    person, saved = code_holder
    with realm.forms(saved) as driver, pytest.raises(LoginFailed, match="needs a security key"):
        driver.login(person.again(acr="aal3", recovery_code=True))


def test_a_recovery_code_works_once(realm: Realm, code_holder: tuple[Person, SavedFactor]) -> None:
    person, saved = code_holder
    spent = saved.recovery_codes[0]
    with realm.forms(saved) as driver:
        driver.login(person.again(acr="aal2", recovery_code=True))
    again = SavedFactor(recovery_codes=[spent, *saved.recovery_codes])
    with realm.forms(again) as driver:
        assert proved(driver.login(person.again(acr="aal2", recovery_code=True)))[0] == "aal2"
        assert driver.visited.count(CODE) == 2
    saved.recovery_codes = again.recovery_codes


def test_a_password_alone_makes_no_new_codes(realm: Realm, code_holder: tuple[Person, SavedFactor]) -> None:
    person, _ = code_holder
    with realm.forms() as driver, pytest.raises(ValueError, match="no authenticator app"):
        # Keycloak asks for a factor first, and there is none to answer with.
        driver.login(person.again(acr="aal1", action="CONFIGURE_RECOVERY_AUTHN_CODES"))
    assert REGISTRATION not in driver.visited


def test_whoever_has_only_codes_left_uses_one_before_a_new_factor(
    realm: Realm, new_person: Callable[..., AbstractContextManager[Person]]
) -> None:
    with new_person() as person, realm.forms() as driver:
        driver.first_login(replace(person.first(Factor.AUTHENTICATOR_APP), recovery_codes=True))
        saved = driver.factor
        credentials = realm.admin.get(f"{realm.path}/users/{person.id}/credentials")
        [app] = [one["id"] for one in credentials if one["type"] == "otp"]
        realm.admin.delete(f"{realm.path}/users/{person.id}/credentials/{app}")
        with realm.forms() as thief:
            assert proved(thief.login(person.again(acr="aal1")))[0] == "aal1"
            assert "tradepulse-choose-factor" not in thief.visited
            with pytest.raises(ValueError, match="no recovery code"):
                thief.login(person.again(acr="aal1", action="webauthn-register"))
        assert kinds(realm, person) == ["password", "recovery-authn-codes"]
        with realm.forms(saved) as owner:
            tokens = owner.login(person.again(acr="aal2", recovery_code=True))
            assert owner.visited[-3:] == [CODE, "tradepulse-choose-factor", "kc-totp-settings-form"]
            assert proved(tokens)[0] == "aal2"
        assert kinds(realm, person) == ["otp", "password", "recovery-authn-codes"]


@pytest.mark.parametrize("action", ["webauthn-register", "CONFIGURE_TOTP", "CONFIGURE_RECOVERY_AUTHN_CODES"])
def test_a_registration_that_was_ordered_is_not_done_on_a_password_alone(
    realm: Realm, app_holder: tuple[Person, SavedFactor], action: str
) -> None:
    person, _ = app_holder
    place = f"{realm.path}/users/{person.id}"
    before = kinds(realm, person)
    realm.admin.put(place, {**realm.admin.get(place), "requiredActions": [action]})
    with realm.forms() as driver:
        assert proved(driver.login(person.again(acr="aal1")))[0] == "aal1"
        assert driver.visited == ["kc-form-login"]
    assert kinds(realm, person) == before
    assert realm.admin.get(place)["requiredActions"] == []
    assert audited(realm, "credential.registered.error", action, person.email)["reason"] == "not_allowed"


def test_a_password_alone_links_no_account_at_a_provider(realm: Realm, app_holder: tuple[Person, SavedFactor]) -> None:
    person, _ = app_holder
    with realm.forms() as driver:
        assert proved(driver.login(person.again(acr="aal1", action="idp_link:mock")))[0] == "aal1"
        assert driver.visited == ["kc-form-login"]
    assert realm.admin.get(f"{realm.path}/users/{person.id}/federated-identity") == []
    assert audited(realm, "credential.registered.error", "idp_link", person.email)["reason"] == "not_allowed"


def test_guessing_codes_locks_the_account_for_a_while(realm: Realm, code_holder: tuple[Person, SavedFactor]) -> None:
    person, saved = code_holder
    guesses = SavedFactor(recovery_codes=["AAAABBBBCCCC"] * 4)
    try:
        with realm.forms(guesses) as driver, pytest.raises(LoginFailed):
            driver.login(person.again(acr="aal2", recovery_code=True))
        with realm.forms(saved) as driver, pytest.raises(LoginFailed):
            driver.login(person.again(acr="aal2", recovery_code=True))
    finally:
        realm.admin.delete(f"{realm.path}/attack-detection/brute-force/users/{person.id}")
