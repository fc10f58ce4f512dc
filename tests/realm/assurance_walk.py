"""Walks one row of `docs/assurance.md`: makes somebody who holds what it says, logs in, notes what came of it."""

from __future__ import annotations

import base64
import hashlib
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import httpx
import orjson
from assurance_oracle import Proof
from assurance_rows import Row

from admin_sync.bypass.account import Accounts
from admin_sync.bypass.code import new_half, verifier
from identity.client_key import ClientKey
from stack.login import BrowserLogin, Factor, FirstLogin, HttpLogin, Login, LoginFailed, SavedFactor, Tokens
from stack.login.forms import PageReader
from stack.login.oidc import Redirect

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.conftest import Stack
    from tests.realm.conftest import Realm

CLIENT: Final = "tradepulse-cli"
DEVICE: Final = "urn:ietf:params:oauth:grant-type:device_code"
ASSERTION: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
APP: Final = "authenticator app"
CODE: Final = "emergency code"

_PROOFS: Final = {
    **dict.fromkeys(("password", "kc-form-login"), Proof.PASSWORD),
    **dict.fromkeys(("use-app", "kc-otp-login-form"), Proof.APP),
    **dict.fromkeys(("use-recovery-code", "kc-recovery-code-login-form"), Proof.RECOVERY),
    **dict.fromkeys(("use-emergency-code", "tradepulse-mfa-bypass"), Proof.EMERGENCY),
    "use-key": Proof.KEY,
}
"""What answering a page proves. Registering something proves nothing."""

_SAID: Final = {
    "workforce": ({}, Proof.PROVIDER),
    "workforce saying mfa": ({"acr": "mfa", "amr": ["pwd", "otp"]}, Proof.PROVIDER_AAL2),
    "workforce saying phrh": ({"acr": "phrh", "amr": ["hwk"]}, Proof.PROVIDER_AAL3),
    "mock": ({}, Proof.PROVIDER),
    "mock saying aal3": ({"acr": "aal3", "amr": ["hwk"], "assurance_level": "aal3"}, Proof.PROVIDER),
}
"""What a provider signs about its login, and what the configuration in `configs/iam` takes that for."""

_REFUSALS: Final = {
    "needs a security key": "refused: needs a security key",
    "requirements not fulfilled": "refused: level not reached",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a login gave, and the proofs made for it; `refused` instead of claims where it was refused."""

    proofs: tuple[Proof, ...]
    upstream: tuple[str, ...] = ()
    acr: str = ""
    amr: tuple[str, ...] = ()
    level: str = ""
    refused: str = ""
    tokens: Tokens | None = field(default=None, compare=False, repr=False)


Driver = BrowserLogin | HttpLogin


@dataclass
class Walk:
    """Walks rows in one realm. With `in_browser` every person sits at a browser, else only who needs one."""

    stack: Stack
    realm: Realm
    in_browser: bool
    _made: list[str] = field(default_factory=list)
    _keys: dict[str, tuple[Login, SavedFactor]] = field(default_factory=dict)

    def row(self, row: Row) -> Outcome:
        """The outcome of one row."""
        match row.way:
            case "service account" | "workload":
                return _of(self._program(row.way), (Proof.CLIENT,))
            case "first login, registering":
                return self._first(row)
            case "session of a password" | "session of a factor":
                return self._session(row)
            case "forgotten password":
                return self._forgotten(row)
            case "device":
                return self._device(row)
            case "refresh":
                return self._refreshed(row)
            case _:
                return self._login(row)

    def tokens(self, row: Row) -> Tokens:
        """The tokens of a row that is not refused."""
        outcome = self.row(row)
        assert outcome.tokens is not None, f"{row} was {outcome.refused}"
        return outcome.tokens

    def forget(self) -> None:
        """Delete every account that was made."""
        for email in self._made:
            for user in self.realm.admin.pages(f"{self.realm.path}/users", email=email, exact=True):
                self.realm.admin.delete(f"{self.realm.path}/users/{user['id']}")

    # -- ways

    def _login(self, row: Row) -> Outcome:
        login, saved = self._holder(row)
        asked = replace(
            login,
            acr=row.acr,
            essential=row.essential,
            recovery_code=row.holds == "recovery codes",
            emergency_code=row.holds == CODE,
        )
        with self._driver(row, saved) as driver:
            return self._attempt(row, driver, asked)

    def _first(self, row: Row) -> Outcome:
        email, password = self._account(temporary := _password(), temporary=True), _password()
        factor = Factor.SECURITY_KEY if row.holds == "security key" else Factor.AUTHENTICATOR_APP
        codes = row.holds == "recovery codes"
        with self._driver(row, SavedFactor()) as driver:
            try:
                tokens = driver.first_login(FirstLogin(email, temporary, password, factor, row.acr, codes))
            except LoginFailed as problem:
                return _refusal(problem, _proofs(row, driver))
            return _of(tokens, _proofs(row, driver))

    def _session(self, row: Row) -> Outcome:
        login, saved = self._holder(row)
        earlier = "aal1" if row.way == "session of a password" else "aal2"
        with self._driver(row, saved) as driver:
            driver.login(replace(login, acr=earlier))
            before = _proofs(row, driver)
            again = replace(login, acr=row.acr)
            return self._attempt(row, driver, again, before)

    def _refreshed(self, row: Row) -> Outcome:
        login, saved = self._holder(row)
        with self._driver(row, saved) as driver:
            try:
                tokens = driver.login(replace(login, acr=row.acr))
            except LoginFailed as problem:
                return _refusal(problem, _proofs(row, driver))
            return _of(refresh(self.realm, tokens), _proofs(row, driver))

    def _forgotten(self, row: Row) -> Outcome:
        login, saved = self._holder(row)
        with BrowserLogin(self.realm.issuer, saved=saved, passkey=True) as driver:
            new = _password()
            tokens = driver.login(replace(login, acr=row.acr, forgotten=True, new_password=new))
            self._keys[row.holds] = (replace(login, password=new), driver.factor)
            return _of(tokens, (Proof.PASSKEY,) if "use-key" in driver.visited else ())

    def _device(self, row: Row) -> Outcome:
        login, saved = self._holder(row)
        kind = DeviceBrowser if self.in_browser else DeviceLogin
        with kind(self.realm.issuer, saved=saved) as driver:
            return _of(driver.authorize_device(login), _proofs(row, driver))

    def _program(self, way: str) -> Tokens:
        return service_account(self.stack) if way == "service account" else workload(self.stack)

    # -- people

    def _holder(self, row: Row) -> tuple[Login, SavedFactor]:
        """Somebody new who holds what the row says; somebody with a key or codes serves several rows."""
        kind = row.holds if row.way not in _SAID else f"{row.way} {row.holds}"
        if row.holds == CODE:
            login, _ = self._enrolled(row)
            # Any factor that was registered is out of reach.
            return login, SavedFactor(emergency_code=self._code(login.username))
        if row.holds in ("nothing", APP):
            return self._enrolled(row)
        if kind not in self._keys:
            self._keys[kind] = self._enrolled(row)
        return self._keys[kind]

    def _enrolled(self, row: Row) -> tuple[Login, SavedFactor]:
        if row.way in _SAID:
            return self._newcomer(row)
        password, saved = _password(), SavedFactor()
        if row.holds in ("nothing", CODE):
            # Whoever has nothing registers an app in the first session, as forms do, and no key as a browser could.
            return Login(self._account(password), password, factor=Factor.AUTHENTICATOR_APP), saved
        if row.holds == APP:
            saved.secret = secrets.token_hex(10)
            return Login(self._account(password, app=saved.secret), password), saved
        email = self._account(temporary := _password(), temporary=True)
        codes = row.holds == "recovery codes"
        factor = Factor.AUTHENTICATOR_APP if codes else Factor.SECURITY_KEY
        driver = HttpLogin(self.realm.issuer) if codes else _keyboard(self.realm, row.holds)
        with driver:
            driver.first_login(FirstLogin(email, temporary, password, factor, recovery_codes=codes))
            if row.holds == "passkey":
                driver.login(Login(email, password, acr="aal2", action="webauthn-register-passwordless"))
            return Login(email, password), driver.factor

    def _newcomer(self, row: Row) -> tuple[Login, SavedFactor]:
        """Somebody whom a provider brings, and who registered the factor when they came for the first time."""
        email = self._email()
        provider = row.way.split()[0]
        said = orjson.dumps({**_SAID[row.way][0], "auth_time": int(time.time())}).decode()
        login = Login(email, "", provider=provider, claims=said)
        driver = _keyboard(self.realm, row.holds) if row.needs_browser else HttpLogin(self.realm.issuer)
        if row.holds == "nothing":
            return login, SavedFactor()
        with driver:
            factor = Factor.SECURITY_KEY if row.needs_browser else Factor.AUTHENTICATOR_APP
            driver.login(replace(login, acr="aal1", factor=factor, recovery_codes=row.holds == "recovery codes"))
            return login, driver.factor

    def _account(self, password: str, *, temporary: bool = False, app: str | None = None) -> str:
        email = self._email()
        credentials: list[dict[str, Any]] = [{"type": "password", "value": password, "temporary": temporary}]
        if app is not None:
            credentials.append(_seed(app))
        body = {"username": email, "email": email, "emailVerified": True, "enabled": True, "credentials": credentials}
        self.realm.admin.post(f"{self.realm.path}/users", body)
        return email

    def _code(self, email: str) -> tuple[str, str]:
        own, handed = new_half(), new_half()
        realm = self.realm.path.lstrip("/")
        halves = [verifier(half, realm, email) for half in (own, handed)]
        Accounts(self.realm.admin, realm).open(email, "REQ-000001", datetime.now(UTC) + timedelta(hours=1), halves)
        return own, handed

    def _email(self) -> str:
        email = f"{secrets.token_hex(6)}@tradepulse.example"
        self._made.append(email)
        return email

    # -- drivers

    @contextmanager
    def _driver(self, row: Row, saved: SavedFactor) -> Iterator[Driver]:
        if row.needs_browser:
            driver: Driver = _keyboard(self.realm, row.holds, saved)
        else:
            driver = self.realm.browser(saved) if self.in_browser else self.realm.forms(saved)
        with driver:
            yield driver

    def _attempt(self, row: Row, driver: Driver, login: Login, before: tuple[Proof, ...] = ()) -> Outcome:
        try:
            tokens = driver.login(login)
        except LoginFailed as problem:
            return _refusal(problem, before + _proofs(row, driver))
        upstream = _SAID[row.way][0].get("amr", ()) if row.way in _SAID else ()
        trusted = row.way in _SAID and _SAID[row.way][1] is not Proof.PROVIDER
        return _of(tokens, before + _proofs(row, driver), tuple(upstream) if trusted else ())


@contextmanager
def _device(issuer: str) -> Iterator[tuple[str, list[Tokens]]]:
    """A device that wants in (RFC 8628): the address that it shows, and the tokens that it has after the block."""
    place = f"{issuer}/protocol/openid-connect"
    verifier = secrets.token_urlsafe(48)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    asked = {"client_id": CLIENT, "scope": "openid", "code_challenge": challenge, "code_challenge_method": "S256"}
    device = httpx.post(f"{place}/auth/device", data=asked, timeout=20).raise_for_status().json()
    issued: list[Tokens] = []
    yield device["verification_uri_complete"], issued
    form = {"grant_type": DEVICE, "client_id": CLIENT, "device_code": device["device_code"]}
    issued.append(_issued(httpx.post(f"{place}/token", data={**form, "code_verifier": verifier}, timeout=20)))


class DeviceBrowser(BrowserLogin):
    """Lets a device in: the person opens its address in a browser, and says yes."""

    def authorize_device(self, login: Login) -> Tokens:
        """The tokens that the device gets once the person has logged in."""
        with _device(self._issuer) as (address, issued):
            self._walk(self.page, address, cast("Redirect", _Granted(self.page)), login)
        return issued[0]


class _Granted:
    """Where a browser arrives that let a device in: at no address of an application, but at a page that says so."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self.arrived = threading.Event()

    @property
    def answer(self) -> dict[str, str] | None:
        """Something once the device is in; says yes to the question whether it may."""
        yes = self._page.locator("[name=accept]")
        if yes.count():
            yes.click()
        return {} if "Device Login Successful" in self._page.locator("body").inner_text() else None


class DeviceLogin(HttpLogin):
    """The same by forms."""

    def authorize_device(self, login: Login) -> Tokens:
        """The tokens that the device gets once the person has logged in."""
        with _device(self._issuer) as (address, issued), Redirect() as nowhere:
            try:
                self._walk(address, nowhere, login)
            except LoginFailed as problem:
                if "Device Login Successful" not in str(problem):
                    raise
        return issued[0]

    def answer(self, page: PageReader, login: Login, new_password: str | None) -> tuple[str, dict[str, str]] | None:
        """The question whether the device may, and the ordinary answer to every other page."""
        if page.title.startswith("Grant Access"):
            name, form = next(iter(page.forms.items()))
            return name, {**{key: value for key, value in form.fields.items() if key != "cancel"}, "accept": "Yes"}
        return super().answer(page, login, new_password)


def refresh(realm: Realm, tokens: Tokens) -> Tokens:
    """The tokens that come of a refresh."""
    form = {"grant_type": "refresh_token", "client_id": CLIENT, "refresh_token": tokens.refresh_token}
    return _issued(httpx.post(f"{realm.issuer}/protocol/openid-connect/token", data=form, timeout=20))


def service_account(stack: Stack) -> Tokens:
    """The token of a service that proves its key (RFC 7523)."""
    issuer, key = stack.env["TRADEPULSE_ISSUER"], Path(stack.env["VAULT_CLIENT_KEY_FILE"]).read_text()
    return _service(issuer, ClientKey("vault-api", key, audience=issuer).form(time.time()))


def workload(stack: Stack) -> Tokens:
    """The token of a CI job that proves who it is by its platform's token."""
    issuer = stack.env["TRADEPULSE_ISSUER"]
    asked = {"grant_type": "client_credentials", "client_id": "job", "client_secret": "x", "audience": issuer}
    answer = httpx.post(f"{stack.urls['neighbours']}/ci/token", data=asked, timeout=20).raise_for_status()
    assertion = answer.json()["access_token"]
    return _service(issuer, {"client_assertion_type": ASSERTION, "client_assertion": assertion})


def _service(issuer: str, proof: dict[str, str]) -> Tokens:
    form = {"grant_type": "client_credentials", **proof}
    return _issued(httpx.post(f"{issuer}/protocol/openid-connect/token", data=form, timeout=20))


def _issued(response: httpx.Response) -> Tokens:
    if response.status_code != 200:
        raise LoginFailed(f"no token: {response.status_code} {response.text[:200]}")
    body = response.json()
    return Tokens(body["access_token"], body.get("refresh_token", ""), body.get("id_token", ""), body["expires_in"])


def _of(tokens: Tokens, proofs: tuple[Proof, ...], upstream: tuple[str, ...] = ()) -> Outcome:
    claims = tokens.claims()
    amr = tuple(claims.get("amr", ()))
    return Outcome(proofs, upstream, claims["acr"], amr, claims["assurance_level"], tokens=tokens)


def _refusal(problem: LoginFailed, proofs: tuple[Proof, ...]) -> Outcome:
    refused = next((text for words, text in _REFUSALS.items() if words in str(problem)), None)
    if refused is None:
        raise problem
    return Outcome(proofs, refused=refused)


def _proofs(row: Row, driver: Driver) -> tuple[Proof, ...]:
    """What was done on the pages that the last login answered."""
    made: list[Proof] = []
    for page in driver.visited:
        if page in ("provider", "") and row.way in _SAID:
            made.append(_SAID[row.way][1])
        elif page == "password" and row.holds == "passkey":
            made.append(Proof.PASSKEY)
        elif page in _PROOFS:
            made.append(_PROOFS[page])
    return tuple(dict.fromkeys(made))


def _keyboard(realm: Realm, holds: str, saved: SavedFactor | None = None) -> BrowserLogin:
    return BrowserLogin(realm.issuer, saved=saved, passkey=holds == "passkey")


def _password() -> str:
    return f"Chosen-{secrets.token_hex(8)}"


def _seed(secret: str) -> dict[str, str]:
    """An authenticator app as Keycloak stores it, so that a person need not register it first."""
    values = {"subType": "totp", "digits": 6, "counter": 0, "period": 30, "algorithm": "HmacSHA1"}
    return {
        "type": "otp",
        "userLabel": "authenticator app",
        "secretData": orjson.dumps({"value": secret}).decode(),
        "credentialData": orjson.dumps(values).decode(),
    }
