"""Ways into an account that must not exist, whatever a client or a person asks for."""

from __future__ import annotations

import urllib.parse
from typing import TYPE_CHECKING

import httpx
import pytest

from admin_sync.keycloak.connection import Refused
from stack.login import HttpLogin, LoginFailed, Tokens

if TYPE_CHECKING:
    from stack.login import Login, SavedFactor
    from stack.login.forms import PageReader
    from tests.realm.conftest import Person, Realm

pytestmark = pytest.mark.integration

CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
"""The code challenge of RFC 7636, appendix B."""


def authorize(realm: Realm, **query: str) -> httpx.Response:
    fixed = {"client_id": "tradepulse-cli", "redirect_uri": "http://127.0.0.1:1/callback", "scope": "openid"}
    url = f"{realm.issuer}/protocol/openid-connect/auth?{urllib.parse.urlencode({**fixed, **query})}"
    return httpx.get(url, timeout=20)


def refusal(response: httpx.Response) -> str:
    """The error that the client is sent back with."""
    location = urllib.parse.urlsplit(response.headers["Location"])
    return dict(urllib.parse.parse_qsl(location.query or location.fragment))["error"]


def test_a_password_cannot_be_exchanged_for_a_token(realm: Realm, app_holder: tuple[Person, SavedFactor]) -> None:
    person, _ = app_holder
    form = {
        "grant_type": "password",
        "client_id": "tradepulse-cli",
        "username": person.email,
        "password": person.password,
    }
    response = httpx.post(f"{realm.issuer}/protocol/openid-connect/token", data=form, timeout=20)
    assert response.status_code in (400, 401)
    assert "access_token" not in response.json()


def test_no_client_can_be_made_that_takes_passwords_or_answers_in_a_fragment(realm: Realm) -> None:
    body = {
        "clientId": "careless",
        "publicClient": True,
        "directAccessGrantsEnabled": True,
        "implicitFlowEnabled": True,
        "redirectUris": ["http://127.0.0.1/callback"],
    }
    identity = realm.admin.post(f"{realm.path}/clients", body)
    try:
        client = realm.admin.get(f"{realm.path}/clients/{identity}")
        assert not client["directAccessGrantsEnabled"]
        assert not client["implicitFlowEnabled"]
        assert client["attributes"]["pkce.code.challenge.method"] == "S256"
    finally:
        realm.admin.delete(f"{realm.path}/clients/{identity}")


@pytest.mark.parametrize("uri", ["https://app.example/*", "*", "http://127.0.0.1/*", "com.example.app:/callback"])
def test_no_client_can_be_made_with_an_open_redirect(realm: Realm, uri: str) -> None:
    with pytest.raises(Refused):
        realm.admin.post(f"{realm.path}/clients", {"clientId": "careless", "publicClient": True, "redirectUris": [uri]})


def test_a_login_without_a_code_challenge_is_refused(realm: Realm) -> None:
    assert refusal(authorize(realm, response_type="code")) == "invalid_request"
    plain = {"code_challenge": CHALLENGE, "code_challenge_method": "plain"}
    assert refusal(authorize(realm, response_type="code", **plain)) == "invalid_request"


@pytest.mark.parametrize("kind", ["token", "id_token token", "code token"])
def test_no_token_comes_back_in_an_address(realm: Realm, kind: str) -> None:
    response = authorize(realm, response_type=kind, nonce="n", code_challenge=CHALLENGE, code_challenge_method="S256")
    assert "access_token" not in response.headers.get("Location", "")
    assert response.status_code >= 400 or refusal(response) in ("unauthorized_client", "invalid_request")


def test_a_refresh_token_works_once(realm: Realm, app_holder: tuple[Person, SavedFactor]) -> None:
    person, app = app_holder
    with realm.forms(app) as driver:
        tokens = driver.login(person.again(acr="aal2"))

    def refresh(token: str) -> httpx.Response:
        form = {"grant_type": "refresh_token", "client_id": "tradepulse-cli", "refresh_token": token}
        return httpx.post(f"{realm.issuer}/protocol/openid-connect/token", data=form, timeout=20)

    newer = refresh(tokens.refresh_token)
    assert newer.status_code == 200
    assert refresh(tokens.refresh_token).status_code == 400
    # The second use tells that one of the two holders is a thief: neither keeps the session.
    assert refresh(newer.json()["refresh_token"]).status_code == 400


class ForgedProfile(HttpLogin):
    """Answers the page for one's own profile with fields that the page does not offer."""

    email = "somebody.else@tradepulse.example"

    def answer(self, page: PageReader, login: Login, new_password: str | None) -> tuple[str, dict[str, str]] | None:
        """The forged form, and the ordinary answer to every other page."""
        if "kc-update-profile-form" in page.forms:
            fields = {"firstName": "Given", "lastName": "Name", "email": self.email, "username": self.email}
            return "kc-update-profile-form", fields
        return super().answer(page, login, new_password)


def test_nobody_changes_the_address_that_grants_name(realm: Realm, app_holder: tuple[Person, SavedFactor]) -> None:
    person, app = app_holder
    user = realm.admin.get(f"{realm.path}/users/{person.id}")
    realm.admin.put(f"{realm.path}/users/{person.id}", {**user, "requiredActions": ["UPDATE_PROFILE"]})
    try:
        with ForgedProfile(realm.issuer, saved=app) as driver:
            try:
                outcome: Tokens | None = driver.login(person.again(acr="aal2"))
            except LoginFailed:
                outcome = None
            assert "kc-update-profile-form" in driver.visited
        after = realm.admin.get(f"{realm.path}/users/{person.id}")
        assert (after["email"], after["username"]) == (person.email, person.email)
        assert outcome is None or outcome.claims()["email"] == person.email
    finally:
        realm.admin.put(f"{realm.path}/users/{person.id}", {**user, "requiredActions": []})
