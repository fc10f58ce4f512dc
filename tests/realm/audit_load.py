"""Load that leaves audit events behind, counts what the server acknowledged, and survives the server's death."""

from __future__ import annotations

import os
import secrets
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from admin_sync.keycloak.connection import KeycloakProblem
from identity.client_key import ClientKey
from stack import control
from stack.layout import Layout
from stack.login import HttpLogin, Login, LoginFailed

RESTART_SECONDS = 180.0


@dataclass
class Acknowledged:
    """What the server said was done; a name is in `tried` before its request."""

    tried: list[str] = field(default_factory=list)
    created: list[str] = field(default_factory=list)
    granted: list[str] = field(default_factory=list)
    logins: int = 0
    services: int = 0

    @property
    def total(self) -> int:
        """How many requests were acknowledged."""
        return len(self.created) + len(self.granted) + self.logins + self.services


class Load:
    """Roles made, granted and deleted again, people and services logging in, each in a thread of its own."""

    def __init__(self, admin_url: str, bearer: Callable[[], str], user: str) -> None:
        self.done = Acknowledged()
        self.prefix = f"audit-{secrets.token_hex(3)}-"
        self._admin = admin_url
        self._bearer = bearer
        self._user = user
        self._stop = threading.Event()

    @contextmanager
    def running(self, driver: HttpLogin, login: Login, token_url: str, key: ClientKey) -> Iterator[None]:
        """Under load until the end of the block."""
        work = (self._roles, lambda: self._people(driver, login), lambda: self._services(token_url, key))
        threads = [threading.Thread(target=self._again_and_again, args=(one,)) for one in work]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()

    def _again_and_again(self, work: Callable[[], None]) -> None:
        while not self._stop.is_set():
            try:
                work()
            except (httpx.HTTPError, KeycloakProblem, LoginFailed, RuntimeError):
                # The server was killed, or is starting: what was not acknowledged is not counted.
                self._stop.wait(0.2)

    def _roles(self) -> None:
        with httpx.Client(
            base_url=self._admin, timeout=10, headers={"Authorization": f"Bearer {self._bearer()}"}
        ) as http:
            while not self._stop.is_set():
                name = f"{self.prefix}{len(self.done.tried)}"
                self.done.tried.append(name)
                _accepted(http.post("/roles", json={"name": name}))
                self.done.created.append(name)
                role = _accepted(http.get(f"/roles/{name}")).json()
                _accepted(http.post(f"/users/{self._user}/role-mappings/realm", json=[role]))
                self.done.granted.append(name)
                _accepted(http.delete(f"/roles/{name}"))

    def _people(self, driver: HttpLogin, login: Login) -> None:
        driver.login(login)
        self.done.logins += 1
        self._stop.wait(0.05)

    def _services(self, token_url: str, key: ClientKey) -> None:
        form = {"grant_type": "client_credentials", **key.form(time.time())}
        _accepted(httpx.post(token_url, data=form, timeout=10))
        self.done.services += 1
        self._stop.wait(0.05)


def _accepted(answer: httpx.Response) -> httpx.Response:
    if answer.status_code >= 300:
        raise RuntimeError(f"{answer.request.url.path} answered {answer.status_code}")
    return answer


def kill_keycloak(layout: Layout) -> None:
    """SIGKILL to the server, and wait until its supervisor has another one ready."""
    facts = control.state(layout)
    killed, health = facts["pids"]["keycloak"], facts["services"]["keycloak"]["health"]
    os.kill(killed, signal.SIGKILL)
    deadline = time.monotonic() + RESTART_SECONDS
    while time.monotonic() < deadline:
        service = control.state(layout)["services"]["keycloak"]
        if service["status"] == "failed":
            # It died too often in too short a time for the supervisor, which this asks for another try.
            os.utime(layout.run / "services.json")
        if service["pid"] not in (None, killed):
            with suppress(httpx.HTTPError):
                if httpx.get(health, timeout=2).status_code == 200:
                    return
        time.sleep(0.1)
    raise TimeoutError("Keycloak did not start again")


def open_segments(audit: Path) -> list[str]:
    """The write-ahead files beside the audit file."""
    return sorted(path.name for path in audit.parent.glob(f"{audit.name}.keycloak@*.wal"))
