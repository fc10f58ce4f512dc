"""The commands of people against the service as it is run, in a process of its own: `migrate`, then `serve`."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from access_world import CHECKOUT, ROSTER, Realm, at
from joserfc import jwt

from admin_sync.cli import app
from identity.login import Kind, registration
from identity.login.place import Place
from identity.login.tokens import Tokens
from identity.secret import Secret


@dataclass
class Terminals:
    """Everybody at a terminal of their own, logged in."""

    realm: Realm
    home: Path
    env: dict[str, str]
    capture: pytest.CaptureFixture[str]

    def logged_in(self, who: str) -> Path:
        folder = self.home / f"login-{who}"
        if not folder.exists():
            token = self.realm.token(at(who))
            subject = jwt.decode(token, self.realm.key, algorithms=["RS256"]).claims["sub"]
            store = Place(folder, registration(self.env)).choose(Kind.FILE)
            store.save(Secret(Tokens(Secret(token), None, time.time() + 290, subject).kept()))
        return folder

    def run(self, who: str, *words: str, expect: int = 0) -> str:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in {**self.env, "TRADEPULSE_LOGIN_DIR": str(self.logged_in(who))}.items():
                patch.setenv(name, value)
            code = app(list(words), standalone_mode=False)
        said = self.capture.readouterr()
        assert code == expect, (words, code, said.out, said.err)
        assert "eyJ" not in said.out + said.err, "a token is shown nowhere"
        return str(said.out + said.err)

    def told(self, who: str, *words: str) -> Any:
        return json.loads(self.run(who, *words, "--json", "--quiet"))


def private(path: Path, text: str) -> str:
    path.write_text(text)
    path.chmod(0o600)
    return str(path)


@pytest.fixture
def terminals(
    postgres: Any,
    access_opa: str,
    access_realm: Realm,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Terminals]:
    name = f"access_{uuid.uuid4().hex[:8]}"
    psql = postgres.dsn("postgres", "postgres")
    _sql(psql, f"CREATE DATABASE {name} OWNER access_owner")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    place = f"{postgres.host}:{postgres.port}/{name}"
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "TRADEPULSE_ENVIRONMENT": "dev",
        "TRADEPULSE_ISSUER": access_realm.issuer,
        "TRADEPULSE_OAUTH2_AUDIENCE": "tradepulse-internal",
        "TRADEPULSE_CLIENTS": "tradepulse-cli",
        "TRADEPULSE_OPA_URL": access_opa,
        "TRADEPULSE_AUDIT_DIR": str(tmp_path / "audit"),
        "ADMIN_SYNC_CONFIG": str(CHECKOUT / "configs" / "iam"),
        "ADMIN_SYNC_ACCESS_URL": f"http://{address}",
        "ACCESS_BIND": address,
        "ACCESS_ROSTER_FILE": private(tmp_path / "roster.csv", ROSTER),
        "ACCESS_DATABASE_URL": f"postgresql://access_app@{place}",
        "ACCESS_DATABASE_PASSWORD_FILE": private(tmp_path / "app", postgres.passwords["access_app"]),
        "ACCESS_OWNER_DATABASE_URL": f"postgresql://access_owner@{place}",
        "ACCESS_OWNER_DATABASE_PASSWORD_FILE": private(tmp_path / "owner", postgres.passwords["access_owner"]),
    }
    program = [sys.executable, "-m", "admin_sync.access"]
    early = subprocess.run(program, cwd=CHECKOUT, env=env, capture_output=True, text=True, check=False, timeout=120)
    assert (early.returncode, "migrate" in early.stderr) == (3, True), early.stderr
    for _ in range(2):
        subprocess.run([*program, "migrate"], cwd=CHECKOUT, env=env, check=True, capture_output=True, timeout=120)
    log = tmp_path / "access.log"
    with log.open("wb") as output:
        service = subprocess.Popen(program, cwd=CHECKOUT, env=env, stdout=output, stderr=output)
    try:
        until = time.monotonic() + 90
        while not _ready(address):
            assert service.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.05)
        yield Terminals(access_realm, tmp_path, env, capsys)
    finally:
        service.terminate()
        assert service.wait(timeout=40) == 0, log.read_text()
    assert "eyJ" not in log.read_text()


def _ready(address: str) -> bool:
    try:
        return httpx.get(f"http://{address}/access/v1/health/ready", trust_env=False, timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def _sql(dsn: str, statement: str) -> None:
    import asyncio  # noqa: PLC0415

    import asyncpg  # noqa: PLC0415

    async def run() -> None:
        connection = await asyncpg.connect(dsn)
        await connection.execute(statement)
        await connection.close()

    asyncio.run(run())


def test_a_request_goes_from_terminal_to_terminal(terminals: Terminals) -> None:
    wanted = ("request", "quant", "--why", "A strategy has to be staged.", "--for", "8h", "--env", "dev")
    shown = terminals.run("mlops.one", *wanted, "--preview")
    assert "this can be asked for" in shown
    assert "+ dev: strategy:create by role quant" in shown
    assert f"needs manager: {at('manager.one')}" in shown
    asked = terminals.told("mlops.one", *wanted)
    name = asked["id"]
    # The same again, without a reason that says anything, and one's own yes.
    assert "already-asked" in terminals.run("mlops.one", *wanted, expect=5)
    short = ("request", "quant", "--why", "because", "--for", "8h", "--env", "dev")
    assert "justification is too short" in terminals.run("mlops.one", *short, expect=3)
    assert "own-request" in terminals.run("mlops.one", "approve", name, "--yes", expect=4)
    waiting = terminals.told("manager.one", "requests", "--view", "to-decide")["requests"]
    assert [(one["id"], one["may_decide"]) for one in waiting] == [(name, True)]
    # A script has to say which text it read, and a text is approved or it is not.
    assert "--hash" in terminals.run("manager.one", "approve", name, expect=3)
    assert "another-request" in terminals.run("manager.one", "approve", name, "--hash", "0" * 64, expect=5)
    assert "approved by" in terminals.run("manager.one", "approve", name, "--hash", asked["hash"])
    assert terminals.told("owner.one", "approve", name, "--yes")["state"] == "approved"
    assert "request-not-open" in terminals.run("owner.one", "deny", name, "--why", "Too late for a no.", expect=5)
    assert terminals.told("mlops.one", "cancel", name)["state"] == "cancelled"
    assert "group model-platform" in terminals.run("mlops.one", "grants")
    assert "not-found: nothing of that name" in terminals.run("trader.one", "requests", name, expect=3)


def test_in_an_emergency_a_terminal_needs_no_copy_of_the_configuration(
    terminals: Terminals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(terminals.home)
    terminals.env["ADMIN_SYNC_VAULT_URL"] = "http://127.0.0.1:9"
    opening = ("break-glass", "ask", "break-glass-1", "--why", "Nobody can log in any more.")
    assert "name one environment" in terminals.run("platform.one", *opening, expect=3)
    # Nobody asks two others to agree to what the vault would refuse them.
    assert "not-a-responder" in terminals.run("mlops.one", *opening, "--env", "dev", expect=4)
    assert "not-found" in terminals.run("mlops.one", "break-glass", "close", "REQ-000999", expect=3)
    assert "no opening that you have to do with" in terminals.run("mlops.one", "break-glass", "status")

    code = ("mfa-bypass", "request", "--user", at("mlops.one"), "--why", "The phone fell into the sea.", "--env", "dev")
    asked = terminals.run("mlops.one", *code)
    assert f"it takes 1 of security ({at('security.one')}, {at('security.two')}) and 1 of system_owner" in asked
    name = asked.partition(":")[0]
    # The command for security is none for an owner, and says which one is.
    refused = terminals.run("owner.one", "mfa-bypass", "approve", name, "--yes", expect=5)
    assert f"`admin-sync approve {name}`" in refused
    half = asked.partition("your half of the code: ")[2].split()[0]
    handed = terminals.run("security.one", "mfa-bypass", "approve", name, "--yes", "--comment", "Called her.")
    assert half not in handed
    assert terminals.told("owner.one", "approve", name, "--yes")["state"] == "approved"
