"""What a login at an identity provider is worth: nothing that it merely claims, and no account but its own."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode, urlsplit

import orjson
import pytest

from stack.login import HttpLogin, Login, LoginFailed, SavedFactor
from stack.login.forms import PageReader
from stack.login.oidc import AuthorizationRequest, Redirect

if TYPE_CHECKING:
    from tests.realm.conftest import Person, Realm

pytestmark = pytest.mark.integration

BOASTFUL = {
    "acr": "aal3",
    "amr": ["hwk", "mfa"],
    "email_verified": True,
    "groups": ["admin"],
    "assurance_level": "aal3",
}


class Brokered(HttpLogin):
    """Comes from the mock provider, which signs whatever claims one types into its page."""

    email: str

    def answer(self, page: PageReader, login: Login, new_password: str | None) -> tuple[str, dict[str, str]] | None:
        """The provider's page, and the ordinary answer to Keycloak's."""
        if page.title == "" and "" in page.forms and not page.forms[""].action:
            # The provider takes the user name for the subject and the address.
            return "", {"username": self.email, "claims": orjson.dumps(BOASTFUL).decode()}
        if "kc-register-form" in page.forms and "kc-form-login" not in page.forms:
            return "kc-register-form", {"submitAction": "linkAccount"}
        return super().answer(page, login, new_password)


@pytest.fixture
def newcomer(realm: Realm) -> Iterator[str]:
    """The address of somebody whom only the provider knows."""
    email = f"{secrets.token_hex(6)}@tradepulse.example"
    yield email
    for user in realm.admin.pages(f"{realm.path}/users", email=email, exact=True):
        realm.admin.delete(f"{realm.path}/users/{user['id']}")


def brokered(realm: Realm, email: str, saved: SavedFactor | None = None) -> Brokered:
    driver = Brokered(realm.issuer, saved=saved)
    driver.email = email
    return driver


def test_what_a_provider_claims_about_its_login_raises_nothing(realm: Realm, newcomer: str) -> None:
    with brokered(realm, newcomer) as driver, pytest.raises(LoginFailed, match="needs a security key"):
        driver.login(Login(newcomer, "", acr="aal3", provider="mock"))


def test_a_newcomer_registers_a_factor_and_reaches_the_second_level_by_it(realm: Realm, newcomer: str) -> None:
    with brokered(realm, newcomer) as driver:
        claims = driver.login(Login(newcomer, "", acr="aal2", provider="mock")).claims()
        assert (claims["acr"], claims["assurance_level"], claims["groups"]) == ("aal1", "aal1", [])
        assert not {"hwk", "mfa"} & set(claims["amr"])
        assert driver.visited[-2:] == ["tradepulse-choose-factor", "kc-totp-settings-form"]
        app = driver.factor
    with brokered(realm, newcomer, app) as driver:
        claims = driver.login(Login(newcomer, "", acr="aal2", provider="mock")).claims()
        assert (claims["acr"], claims["amr"]) == ("aal2", ["otp"])


def test_an_address_at_a_provider_does_not_open_the_account_that_has_it(
    realm: Realm, app_holder: tuple[Person, SavedFactor]
) -> None:
    person, _ = app_holder
    with brokered(realm, person.email) as driver:
        with pytest.raises(LoginFailed, match="Invalid"):
            driver.login(Login(person.email, "not the password", provider="mock"))
        assert "kc-register-form" in driver.visited
    assert realm.admin.get(f"{realm.path}/users/{person.id}/federated-identity") == []
    realm.admin.delete(f"{realm.path}/attack-detection/brute-force/users/{person.id}")


def test_an_account_is_linked_by_its_owner_with_password_and_factor(
    realm: Realm, app_holder: tuple[Person, SavedFactor]
) -> None:
    person, app = app_holder
    try:
        with brokered(realm, person.email, app) as driver:
            claims = driver.login(person.again(provider="mock")).claims()
            assert claims["sub"] == person.id
            assert "kc-otp-login-form" in driver.visited
        linked = realm.admin.get(f"{realm.path}/users/{person.id}/federated-identity")
        assert [link["identityProvider"] for link in linked] == ["mock"]
    finally:
        realm.admin.delete(f"{realm.path}/users/{person.id}/federated-identity/mock")


def test_what_one_person_proved_is_not_proved_by_the_next_one_whom_a_provider_brings_in_the_same_login(
    realm: Realm, newcomer: str, app_holder: tuple[Person, SavedFactor]
) -> None:
    person, app = app_holder
    theirs = Login(newcomer, "", acr="aal2", provider="mock")
    with brokered(realm, newcomer) as driver:
        driver.login(theirs)
        assert driver.factor.secret, "the other one has a factor of their own"
    with brokered(realm, newcomer, SavedFactor(secret=app.secret)) as driver, Redirect() as redirect:
        driver.login(person.again(acr="aal2"))
        request = AuthorizationRequest(realm.issuer, "tradepulse-cli", redirect, replace(theirs, provider=None))
        page = PageReader(driver._http.get(f"{request.url}&prompt=login").text)
        known = parse_qs(urlsplit(page.forms["kc-form-login"].action).query)
        kept = {name: known[name][0] for name in ("client_id", "tab_id", "session_code", "client_data")}
        driver.factor.secret = None
        with pytest.raises(ValueError, match="no authenticator app"):
            driver._walk(f"{realm.issuer}/broker/mock/login?{urlencode(kept)}", redirect, theirs)
