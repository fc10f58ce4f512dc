"""Ways into an account that must not exist, whatever a client or a person asks for."""

from __future__ import annotations

import os
import time
import urllib.parse
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Final

import httpx
import pytest

from admin_sync.keycloak.connection import Refused
from stack.login import Factor, HttpLogin, LoginFailed, Tokens

if TYPE_CHECKING:
    from stack.login import Login, SavedFactor
    from stack.login.forms import PageReader
    from tests.realm.conftest import Person, Realm

pytestmark = pytest.mark.integration

BRUTE_FORCE: Final = "attack-detection/brute-force/users"
ROUNDS: Final = int(os.environ.get("TRADEPULSE_SOAK", "1"))

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


@pytest.mark.parametrize(
    "uri",
    [
        "http://127.0.0.1:1/callback/more",
        "http://127.0.0.1:1/callbackmore",
        "http://127.0.0.1:1/callback/../elsewhere",
        "http://127.0.0.1:1/callback%2f..%2felsewhere",
        "http://127.0.0.1:1/callback%2Fmore",
        "http://127.0.0.1:1//callback",
        "http://127.0.0.1:1//evil.example/callback",
        "http://127.0.0.1@evil.example/callback",
        "http://127.0.0.1:1@evil.example/callback",
        "http://evil.example@127.0.0.1:1/callback",
        "http://127.0.0.1.evil.example/callback",
        "http://127.0.0.1:1/callback?next=//evil.example",
        "http://127.0.0.1:1/callback#evil",
        "//evil.example/callback",
        "https://127.0.0.1:1/callback",
        "http://127.0.0.1:1/CALLBACK",
        "javascript:alert(1)",
        "",
    ],
)
def test_a_login_goes_back_to_the_registered_address_and_no_other(realm: Realm, uri: str) -> None:
    challenge = {"code_challenge": CHALLENGE, "code_challenge_method": "S256"}
    response = authorize(realm, response_type="code", redirect_uri=uri, **challenge)
    assert response.status_code == 400
    assert "Location" not in response.headers
    assert "evil" not in response.text


def test_the_registered_address_is_taken_at_any_port(realm: Realm) -> None:
    response = authorize(realm, response_type="code", code_challenge=CHALLENGE, code_challenge_method="S256")
    assert response.status_code == 200


def refresh(realm: Realm, token: str) -> httpx.Response:
    form = {"grant_type": "refresh_token", "client_id": "tradepulse-cli", "refresh_token": token}
    return httpx.post(f"{realm.issuer}/protocol/openid-connect/token", data=form, timeout=20)


def test_a_refresh_token_works_once(realm: Realm, app_holder: tuple[Person, SavedFactor]) -> None:
    person, app = app_holder
    with realm.forms(app) as driver:
        tokens = driver.login(person.again(acr="aal2"))
    newer = refresh(realm, tokens.refresh_token)
    assert newer.status_code == 200
    assert refresh(realm, tokens.refresh_token).status_code == 400
    # The second use tells that one of the two holders is a thief: neither keeps the session.
    assert refresh(realm, newer.json()["refresh_token"]).status_code == 400
    session = tokens.claims()["sid"]
    line = next(
        line
        for line in (realm.audit / "iam_events.jsonl").read_text().splitlines()[::-1]
        if session in line and "token.refreshed.error" in line
    )
    assert '"outcome":"failure"' in line


def test_two_honest_tabs_refresh_side_by_side(realm: Realm, app_holder: tuple[Person, SavedFactor]) -> None:
    person, app = app_holder
    with realm.forms(app) as driver:
        tabs = [driver.login(person.again(acr="aal2")).refresh_token for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        for _ in range(5 * ROUNDS):
            answers = list(pool.map(lambda token: refresh(realm, token), tabs))
            assert [answer.status_code for answer in answers] == [200, 200]
            tabs = [answer.json()["refresh_token"] for answer in answers]


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


class WrongCode(HttpLogin):
    """Knows the password, and guesses once at the code."""

    def answer(self, page: PageReader, login: Login, new_password: str | None) -> tuple[str, dict[str, str]] | None:
        """The right password, one wrong code, and then nothing."""
        if "kc-otp-login-form" not in page.forms:
            return super().answer(page, login, new_password)
        if "kc-otp-login-form" in self.visited:
            return None
        return "kc-otp-login-form", {**page.forms["kc-otp-login-form"].fields, "otp": "000000"}


@pytest.fixture
def short_pauses(realm: Realm) -> Iterator[None]:
    """A realm in which a guesser waits a second where it would be a minute."""
    usual = realm.admin.get(realm.path)
    pauses = {"waitIncrementSeconds": 1, "minimumQuickLoginWaitSeconds": 1}
    realm.admin.put(realm.path, {**usual, **pauses})
    yield
    realm.admin.put(realm.path, {**realm.admin.get(realm.path), **{name: usual[name] for name in pauses}})


@pytest.mark.usefixtures("short_pauses")
def test_wrong_codes_disable_an_account_although_its_password_is_right(
    realm: Realm, new_person: Callable[..., AbstractContextManager[Person]]
) -> None:
    limit = realm.admin.get(realm.path)["maxSecondaryAuthFailures"]
    with new_person() as person:
        with realm.forms() as driver:
            driver.first_login(person.first(Factor.AUTHENTICATOR_APP))
        account, attempts = (f"{realm.path}/{place}/{person.id}" for place in ("users", BRUTE_FORCE))
        for guess in range(1, limit + 2):
            with WrongCode(realm.issuer) as driver, pytest.raises(LoginFailed):
                driver.login(person.again(acr="aal2"))
            assert "kc-otp-login-form" in driver.visited
            # Keycloak counts just after it has answered; then the pause of a guesser who has time.
            awaited(lambda guess=guess: realm.admin.get(attempts)["numSecondaryAuthFailures"] >= guess)
            if guess <= limit:
                awaited(lambda: not realm.admin.get(attempts)["disabled"])
        awaited(lambda: not realm.admin.get(account)["enabled"])


def awaited(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_after_thirty_wrong_passwords_the_right_one_has_to_wait(
    realm: Realm, app_holder: tuple[Person, SavedFactor]
) -> None:
    person, app = app_holder
    wrong = type(person.again())(person.email, "not the password")
    try:
        for _ in range(10):
            with realm.forms() as driver, pytest.raises(LoginFailed):
                driver.login(wrong)
            assert len(driver.visited) == 4
        with realm.forms(app) as driver, pytest.raises(LoginFailed):
            driver.login(person.again())
    finally:
        realm.admin.delete(f"{realm.path}/{BRUTE_FORCE}/{person.id}")
