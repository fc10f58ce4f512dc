"""A stack of the benchmark's own with everything in it, and people who can log in."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from admin_sync.keycloak.connection import Connection, segment
from stack import control
from stack.layout import CHECKOUT, Layout
from stack.login import SavedFactor
from stack.people import connect
from stack.settings import REALM, read
from stack.up import Up

DIRECTORY = ".stack-session-bench"
PROVIDER = "workforce"
_DOMAIN = "tradepulse.example"
_PATH = f"/{segment(REALM)}"


@dataclass(frozen=True, slots=True)
class Person:
    """An account with a password and an authenticator app, known to the workforce's provider as well."""

    id: str
    email: str
    password: str
    factor: SavedFactor


@dataclass(frozen=True, slots=True)
class World:
    """The running stack."""

    layout: Layout
    settings: Mapping[str, str]
    admin: Connection
    urls: Mapping[str, str]

    @property
    def issuer(self) -> str:
        """Our realm."""
        return self.settings["TRADEPULSE_ISSUER"]

    def pid(self, service: str) -> int:
        """The process of a service now; it changes when the service starts again."""
        return int(control.state(self.layout)["pids"][service])

    def alive(self, service: str) -> bool:
        """Whether the supervisor has it running."""
        return service in control.state(self.layout).get("pids", {})

    @contextmanager
    def people(self, count: int) -> Iterator[list[Person]]:
        """So many accounts, gone afterwards."""
        with ThreadPoolExecutor(4) as pool:
            made = list(pool.map(lambda _number: self._person(), range(count)))
            try:
                yield made
            finally:
                list(pool.map(lambda person: self.admin.delete(f"{_PATH}/users/{segment(person.id)}"), made))

    @contextmanager
    def another_key(self) -> Iterator[None]:
        """A new signing key of the realm ahead of the others; it is removed afterwards."""
        realm = self.admin.get(_PATH)["id"]
        config = {"priority": ["900"], "enabled": ["true"], "active": ["true"], "algorithm": ["RS256"]}
        made = self.admin.post(
            f"{_PATH}/components",
            {
                "name": f"bench-{secrets.token_hex(4)}",
                "providerId": "rsa-generated",
                "providerType": "org.keycloak.keys.KeyProvider",
                "parentId": realm,
                "config": config,
            },
        )
        try:
            yield
        finally:
            with suppress(Exception):
                self.admin.delete(f"{_PATH}/components/{made}")

    def _person(self) -> Person:
        email, password, secret = f"{secrets.token_hex(6)}@{_DOMAIN}", secrets.token_urlsafe(12), secrets.token_hex(10)
        body: dict[str, Any] = {
            "username": email,
            "email": email,
            "emailVerified": True,
            "enabled": True,
            "firstName": "Bench",
            "lastName": "Mark",
            "requiredActions": [],
            "credentials": [
                {"type": "password", "value": password, "temporary": False},
                {
                    "type": "otp",
                    "userLabel": "app",
                    "secretData": json.dumps({"value": secret}),
                    "credentialData": json.dumps(
                        {"subType": "totp", "digits": 6, "counter": 0, "period": 30, "algorithm": "HmacSHA1"}
                    ),
                },
            ],
        }
        identity = self.admin.post(f"{_PATH}/users", body)
        if identity is None:
            raise RuntimeError("Keycloak named no new account")
        # Every new account is asked to choose a factor, and one that has something left to do is given no token.
        account = {name: value for name, value in body.items() if name != "credentials"}
        self.admin.put(f"{_PATH}/users/{segment(identity)}", account)
        # The provider's own word for the person is the e-mail address, as its page is told.
        link = {"identityProvider": PROVIDER, "userId": email, "userName": email}
        self.admin.post(f"{_PATH}/users/{segment(identity)}/federated-identity/{PROVIDER}", link)
        return Person(identity, email, password, SavedFactor(secret=secret))


@contextmanager
def world(directory: str = DIRECTORY, *, keep: bool = False) -> Iterator[World]:
    """The stack in that state directory, brought up (minutes the first time) and ended unless it is to be kept."""
    layout = Layout(CHECKOUT / directory)
    layout.check()
    Up(layout).bring()
    try:
        yield World(layout, read(layout), connect(layout), control.state(layout)["urls"])
    finally:
        if not keep:
            control.stop(layout)
