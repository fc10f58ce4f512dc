"""A realm of the running stack, people of our own in it, and what they log in with."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from admin_sync.keycloak.connection import Connection, segment
from stack.login import BrowserLogin, Factor, FirstLogin, HttpLogin, Login, SavedFactor

if TYPE_CHECKING:
    from tests.conftest import Stack

REALM = "tradepulse-dev"


@dataclass(frozen=True)
class Realm:
    """The development realm of the stack."""

    admin: Connection
    issuer: str
    audit: Path
    """The folder of the audit files."""
    path: str = f"/{REALM}"

    def browser(self, saved: SavedFactor | None = None, *, timeout: float = 45.0) -> BrowserLogin:
        """Chromium with a fresh session."""
        return BrowserLogin(self.issuer, saved=saved, timeout=timeout)

    def forms(self, saved: SavedFactor | None = None) -> HttpLogin:
        """A fresh session without a browser."""
        return HttpLogin(self.issuer, saved=saved)


@dataclass(frozen=True)
class Person:
    """An account with a temporary password, and the password that its first login sets."""

    id: str
    email: str
    temporary: str
    password: str

    def first(self, factor: Factor = Factor.SECURITY_KEY, acr: str | None = None) -> FirstLogin:
        """The first login."""
        return FirstLogin(self.email, self.temporary, self.password, factor, acr)

    def again(self, **asked: Any) -> Login:
        """A later login."""
        return Login(self.email, self.password, **asked)


@pytest.fixture(scope="session")
def realm(stack: Stack) -> Realm:
    """The development realm of the stack."""
    return Realm(stack.admin, stack.env["TRADEPULSE_ISSUER"], Path(stack.env["TRADEPULSE_AUDIT_DIR"]))


@pytest.fixture(scope="session")
def new_person(realm: Realm) -> Callable[..., AbstractContextManager[Person]]:
    """Makes an account the way admin-sync does, with a temporary password; it is gone afterwards.

    With an `app` it has that authenticator app, and its password is chosen: what a first login would have left.
    """

    @contextmanager
    def make(app: SavedFactor | None = None, **fields: Any) -> Iterator[Person]:
        email = f"{secrets.token_hex(6)}@tradepulse.example"
        temporary, password = f"Temporary-{secrets.token_hex(8)}", f"Chosen-{secrets.token_hex(8)}"
        credentials: list[dict[str, Any]] = [{"type": "password", "value": temporary, "temporary": True}]
        if app is not None:
            credentials = [{"type": "password", "value": password, "temporary": False}, _seed(app)]
        body = {"username": email, "email": email, "emailVerified": True, "enabled": True, "credentials": credentials}
        identity = realm.admin.post(f"{realm.path}/users", body | fields)
        assert identity is not None
        try:
            yield Person(identity, email, temporary, password)
        finally:
            realm.admin.delete(f"{realm.path}/users/{segment(identity)}")

    return make


@pytest.fixture
def person(new_person: Callable[..., AbstractContextManager[Person]]) -> Iterator[Person]:
    """Somebody who has not logged in yet."""
    with new_person() as somebody:
        yield somebody


@pytest.fixture
def bare_person(realm: Realm, person: Person) -> Person:
    """Somebody whose password is set and who has no second factor."""
    credential = {"type": "password", "value": person.password, "temporary": False}
    realm.admin.put(f"{realm.path}/users/{person.id}/reset-password", credential)
    return person


@pytest.fixture(scope="module")
def key_holder(
    realm: Realm, new_person: Callable[..., AbstractContextManager[Person]]
) -> Iterator[tuple[Person, SavedFactor]]:
    """Somebody with a security key."""
    with new_person() as somebody:
        with realm.browser() as driver:
            driver.first_login(somebody.first())
            saved = driver.factor
        yield somebody, saved


@pytest.fixture
def app_holder(new_person: Callable[..., AbstractContextManager[Person]]) -> Iterator[tuple[Person, SavedFactor]]:
    """Somebody with an authenticator app.

    A code works once, so two tests that shared an account would wait half a minute for each other.
    """
    app = SavedFactor(secret=secrets.token_hex(10))
    with new_person(app) as somebody:
        yield somebody, app


def _seed(app: SavedFactor) -> dict[str, Any]:
    kind = {"subType": "totp", "digits": 6, "period": 30, "algorithm": "HmacSHA1"}
    return {
        "type": "otp",
        "secretData": json.dumps({"value": app.secret}),
        "credentialData": json.dumps(kind),
    }
