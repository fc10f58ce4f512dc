"""Logins and running sessions that are judged, by device, network, journey, posture and failed factors."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

import httpx
import orjson
import pytest

from stack.layout import CHECKOUT
from stack.login import HttpLogin, Login, LoginFailed, SavedFactor
from stack.login.forms import PageReader
from stack.login.oidc import AuthorizationRequest, Redirect

if TYPE_CHECKING:
    from tests.conftest import Stack
    from tests.realm.conftest import Person, Realm

pytestmark = pytest.mark.integration

ATTRIBUTE = "tradepulse.risk"
DEVICE = "TRADEPULSE_DEVICE"
HOME, ELSEWHERE, BARRED = "127.0.0.11", "127.0.0.12", "127.0.0.13"

Record = dict[str, Any]


class Risk:
    """The policy of the realm and the operator's files, as a test wants them."""

    def __init__(self, realm: Realm, folder: Path) -> None:
        self.realm = realm
        self.folder = folder

    def decide_by(self, policy: Mapping[str, Any] | str | None) -> None:
        """Put a policy into the realm, or whatever text, or none."""
        text = policy if policy is None or isinstance(policy, str) else orjson.dumps(policy).decode()
        current = self.realm.admin.get(self.realm.path)
        attributes = {name: value for name, value in current["attributes"].items() if name != ATTRIBUTE}
        if text is not None:
            attributes[ATTRIBUTE] = text
        self.realm.admin.put(self.realm.path, {**current, "attributes": attributes})

    def file(self, name: str, text: str) -> str:
        """Write a file the way an operator should; its name as a policy has it."""
        fresh = self.folder / f"{name}.new"
        fresh.write_text(text)
        fresh.rename(self.folder / name)
        return self.name(name)

    def name(self, name: str) -> str:
        return str((self.folder / name).relative_to(CHECKOUT))

    def networks(self) -> Mapping[str, str]:
        return {"ip_deny_list": self.file("networks.txt", f"{ELSEWHERE}\n{BARRED} deny\n")}

    def told(self, person: str) -> list[tuple[str, str]]:
        """What the audit log says of somebody's judged logins: reasons and outcome, in order."""
        return [(line["reason"], line["resource"].partition(" risk=")[2].split()[0]) for line in self.lines(person, 0)]

    def lines(self, person: str, least: int = 1) -> list[Record]:
        """The lines themselves; Keycloak writes them just after it has answered."""
        deadline = time.monotonic() + 10
        while True:
            text = (self.realm.audit / "iam_events.jsonl").read_bytes()
            records = [orjson.loads(line) for line in text.splitlines() if b'"login.risk"' in line]
            found = [line for line in records if line["event"] == "login.risk" and line["actor"] == person]
            if len(found) >= least or time.monotonic() > deadline:
                return found
            time.sleep(0.05)

    def driver(self, saved: SavedFactor | None = None, address: str = HOME) -> HttpLogin:
        """A browser that nobody has used, at an address."""
        return at(HttpLogin(self.realm.issuer, saved=saved), address)


def at(driver: HttpLogin, address: str) -> HttpLogin:
    """The same browser, from that address from now on."""
    before = driver._http
    driver._http = httpx.Client(
        transport=httpx.HTTPTransport(local_address=address),
        follow_redirects=False,
        timeout=15.0,
        cookies=before.cookies,
    )
    driver._http.event_hooks["response"] = [driver._keep_cookies]
    before.close()
    return driver


def forget(driver: HttpLogin, *, device: bool) -> None:
    """Lose the device's cookie, or all cookies but that."""
    for cookie in list(driver._http.cookies.jar):
        if (cookie.name == DEVICE) == device:
            driver._http.cookies.jar.clear(cookie.domain, cookie.path, cookie.name)


class WrongCodes(SavedFactor):
    """An authenticator app of somebody else."""

    def code(self, *_: Any) -> str:
        """Six digits that are right once in a million."""
        return "000000"


def plain(person: Person) -> Login:
    """A login that asks for no more than the password: our clients ask for aal2 where nobody says otherwise."""
    return person.again(acr="aal1")


def factor_asked(driver: HttpLogin, person: Person) -> bool:
    """Log in, and say whether that took more than the password. The claim `acr` never says more than was asked for."""
    amr = driver.login(plain(person)).claims()["amr"]
    assert ("otp" in amr) == ("kc-otp-login-form" in driver.visited) or driver.visited == []
    return "kc-otp-login-form" in driver.visited


def silently(driver: HttpLogin, person: Person) -> str:
    """The error of a login that may show no page (`prompt=none`), as a web application asks in the background."""
    with Redirect() as redirect:
        url = AuthorizationRequest(driver._issuer, "tradepulse-cli", redirect, plain(person)).url
        location = driver._http.get(f"{url}&prompt=none").headers["Location"]
        assert location.startswith(redirect.uri)
    return dict(parse_qsl(urlsplit(location).query)).get("error", "")


@pytest.fixture
def risk(realm: Realm, stack: Stack) -> Iterator[Risk]:
    """The realm's policy, which is put back as it was."""
    before = realm.admin.get(realm.path)["attributes"].get(ATTRIBUTE)
    folder = stack.layout.state / "risk"
    folder.mkdir(exist_ok=True)
    changed = Risk(realm, folder)
    try:
        yield changed
    finally:
        changed.decide_by(before)


@pytest.fixture
def holder(
    realm: Realm, new_person: Callable[..., AbstractContextManager[Person]]
) -> Iterator[tuple[Person, SavedFactor]]:
    """Somebody with an authenticator app of which no code was used yet."""
    secret = secrets.token_hex(10)
    app = {
        "type": "otp",
        "userLabel": "app",
        "secretData": orjson.dumps({"value": secret}).decode(),
        "credentialData": orjson.dumps(
            {"subType": "totp", "digits": 6, "period": 30, "algorithm": "HmacSHA1", "counter": 0}
        ).decode(),
    }
    password = f"Chosen-{secrets.token_hex(8)}"
    credentials = [{"type": "password", "value": password, "temporary": False}, app]
    with new_person(credentials=credentials) as somebody:
        person = type(somebody)(somebody.id, somebody.email, "", password)
        yield person, SavedFactor(secret=secret)


def test_a_new_device_proves_a_factor_once_and_is_known_from_then_on(
    risk: Risk, holder: tuple[Person, SavedFactor]
) -> None:
    person, app = holder
    risk.decide_by({"new_device": "step_up"})
    with risk.driver(app) as driver:
        assert factor_asked(driver, person)
        forget(driver, device=False)
        assert not factor_asked(driver, person)
    assert risk.told(person.email) == [("new_device", "step_up")]
    assert risk.lines(person.email)[0]["ip"] == HOME
    assert risk.lines(person.email)[0]["session"] is not None


def test_a_device_is_known_to_the_account_that_proved_a_factor_and_by_nobody_elses_word(
    risk: Risk, holder: tuple[Person, SavedFactor], bare_person: Person
) -> None:
    person, app = holder
    risk.decide_by({"new_device": "deny"})
    with risk.driver() as driver, pytest.raises(LoginFailed, match="has not been used from before"):
        driver.login(plain(person))
    risk.decide_by({"new_device": "step_up"})
    with risk.driver(app) as driver:
        driver.login(plain(person))
        (cookie,) = [one for one in driver._http.cookies.jar if one.name == DEVICE]
        assert cookie.has_nonstandard_attr("HttpOnly")
        assert cookie.path.endswith("/realms/tradepulse-dev/")
        forget(driver, device=False)
        risk.decide_by({"new_device": "deny"})
        with pytest.raises(LoginFailed, match="has not been used from before"):
            driver.login(plain(bare_person))
        forget(driver, device=False)
        assert cookie.value is not None
        head, body, signature = cookie.value.split(".")
        for forged in ("", "x", f"{head}.{body}.{signature[:-4]}AAAA", f"{head}.{body}."):
            cookie.value = forged
            driver._http.cookies.jar.set_cookie(cookie)
            with pytest.raises(LoginFailed, match="has not been used from before"):
                driver.login(plain(person))
            forget(driver, device=False)


def test_whoever_is_only_new_and_has_no_factor_goes_on_to_register_one(risk: Risk, bare_person: Person) -> None:
    risk.decide_by({"new_device": "step_up"})
    with risk.driver() as driver:
        claims = driver.login(plain(bare_person)).claims()
        assert driver.visited[-2:] == ["tradepulse-choose-factor", "kc-totp-settings-form"]
        assert claims["acr"] == "aal1"
    assert risk.told(bare_person.email) == [("new_device", "register")]


def test_a_listed_network_asks_for_a_factor_or_refuses_and_locks_nobody_out(
    realm: Realm, risk: Risk, holder: tuple[Person, SavedFactor], bare_person: Person
) -> None:
    person, app = holder
    risk.decide_by(risk.networks())
    with risk.driver(app) as driver:
        assert not factor_asked(driver, person)
    with risk.driver(app, ELSEWHERE) as driver:
        assert factor_asked(driver, person)
    for _ in range(3):
        with risk.driver(app, BARRED) as driver, pytest.raises(LoginFailed, match="not accepted"):
            driver.login(person.again(acr="aal2"))
    with risk.driver(address=ELSEWHERE) as driver, pytest.raises(LoginFailed, match="cannot confirm it by a second"):
        driver.login(plain(bare_person))
    locked = realm.admin.get(f"{realm.path}/attack-detection/brute-force/users/{person.id}")
    assert locked["numFailures"] == 0
    assert risk.told(person.email) == [("network_listed", "step_up"), *[("network_listed", "deny")] * 3]
    assert f"risk_of=network_listed:{BARRED}/32" in risk.lines(person.email)[-1]["resource"]
    assert risk.told(bare_person.email) == [("network_listed", "step_up"), ("factor_missing", "deny")]


def test_a_file_is_read_again_when_it_changes_and_without_it_everybody_proves_a_factor(
    risk: Risk, holder: tuple[Person, SavedFactor], bare_person: Person
) -> None:
    person, app = holder
    (risk.folder / "later.txt").unlink(missing_ok=True)
    risk.decide_by({"ip_deny_list": risk.name("later.txt")})
    with risk.driver() as driver, pytest.raises(LoginFailed, match="cannot confirm it"):
        driver.login(plain(bare_person))
    with risk.driver(app) as driver:
        assert factor_asked(driver, person)
    risk.file("later.txt", "198.51.100.0/24 deny\n")
    with risk.driver() as driver:
        assert not factor_asked(driver, person)
    risk.file("later.txt", f"{HOME} deny\n")
    with risk.driver() as driver, pytest.raises(LoginFailed, match="another network"):
        driver.login(plain(person))
    risk.file("later.txt", "198.51.100.0/24 deny\nnot a network\n")
    with risk.driver() as driver, pytest.raises(LoginFailed, match="cannot confirm it"):
        driver.login(plain(bare_person))
    unavailable = ("network_list_unavailable", "step_up")
    assert risk.told(person.email) == [unavailable, ("network_listed", "deny")]
    assert risk.told(bare_person.email) == [unavailable, ("factor_missing", "deny")] * 2


@pytest.mark.parametrize("policy", [None, "", "{", '{"new_device":"perhaps"}', '{"surprise":true}'])
def test_a_policy_that_is_gone_or_not_understood_lets_nobody_pass_on_a_password(
    risk: Risk, bare_person: Person, policy: str | None
) -> None:
    risk.decide_by(policy)
    with risk.driver() as driver, pytest.raises(LoginFailed, match="cannot confirm it"):
        driver.login(plain(bare_person))
    assert risk.told(bare_person.email) == [("policy_unavailable", "step_up"), ("factor_missing", "deny")]


def test_a_stolen_session_cookie_opens_nothing_without_the_factor_and_loses_what_the_session_proved(
    realm: Realm, risk: Risk, holder: tuple[Person, SavedFactor]
) -> None:
    person, app = holder
    risk.decide_by({"new_device": "step_up"})
    with risk.driver(app) as owner, risk.driver(address=ELSEWHERE) as thief:
        tokens = owner.login(person.again(acr="aal2"))
        offline = owner.login(person.again(acr="aal2", scope="openid offline_access"))
        assert owner.visited == [], "the owner's own browser is let in by its cookie"
        for cookie in owner._http.cookies.jar:
            if cookie.name != DEVICE:
                thief._http.cookies.jar.set_cookie(cookie)
        thief.factor = WrongCodes()
        with pytest.raises(LoginFailed, match="Invalid authenticator code"):
            thief.login(plain(person))
        assert "kc-form-login" not in thief.visited
    for before in (tokens, offline):
        form = {"grant_type": "refresh_token", "client_id": "tradepulse-cli", "refresh_token": before.refresh_token}
        answer = httpx.post(f"{realm.issuer}/protocol/openid-connect/token", data=form)
        refreshed = type(tokens)(answer.json()["access_token"], "", "", 0).claims()
        assert (before.claims()["assurance_level"], refreshed["assurance_level"]) == ("aal2", "aal1")
    assert risk.told(person.email)[-1] == ("new_device", "step_up")
    realm.admin.delete(f"{realm.path}/attack-detection/brute-force/users/{person.id}")


def test_a_running_session_is_asked_once_in_an_odd_network_and_refused_in_a_barred_one(
    risk: Risk, holder: tuple[Person, SavedFactor]
) -> None:
    person, app = holder
    risk.decide_by(risk.networks())
    with risk.driver(app) as driver:
        driver.login(plain(person))
        assert silently(driver, person) == ""
        at(driver, ELSEWHERE)
        assert silently(driver, person) == "login_required"
        assert factor_asked(driver, person)
        assert driver.visited == ["kc-otp-login-form"]
        driver.login(plain(person))
        assert driver.visited == [], "the session has answered for that network"
        at(driver, BARRED)
        with pytest.raises(LoginFailed, match="another network"):
            driver.login(plain(person))
        at(driver, HOME)
        assert not factor_asked(driver, person)
    assert risk.told(person.email) == [*[("network_listed", "step_up")] * 2, ("network_listed", "deny")]


def test_an_impersonated_session_proves_no_level_and_is_judged_by_its_network_and_not_by_the_impersonators_device(
    realm: Realm, risk: Risk, holder: tuple[Person, SavedFactor]
) -> None:
    person, _ = holder
    risk.decide_by({"new_device": "step_up", **risk.networks()})
    keycloak = realm.issuer.partition("/realms/")[0]
    with risk.driver() as driver:
        place = f"{keycloak}/admin/realms{realm.path}/users/{person.id}/impersonation"
        begun = driver._http.post(place, json={}, headers={"Authorization": f"Bearer {realm.admin.bearer()}"})
        assert begun.status_code == 200
        assert any(cookie.name == "KEYCLOAK_IDENTITY" for cookie in driver._http.cookies.jar)
        # Every client of ours asks for a level, and whoever acts as somebody else has proved none as them.
        assert silently(driver, person) == "login_required"
        assert risk.told(person.email) == []
        at(driver, ELSEWHERE)
        assert silently(driver, person) == "login_required"
        risk.lines(person.email)
    assert risk.told(person.email) == [("network_listed", "step_up")]


def test_failed_factors_close_the_account_for_a_while_though_the_password_is_right(
    realm: Realm, risk: Risk, holder: tuple[Person, SavedFactor]
) -> None:
    person, app = holder
    risk.decide_by({"failed_mfa": {"count": 2, "window": 600, "action": "lock_and_alert"}})
    with risk.driver(WrongCodes()) as driver, pytest.raises(LoginFailed):
        driver.login(person.again(acr="aal2"))
    realm.admin.delete(f"{realm.path}/attack-detection/brute-force/users/{person.id}")
    with risk.driver(app) as driver, pytest.raises(LoginFailed, match="failed too often"):
        driver.login(person.again(acr="aal2"))
    assert risk.told(person.email)[-1] == ("failed_mfa", "deny")


def test_nobody_is_in_two_distant_places_within_the_hour(risk: Risk, holder: tuple[Person, SavedFactor]) -> None:
    person, app = holder
    places = risk.file("places.csv", f"prefix,lat,lon\n{HOME},40.71,-74.01\n{ELSEWHERE},1.35,103.82\n")
    risk.decide_by({"travel": {"locations": places, "max_speed": 1000, "min_distance": 300, "action": "step_up"}})
    with risk.driver(app) as driver:
        assert not factor_asked(driver, person)
    with risk.driver(app, ELSEWHERE) as driver:
        assert factor_asked(driver, person)
    with risk.driver(app, ELSEWHERE) as driver:
        assert not factor_asked(driver, person)
    with risk.driver(address=BARRED) as driver:
        assert not factor_asked(driver, person), "nobody knows where that is"
    assert risk.told(person.email) == [("travel", "step_up")]


def test_what_the_provider_says_of_the_device_decides_and_silence_asks_for_a_factor(realm: Realm, risk: Risk) -> None:
    risk.decide_by({"device_posture": {"claim": "device_compliant", "missing": "step_up", "false": "deny"}})
    email = f"{secrets.token_hex(6)}@tradepulse.example"

    app = SavedFactor()

    def login(**claims: Any) -> list[str]:
        asked = {"email_verified": True, **claims}
        with risk.driver(app) as driver:
            driver.login(Login(email, "", acr="aal1", provider="mock", claims=orjson.dumps(asked).decode()))
            return driver.visited

    try:
        # Of a newcomer nobody knows anything yet: whoever is merely new registers the first factor.
        assert "kc-totp-settings-form" in login()
        with pytest.raises(LoginFailed, match="does not confirm that this device is compliant"):
            login(device_compliant=False)
        assert "kc-otp-login-form" in login()
        assert "kc-otp-login-form" not in login(device_compliant=True)
        risk.decide_by({"device_posture": {"claim": "device_compliant", "missing": "deny", "false": "deny"}})
        with pytest.raises(LoginFailed, match="does not confirm that this device is compliant"):
            login(device_compliant="perhaps")
        assert risk.told(email) == [
            ("posture_missing", "register"),
            ("posture_unhealthy", "deny"),
            ("posture_missing", "step_up"),
            ("posture_missing", "deny"),
        ]
    finally:
        for user in realm.admin.pages(f"{realm.path}/users", email=email, exact=True):
            realm.admin.delete(f"{realm.path}/users/{user['id']}")


def lets_through(driver: HttpLogin, redirect: Redirect, response: httpx.Response, url: str) -> bool:
    """Whether a browser that follows an answer ends at the application with a code."""
    for _ in range(8):
        location = response.headers.get("Location")
        if location is None:
            return False
        url = urljoin(url, location)
        if url.startswith(redirect.uri):
            return "code=" in url
        response = driver._http.get(url)
    raise AssertionError("redirected for ever")


def test_a_refused_login_stays_refused_when_its_page_is_loaded_again_or_another_step_is_chosen(
    realm: Realm, risk: Risk, bare_person: Person
) -> None:
    risk.decide_by(risk.networks())
    realm.admin.put(f"{realm.path}/users/{bare_person.id}", {"requiredActions": []})
    executions = realm.admin.get(f"{realm.path}/authentication/flows/tradepulse%20browser/executions")
    cookie = next(one["id"] for one in executions if one.get("providerId") == "auth-cookie")
    with risk.driver(address=BARRED) as driver, Redirect() as redirect:
        url = AuthorizationRequest(realm.issuer, "tradepulse-cli", redirect, plain(bare_person)).url
        action = urljoin(url, PageReader(driver._http.get(url).text).forms["kc-form-login"].action)
        typed = {"username": bare_person.email, "password": bare_person.password}
        assert driver._http.post(action, data=typed).status_code == 403
        kept = {name: value for name, value in parse_qsl(urlsplit(action).query) if name in ("client_id", "tab_id")}
        page = f"{action.partition('?')[0]}?{urlencode(kept)}"
        for _ in range(2):
            assert not lets_through(driver, redirect, driver._http.get(page), page)
            for chosen in ({"tryAnotherWay": "on"}, {"authenticationExecution": cookie}):
                assert not lets_through(driver, redirect, driver._http.post(page, data=chosen), page)
    with risk.driver() as driver, Redirect() as redirect:
        assert not factor_asked(driver, bare_person)
        at(driver, BARRED)
        url = AuthorizationRequest(realm.issuer, "tradepulse-cli", redirect, plain(bare_person)).url
        refused = driver._http.get(url)
        assert refused.status_code == 403
        tab = re.search(r"tab_id=([A-Za-z0-9_-]+)", refused.text)
        assert tab is not None
        page = f"{realm.issuer}/login-actions/authenticate?client_id=tradepulse-cli&tab_id={tab[1]}"
        for _ in range(2):
            assert not lets_through(driver, redirect, driver._http.get(page), page)
            for chosen in ({"tryAnotherWay": "on"}, {"authenticationExecution": cookie}):
                assert not lets_through(driver, redirect, driver._http.post(page, data=chosen), page)
