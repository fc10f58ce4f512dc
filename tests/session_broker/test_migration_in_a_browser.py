"""A browser session lives through a whole migration, forward and back: real Keycloak, broker, nginx and Chromium."""

from __future__ import annotations

import base64
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from session_broker.migration.phase import Phase
from session_broker.migration.phase_file import BELIEVED_SECONDS
from session_broker.nginx.site import Site, Upstream
from stack.layout import CHECKOUT
from stack.login import BrowserLogin, Login
from stack.ports import unused
from tests.session_broker.proxy_world import Recorder, nginx
from tests.session_broker.test_legacy_tokens import CLAIMS, HEADER, SECRET, signed

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.conftest import Stack

pytestmark = pytest.mark.integration

REALM = "/tradepulse-dev"
BRIDGE = "https://session-broker.example/legacy"
ACCESS = """
[providers.workforce]
issuer = "${WORKFORCE_ISSUER}"
jwks_url = "${WORKFORCE_ISSUER}/jwks"
audiences = ["tradepulse"]
accepts = ["id_token"]

[services.vault]
audience = "tradepulse-internal"
providers = ["workforce", "legacy"]
internal = true
"""
CALL = """async token => {
  const answer = await fetch('/v1/partners', {headers: {Authorization: 'Bearer ' + token}});
  return {status: answer.status, deprecation: answer.headers.get('deprecation'), sunset: answer.headers.get('sunset')};
}"""


@dataclass(frozen=True)
class Door:
    """The chain under migration: its proxy's port, the service that writes down what reaches it, and the commands."""

    port: int
    service: Recorder
    environment: Mapping[str, str]
    stack: Stack

    def step(self, *words: str) -> int:
        done = subprocess.run(
            [sys.executable, "-m", "session_broker", "migration", *words],
            cwd=CHECKOUT,
            env=dict(self.environment),
            capture_output=True,
            text=True,
            check=False,
        )
        time.sleep(BELIEVED_SECONDS + 0.2)
        return done.returncode

    def call(self, page: Page, token: str) -> tuple[int, dict[str, str], Any]:
        """What the page was answered, and what the service got: header to whose token it is."""
        before = len(self.service.seen)
        answer: dict[str, Any] = page.evaluate(CALL, token)
        seen = self.service.seen[before:]
        if not seen:
            return answer["status"], {}, answer
        (request,) = seen
        told = {}
        for name in ("authorization", "x-tradepulse-token", "x-tradepulse-legacy-token"):
            values = request.all(name)
            assert len(values) <= 1
            if values:
                told[name] = whose(values[0].removeprefix("Bearer "))
        return answer["status"], told, answer


def whose(token: str) -> str:
    body = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return "legacy" if claims["iss"] == CLAIMS["iss"] else f"new {claims['assurance_level']} {claims['email']}"


@contextmanager
def running_broker(environment: Mapping[str, str], address: str) -> Iterator[None]:
    program = subprocess.Popen([sys.executable, "-m", "session_broker"], cwd=CHECKOUT, env=dict(environment))
    try:
        deadline = time.monotonic() + 60
        while True:
            assert program.poll() is None
            assert time.monotonic() < deadline
            try:
                if httpx.get(f"http://{address}/health/ready", trust_env=False).status_code == 200:
                    break
            except httpx.TransportError:
                pass
            time.sleep(0.1)
        yield
    finally:
        program.send_signal(signal.SIGTERM)
        assert program.wait(timeout=60) == 0


def outside() -> dict[str, str]:
    """This process's environment without any setting of ours."""
    ours = ("TRADEPULSE_", "ADMIN_SYNC_", "SESSION_BROKER_", "VAULT_", "LEGACY_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


def run(stack: Stack, *words: str, **settings: str) -> str:
    """What an admin-sync command that does its work says."""
    program = Path(sys.executable).with_name("admin-sync")
    done = subprocess.run(
        [program, *words, "--env", "dev", "--config", CHECKOUT / "configs" / "iam"],
        cwd=CHECKOUT,
        env={**outside(), **stack.env, **settings},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def door(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    folder = tmp_path_factory.mktemp("migration")
    (folder / "access.toml").write_text(ACCESS)
    secret = folder / "legacy.secret"
    secret.touch(mode=0o600)
    secret.write_bytes(SECRET)
    address = f"127.0.0.1:{unused()}"
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("TRADEPULSE_", "SESSION_BROKER_"))
    }
    environment = {
        **kept,
        **stack.env,
        "TRADEPULSE_AUDIT_DIR": str(folder / "audit"),
        "SESSION_BROKER_BIND": address,
        "SESSION_BROKER_ACCESS_FILE": str(folder / "access.toml"),
        "SESSION_BROKER_STATE_DIR": str(folder / "state"),
        "SESSION_BROKER_MIGRATION_FILE": str(folder / "phase.json"),
        "SESSION_BROKER_LEGACY_SECRET_FILE": str(secret),
        "SESSION_BROKER_LEGACY_ISSUER": CLAIMS["iss"],
        "SESSION_BROKER_LEGACY_AUDIENCE": CLAIMS["aud"],
        "SESSION_BROKER_BRIDGE_KEY_FILE": stack.env["SESSION_BROKER_CLIENT_KEY_FILE"],
        "SESSION_BROKER_BRIDGE_ISSUER": BRIDGE,
        "SESSION_BROKER_LEGACY_DEPRECATED": "2026-11-01T00:00:00Z",
    }
    service = Recorder()
    site = Site(
        names=("localhost",),
        listen=f"127.0.0.1:{unused()}",
        broker=Upstream(f"http://{address}"),
        services={"vault": Upstream(service.url)},
        workers=1,
    )
    run(stack, "apply", LEGACY_BRIDGE_ISSUER=BRIDGE, LEGACY_BRIDGE_JWKS_URL=f"http://{address}/migration/jwks")
    try:
        made = Door(int(site.listen.rpartition(":")[2]), service, environment, stack)
        assert made.step("start", "legacy_only") == 0
        with running_broker(environment, address), nginx(site, folder / "nginx"):
            yield made
    finally:
        run(stack, "apply")
        service.close()


@pytest.fixture
def account(stack: Stack, tmp_path: Path) -> Iterator[tuple[str, str, str]]:
    """Somebody whom the platform's tokens name as well: their id, their e-mail, their name there."""
    email, name = f"{secrets.token_hex(6)}@tradepulse.example", f"account-{secrets.token_hex(4)}"
    users, password, names = f"{REALM}/users", secrets.token_urlsafe(16), tmp_path / "names.csv"
    credential = {"type": "password", "value": password, "temporary": False}
    body = {"username": email, "email": email, "emailVerified": True, "enabled": True, "credentials": [credential]}
    identity = stack.admin.post(users, body)
    try:
        stack.admin.put(f"{users}/{identity}", {**stack.admin.get(f"{users}/{identity}"), "requiredActions": []})
        roles = [role for role in stack.admin.get(f"{REALM}/roles") if role["name"] == "viewer"]
        stack.admin.post(f"{users}/{identity}/role-mappings/realm", roles)
        names.write_text(f"subject,email\n{name},{email}\n")
        link = ("link", str(names), "--provider", "legacy", "--json")
        said = [json.loads(run(stack, *link, *words)) for words in (("--dry-run",), (), ())]
        assert [one["outcomes"]["linked"] for one in said] == [1, 1, 0]
        assert said[2]["outcomes"]["already_linked"] == 1
        yield email, password, name
    finally:
        stack.admin.delete(f"{users}/{identity}")


def test_a_session_of_either_kind_lives_through_every_phase_forward_and_back(
    door: Door, account: tuple[str, str, str]
) -> None:
    email, password, name = account
    now = int(time.time())
    legacy = signed(HEADER, CLAIMS | {"sub": name, "email": email, "iat": now - 5, "exp": now + 3000})
    with BrowserLogin(door.stack.env["TRADEPULSE_ISSUER"]) as browser:
        new = browser.login(Login(email, password, acr="aal1")).access_token
        page = browser.page
        page.goto(f"http://localhost:{door.port}/health/live")
        mine, bridged = f"new aal1 {email}", f"new aal1 {email}"
        rows: dict[Phase, tuple[dict[str, str] | None, dict[str, str] | None]] = {
            Phase.LEGACY_ONLY: ({"authorization": "legacy"}, None),
            Phase.BOTH: (
                {"authorization": "legacy", "x-tradepulse-token": bridged},
                {"authorization": "legacy", "x-tradepulse-token": mine},
            ),
            Phase.NEW_PREFERRED: (
                {"authorization": bridged, "x-tradepulse-legacy-token": "legacy"},
                {"authorization": mine, "x-tradepulse-legacy-token": "legacy"},
            ),
            Phase.NEW_ONLY: (None, {"authorization": mine}),
        }
        walk = [*Phase, *reversed(list(Phase)[:-1])]
        for at, phase in enumerate(walk):
            if at:
                words = ["forward", "--shut-out"] if phase > walk[at - 1] else ["back"]
                if phase is Phase.NEW_ONLY:
                    assert door.step("forward") == 5, "somebody used a legacy token a moment ago"
                assert door.step(*words) == 0
            for token, expected in zip((legacy, new), rows[phase], strict=True):
                status, told, answer = door.call(page, token)
                assert (status, told or None) == (200 if expected else 401, expected), phase.label
                discouraged = phase is Phase.NEW_PREFERRED and token == legacy
                assert (answer["deprecation"] == "@1793491200") is discouraged, phase.label


def test_a_name_that_nobody_is_linked_to_keeps_its_session_until_the_new_tokens_count(door: Door, stack: Stack) -> None:
    now = int(time.time())
    token = signed(HEADER, CLAIMS | {"sub": "nobody", "iat": now - 5, "exp": now + 600})
    headers = {"Authorization": f"Bearer {token}"}
    for words, status in ((("forward",), 200), (("forward",), 403), (("back",), 200), (("back",), 200)):
        assert door.step(*words) == 0
        answer = httpx.get(f"http://localhost:{door.port}/v1/partners", headers=headers, trust_env=False)
        assert answer.status_code == status, words
