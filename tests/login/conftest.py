"""People at terminals: a conversation that logs in by Keycloak's own pages, and where their sessions are kept."""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

import httpx
import pytest

from admin_sync.keycloak.connection import segment
from identity.login import PersonSession, Registration
from stack.login import HttpLogin, Login, SavedFactor
from stack.login.forms import PageReader
from tests.realm.conftest import Person, Realm, realm

if TYPE_CHECKING:
    pass

__all__ = ["realm"]

_REDIRECTS = (301, 302, 303, 307, 308)


class AtTheScreen:
    """Somebody who does what a login says: opens the address, or enters the code, and answers Keycloak's pages.

    It keeps its cookies, as a browser does. `pages` are the last pages seen, `addresses` every address that was
    opened or shown, `cancel` says no where Keycloak asks.
    """

    def __init__(self, issuer: str, username: str, password: str, factor: SavedFactor | None = None) -> None:
        self.driver = HttpLogin(issuer, saved=factor)
        # Keycloak tells the page for a device's code from the endpoint for devices by what the caller accepts.
        self.driver._http.headers["Accept"] = "text/html,*/*;q=0.8"
        self.login = Login(username, password)
        self.pages: list[str] = []
        self.addresses: list[str] = []
        self.codes: list[str] = []
        self.cancel = False
        self.failure: Exception | None = None
        self._threads: list[threading.Thread] = []

    def open(self, url: str, *, seconds: int) -> None:
        """Opens the address in the background, as a desktop does."""
        assert seconds > 0
        self.addresses.append(url)
        self._start(lambda: self._walk(self.driver._http.get(url), url))

    def invite(self, page: str, user_code: str, *, seconds: int) -> None:
        """Enters the code on the page."""
        assert seconds > 0
        self.addresses.append(page)
        self.codes.append(user_code)
        self._start(lambda: self._enter(page, user_code))

    def waiting(self, seconds: int) -> None:
        """Stops a login whose pages could not be answered, which would otherwise wait until its end."""
        if self.failure is not None:
            raise self.failure

    def done(self) -> None:
        """Waits for what was begun; raises what went wrong in it."""
        for thread in self._threads:
            thread.join(60)
        if self.failure is not None:
            raise self.failure

    def _start(self, work: Callable[[], Any]) -> None:
        def run() -> None:
            try:
                work()
            except Exception as problem:  # noqa: BLE001 - shown to the test that waits
                self.failure = problem

        thread = threading.Thread(target=run, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _enter(self, page: str, user_code: str) -> None:
        first = self.driver._http.get(page)
        form = next(iter(PageReader(first.text).forms.values()))
        where = urljoin(page, form.action)
        self._walk(self.driver._http.post(where, data={"device_user_code": user_code}), where)

    def _walk(self, response: httpx.Response, url: str) -> None:
        for _ in range(20):
            if response.status_code in _REDIRECTS:
                url = urljoin(url, response.headers["Location"])
                response = self.driver._http.get(url)
                continue
            page = PageReader(response.text)
            self.pages.append(page.where)
            answered = self.driver.answer(page, self.login, None)
            if answered is None and 'name="accept"' in response.text:
                # Whoever enters a code is asked whether it is theirs.
                name, form = next(iter(page.forms.items()))
                answered = name, {**form.fields, ("cancel" if self.cancel else "accept"): "x"}
            if answered is None and response.status_code >= 400:
                raise AssertionError(f"the login stopped {page.where}")
            if answered is None:
                return
            name, fields = answered
            url = urljoin(url, page.forms[name].action)
            response = self.driver._http.post(url, data=fields)


@dataclass(frozen=True)
class Desk:
    """One person, one host: what they prove themselves with, and where their programs keep sessions."""

    who: Person
    screen: AtTheScreen
    session: PersonSession
    folder: Path

    def again(self, **changed: Any) -> PersonSession:
        """Another program of theirs."""
        return PersonSession(self.session.registration, self.folder, talk=self.screen, **changed)


@contextmanager
def somebody(realm: Realm) -> Iterator[tuple[Person, SavedFactor]]:
    """An account with a password and an authenticator app of its own.

    A code works once, so two tests that shared an account would wait half a minute for each other.
    """
    email, password = f"{secrets.token_hex(6)}@tradepulse.example", f"Chosen-{secrets.token_hex(8)}"
    factor = SavedFactor(secret=secrets.token_hex(10))
    app = {
        "type": "otp",
        "secretData": json.dumps({"value": factor.secret}),
        "credentialData": json.dumps({"subType": "totp", "digits": 6, "period": 30, "algorithm": "HmacSHA1"}),
    }
    credentials = [{"type": "password", "value": password, "temporary": False}, app]
    body = {"username": email, "email": email, "emailVerified": True, "enabled": True, "credentials": credentials}
    identity = realm.admin.post(f"{realm.path}/users", body)
    assert identity is not None
    try:
        yield Person(identity, email, "", password), factor
    finally:
        realm.admin.delete(f"{realm.path}/users/{segment(identity)}")


@pytest.fixture
def app_person(realm: Realm) -> Iterator[tuple[Person, SavedFactor]]:
    """Somebody with an authenticator app."""
    with somebody(realm) as made:
        yield made


@pytest.fixture
def desk(realm: Realm, app_person: tuple[Person, SavedFactor], tmp_path: Path) -> Desk:
    """Somebody with an authenticator app, not logged in yet."""
    who, factor = app_person
    screen = AtTheScreen(realm.issuer, who.email, who.password, factor)
    folder = tmp_path / "login"
    return Desk(who, screen, PersonSession(Registration(realm.issuer), folder, talk=screen), folder)
