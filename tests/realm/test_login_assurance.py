"""Which level a login reaches: what was proved in it, and never what was registered on the way."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from stack.login import BrowserLogin, LoginFailed
from stack.login.key import plugged_in

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from stack.login import Login, SavedFactor, Tokens
    from stack.login.oidc import Redirect
    from tests.realm.conftest import Person, Realm

pytestmark = pytest.mark.integration


def proved(tokens: Tokens) -> tuple[str, list[str]]:
    claims = tokens.claims()
    assert claims["assurance_level"] == claims["acr"]
    return claims["acr"], claims["amr"]


def credentials(realm: Realm, person: Person) -> list[str]:
    found: list[dict[str, Any]] = realm.admin.get(f"{realm.path}/users/{person.id}/credentials")
    return sorted(credential["type"] for credential in found if credential["type"] != "password-history")


def test_a_first_login_registers_a_security_key_and_stays_at_the_lowest_level(realm: Realm, person: Person) -> None:
    with realm.browser() as driver:
        assert proved(driver.first_login(person.first())) == ("aal1", ["pwd"])
        assert driver.visited == ["password", "update-password", "choose-factor", "register-key"]
    assert credentials(realm, person) == ["password", "webauthn"]


@pytest.mark.parametrize("essential", [False, True])
def test_a_stolen_password_cannot_register_a_key_on_the_way_to_the_highest_level(
    realm: Realm, bare_person: Person, essential: bool
) -> None:
    with realm.browser() as driver:
        with pytest.raises(LoginFailed, match="needs a security key"):
            driver.login(bare_person.again(acr="aal3", essential=essential))
        assert driver.visited == ["password"]
    assert credentials(realm, bare_person) == ["password"]


def test_registering_a_key_when_the_second_level_was_asked_for_does_not_give_it(realm: Realm, person: Person) -> None:
    with realm.browser() as driver:
        assert proved(driver.first_login(person.first(acr="aal2"))) == ("aal1", ["pwd"])


def test_a_login_without_a_factor_that_insists_on_the_second_level_fails(realm: Realm, bare_person: Person) -> None:
    with realm.forms() as driver:
        with pytest.raises(LoginFailed, match="requirements not fulfilled"):
            driver.login(bare_person.again(acr="aal2", essential=True))
        assert driver.visited == ["kc-form-login"]
    assert credentials(realm, bare_person) == ["password"]


def test_a_security_key_proves_the_second_level(realm: Realm, key_holder: tuple[Person, SavedFactor]) -> None:
    person, key = key_holder
    with realm.browser(key) as driver:
        assert proved(driver.login(person.again(acr="aal2"))) == ("aal2", ["pwd", "hwk"])


def test_a_security_key_is_asked_for_once_on_the_way_to_the_highest_level(
    realm: Realm, key_holder: tuple[Person, SavedFactor]
) -> None:
    person, key = key_holder
    with realm.browser(key) as driver:
        tokens = driver.login(person.again(acr="aal3", essential=True))
        assert proved(tokens) == ("aal3", ["pwd", "hwk"])
        assert driver.visited == ["password", "use-key"]


def test_a_running_session_steps_up_by_its_key_alone(realm: Realm, key_holder: tuple[Person, SavedFactor]) -> None:
    person, key = key_holder
    with realm.browser(key) as driver:
        first = driver.login(person.again(acr="aal1"))
        assert proved(first) == ("aal1", ["pwd"])
        second = driver.login(person.again(acr="aal3"))
        assert proved(second)[0] == "aal3"
        assert "password" not in driver.visited
        assert first.claims()["sid"] == second.claims()["sid"]


def test_a_level_that_is_still_fresh_is_not_asked_for_again(
    realm: Realm, key_holder: tuple[Person, SavedFactor]
) -> None:
    person, key = key_holder
    with realm.browser(key) as driver:
        driver.login(person.again(acr="aal3"))
        assert proved(driver.login(person.again(acr="aal3")))[0] == "aal3"
        assert driver.visited == []


def test_a_maximum_age_makes_the_person_prove_everything_again(
    realm: Realm, key_holder: tuple[Person, SavedFactor]
) -> None:
    person, key = key_holder
    with realm.browser(key) as driver:
        before = driver.login(person.again(acr="aal2"))
        # Keycloak counts in whole seconds: within the second of a login even an age of nought is not exceeded.
        time.sleep(2.1)
        after = driver.login(person.again(acr="aal2", max_age=1))
        assert driver.visited == ["password", "use-key"]
        assert after.claims()["auth_time"] > before.claims()["auth_time"]


def test_another_key_than_the_registered_one_is_refused(realm: Realm, key_holder: tuple[Person, SavedFactor]) -> None:
    person, _ = key_holder
    with realm.browser(timeout=15) as driver, pytest.raises(LoginFailed, match="Passkey"):
        driver.login(person.again(acr="aal2"))


class Autofilled(BrowserLogin):
    """Clicks on nothing and types nothing: the browser offers its passkey on the page for the password by itself."""

    def _walk(self, page: Page, url: str, redirect: Redirect, login: Login) -> dict[str, str]:
        with plugged_in(page, self.factor, passkey=True):
            page.goto(url)
            redirect.arrived.wait(30)
        if redirect.answer is None:
            raise LoginFailed("the browser offered no passkey")
        return redirect.answer


def test_a_passkey_alone_proves_the_second_level_and_no_password(realm: Realm, person: Person) -> None:
    with BrowserLogin(realm.issuer, passkey=True) as driver:
        driver.first_login(person.first())
        driver.login(person.again(acr="aal2", action="webauthn-register-passwordless"))
        assert driver.visited == ["use-key", "register-key"]
        saved = driver.factor
    with BrowserLogin(realm.issuer, saved=saved, passkey=True) as driver:
        assert proved(driver.login(person.again(acr="aal2", essential=True))) == ("aal2", ["hwk"])
        assert driver.visited == ["password"]
    with Autofilled(realm.issuer, saved=saved, passkey=True) as driver:
        assert proved(driver.login(person.again(acr="aal2", essential=True))) == ("aal2", ["hwk"])


def test_a_second_key_can_only_be_registered_with_the_first(
    realm: Realm, key_holder: tuple[Person, SavedFactor]
) -> None:
    person, _ = key_holder
    with realm.browser(timeout=15) as driver:
        with pytest.raises(LoginFailed, match="Passkey"):
            driver.login(person.again(action="webauthn-register"))
        assert "register-key" not in driver.visited


@pytest.mark.parametrize(
    "action", ["CONFIGURE_TOTP", "webauthn-register-passwordless", "CONFIGURE_RECOVERY_AUTHN_CODES"]
)
def test_a_password_alone_adds_no_factor_beside_a_security_key(
    realm: Realm, key_holder: tuple[Person, SavedFactor], action: str
) -> None:
    person, _ = key_holder
    with realm.forms() as driver:
        assert proved(driver.login(person.again(acr="aal1", action=action))) == ("aal1", ["pwd"])
        assert driver.visited == ["kc-form-login"]
    assert credentials(realm, person) == ["password", "webauthn"]


def test_a_password_typed_again_does_not_make_an_older_factor_fresh(
    realm: Realm, app_holder: tuple[Person, SavedFactor]
) -> None:
    person, app = app_holder
    with realm.forms(app) as driver:
        factor = driver.login(person.again(acr="aal2")).claims()
        time.sleep(2)
        password = driver.login(person.again(acr="aal1", max_age=0)).claims()
        after = driver.login(person.again(acr="aal2")).claims()
        assert driver.visited == []
    assert password["auth_time"] > factor["auth_time"]
    assert (after["acr"], after["auth_time"]) == ("aal2", factor["auth_time"])


def test_a_one_time_code_proves_the_second_level_and_never_the_highest(
    realm: Realm, app_holder: tuple[Person, SavedFactor]
) -> None:
    person, app = app_holder
    with realm.forms(app) as driver:
        assert proved(driver.login(person.again(acr="aal2"))) == ("aal2", ["pwd", "otp"])
        with pytest.raises(LoginFailed, match="needs a security key"):
            driver.login(person.again(acr="aal3"))
        assert credentials(realm, person) == ["otp", "password"]


def test_a_one_time_code_works_once(realm: Realm, app_holder: tuple[Person, SavedFactor]) -> None:
    person, app = app_holder
    for _ in range(4):
        with realm.forms(app) as driver:
            driver.login(person.again(acr="aal2"))
        spent = app.last_step
        app.last_step -= 1
        with realm.forms(app) as driver:
            assert proved(driver.login(person.again(acr="aal2")))[0] == "aal2"
            asked = driver.visited.count("kc-otp-login-form")
        if asked == 2 or app.last_step == spent:
            break
        # Half a minute ended between the two, so that the second began with a code of its own.
    # The code of that moment was spent: the page came back, and the next one was taken.
    assert asked == 2


def test_no_factor_by_sms_voice_or_mail_exists(realm: Realm) -> None:
    providers = realm.admin.get(f"{realm.path}/authentication/authenticator-providers")
    names = " ".join(provider["id"] for provider in providers)
    assert not re.search(r"sms|voice|phone|email-otp", names)
    actions = {action["alias"]: action for action in realm.admin.get(f"{realm.path}/authentication/required-actions")}
    assert not actions["CONFIGURE_RECOVERY_AUTHN_CODES"]["defaultAction"]
    assert not actions["VERIFY_EMAIL"]["enabled"]


def test_guessing_passwords_locks_the_account_for_a_while_and_ends_no_session(
    realm: Realm, app_holder: tuple[Person, SavedFactor]
) -> None:
    person, app = app_holder
    with realm.forms(app) as inside:
        before = inside.login(person.again(acr="aal1"))
        try:
            for _ in range(2):
                with realm.forms() as driver, pytest.raises(LoginFailed):
                    driver.login(type(person.again())(person.email, "not the password"))
            with realm.forms(app) as driver, pytest.raises(LoginFailed):
                driver.login(person.again())
            # Anybody can lock anybody out; that must not stop who is at work. A new proof is another matter.
            form = {"grant_type": "refresh_token", "client_id": "tradepulse-cli", "refresh_token": before.refresh_token}
            assert httpx.post(f"{realm.issuer}/protocol/openid-connect/token", data=form).status_code == 200
            inside.login(person.again(acr="aal1"))
            assert inside.visited == []
            with pytest.raises(LoginFailed):
                inside.login(person.again(acr="aal2"))
        finally:
            realm.admin.delete(f"{realm.path}/attack-detection/brute-force/users/{person.id}")
