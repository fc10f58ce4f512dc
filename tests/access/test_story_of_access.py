"""Hired, known by a second factor, asking, agreed to by two, using it, at its end, and gone: on the real servers."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from offboarding_world import question_of

from admin_sync.load.schema import Binding
from admin_sync.repository import Repository, Selector, repository_settings
from stack.layout import CHECKOUT
from stack.login import Factor, FirstLogin, HttpLogin, Login, LoginFailed, Tokens

if TYPE_CHECKING:
    from tests.conftest import Stack

pytestmark = pytest.mark.timeout(600)

PATIENCE = 120.0
"""Seconds after which what should happen by itself counts as not happening, on however busy a machine."""


class Company:
    """A stack whose reconciler runs, and what people of it do."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self.stack = stack
        self.folder = folder
        self.env = {"PATH": os.environ["PATH"], "HOME": str(folder), **stack.env}
        self.repository = Repository(repository_settings(stack.env))
        self.browsers: dict[str, HttpLogin] = {}
        self.tag = secrets.token_hex(3)
        self.took: dict[str, float] = {}
        self.process: subprocess.Popen[bytes] | None = None
        self.log = folder / "reconciler.log"

    def at(self, name: str) -> str:
        return f"{name}.{self.tag}@tradepulse.example"

    def reconcile(self) -> None:
        """Start the reconciler."""
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "admin_sync", "reconcile"],
                cwd=CHECKOUT,
                env=self.env,
                stdout=output,
                stderr=output,
            )

    def kill(self) -> None:
        """End the reconciler with no chance to tidy up."""
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.process = None

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "admin_sync", *words],
            cwd=CHECKOUT,
            env=self.env,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, done.stderr
        return done

    def hired(self, *people: tuple[str, str]) -> dict[str, str]:
        """Put people with their managers into the roster and invite them; their one-time passwords."""
        roster = Path(self.env["ACCESS_ROSTER_FILE"])
        lines = [
            f"{self.at(name)},{name.title()},{self.at(boss) if boss else ''},desk,true,2026-01-05,,"
            for name, boss in people
        ]
        roster.write_text(roster.read_text().rstrip("\n") + "\n" + "\n".join(lines) + "\n")
        passwords = self.folder / "passwords.jsonl"
        self.run("onboard", "--env", "dev", "--passwords", str(passwords))
        told = [json.loads(line) for line in passwords.read_text().splitlines()]
        return {one["user"]: one["one_time_password"] for one in told if one["realm"] == "tradepulse-dev"}

    def arrives(self, name: str, once: str) -> tuple[Tokens, str]:
        """A first login that registers a second factor; the session and the new password."""
        password = f"Aa1-{secrets.token_urlsafe(12)}"
        first = FirstLogin(self.at(name), once, password, factor=Factor.AUTHENTICATOR_APP)
        # A browser of their own: whoever shares one is logged in as the other.
        browser = self.browsers[name] = HttpLogin(self.env["TRADEPULSE_ISSUER"])
        browser.first_login(first)
        # Registering a factor proves none; the login after it does.
        return browser.login(Login(self.at(name), password, acr="aal2", factor=Factor.AUTHENTICATOR_APP)), password

    def api(self, tokens: Tokens, method: str, path: str, body: Any = None) -> Any:
        answer = httpx.request(
            method,
            f"{self.env['ADMIN_SYNC_ACCESS_URL']}/access/v1{path}",
            json=body,
            headers={"Authorization": f"Bearer {tokens.access_token}"},
            trust_env=False,
            timeout=30.0,
        )
        assert answer.is_success, f"{answer.text} for {tokens.claims()}"
        return answer.json()

    def allowed(self, tokens: Tokens, permission: str) -> dict[str, Any]:
        """What the stack's OPA says to a token now."""
        url = f"{self.env['TRADEPULSE_OPA_URL']}/v1/data/tradepulse/authz/decision"
        question = {"input": question_of(tokens.claims(), permission, "dev")}
        found: dict[str, Any] = httpx.post(url, json=question, trust_env=False, timeout=10.0).json()["result"]
        return found

    def refreshed(self, tokens: Tokens) -> Tokens | None:
        """The same session with a new access token, None where it is gone."""
        form = {"grant_type": "refresh_token", "client_id": "tradepulse-cli", "refresh_token": tokens.refresh_token}
        url = f"{self.env['TRADEPULSE_ISSUER']}/protocol/openid-connect/token"
        answer = httpx.post(url, data=form, trust_env=False, timeout=30.0)
        if answer.status_code != 200:
            return None
        told = answer.json()
        return Tokens(told["access_token"], told["refresh_token"], told.get("id_token", ""), told["expires_in"])

    def roles(self, name: str) -> set[str]:
        """The realm roles that Keycloak itself holds for somebody."""
        found = self.stack.admin.get("/tradepulse-dev/users", email=self.at(name), exact=True)
        listed = self.stack.admin.get(f"/tradepulse-dev/users/{found[0]['id']}/role-mappings/realm")
        return {one["name"] for one in listed}

    def until(self, what: str, holds: Callable[[], bool]) -> None:
        """Wait for something that happens by itself, and note how long it took."""
        start = time.monotonic()
        while not holds():
            assert self.process is None or self.process.poll() is None, self.log.read_text()
            assert time.monotonic() - start < PATIENCE, f"{what}: {self.log.read_text()}"
            time.sleep(0.1)
        self.took[what] = time.monotonic() - start


@pytest.fixture
def company(stack: Stack, tmp_path: Path) -> Iterator[Company]:
    made = Company(stack, tmp_path)
    roster = Path(stack.env["ACCESS_ROSTER_FILE"])
    before = roster.read_text()
    made.reconcile()
    yield made
    made.kill()
    roster.write_text(before)
    # What the story left in the file would be granted again by the next test that applies it.
    with made.repository.change("operator@tradepulse.example", "End of the story") as change:
        for name in ("boss", "owner", "hire"):
            change.remove(Selector(user=made.at(name)))


def test_hired_asks_is_granted_uses_it_and_it_ends_and_a_leaver_has_nothing(company: Company) -> None:
    # Hired: in the roster, invited, and nobody yet.
    once = company.hired(("boss", ""), ("owner", "boss"), ("hire", "boss"))
    with company.repository.change("operator@tradepulse.example", "Owners of research roles") as change:
        owner = {"subject": {"user": company.at("owner")}, "group": "research-owners", "environments": ["dev"]}
        change.add(Binding.model_validate(owner))
    boss, _ = company.arrives("boss", once[company.at("boss")])
    speaker, _ = company.arrives("owner", once[company.at("owner")])
    hire, password = company.arrives("hire", once[company.at("hire")])
    assert not company.allowed(hire, "model:promote")["allow"]

    # Asks, and is agreed to by two.
    wish = {
        "kind": "grant",
        "payload": {"role": "mlops"},
        "environments": ["dev"],
        "justification": "To promote the model of the spring release.",
        "expires": (datetime.now(UTC) + timedelta(hours=1)).isoformat(),
    }
    request = company.api(hire, "POST", "/requests", wish)
    assert request["state"] == "open"
    company.api(boss, "POST", f"/requests/{request['id']}/approvals", {"hash": request["hash"]})
    assert "mlops" not in company.roles("hire")
    second = company.api(speaker, "POST", f"/requests/{request['id']}/approvals", {"hash": request["hash"]})
    assert second["state"] == "approved"

    # Uses it: the state, Keycloak, a new token of the old session, and OPA all say so.
    company.until(
        "approved → in force",
        lambda: company.api(hire, "GET", f"/requests/{request['id']}")["state"] == "fulfilled",
    )
    assert "mlops" in company.roles("hire")
    fresh = company.refreshed(hire)
    assert fresh is not None
    assert company.allowed(fresh, "model:promote")["allow"]
    granted = next(one for one in company.repository.document().bindings.bindings if one.request == request["id"])
    assert [one.capacity for one in granted.approvals] == ["manager", "system_owner"]
    log = company.repository.git.text(
        "log", "--format=%ae %s", "-1", company.repository.granted_by(request["id"]) or ""
    )
    assert log == f"{company.at('hire')} Grant role mlops to {company.at('hire')} in dev"

    # Its end is moved near, and once OPA knows, the reconciler is killed: nobody is left to take anything away.
    end = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=8)
    with company.repository.change("operator@tradepulse.example", "Sooner") as change:
        assert change.shorten(Selector(request=request["id"]), end) == [granted]
    company.until(
        "shortened → served",
        lambda: company.allowed(fresh, "model:promote")["allow"] is False or _knows(company, fresh, end),
    )
    company.kill()
    company.until("end → denied by OPA", lambda: not company.allowed(fresh, "model:promote")["allow"])
    assert datetime.now(UTC) >= end
    assert "mlops" in fresh.claims()["groups"]
    assert "mlops" in company.roles("hire")

    # It comes back, and Keycloak and the file follow.
    company.reconcile()
    company.until("end → out of Keycloak", lambda: "mlops" not in company.roles("hire"))
    company.until(
        "end → out of the file",
        lambda: all(one.request != request["id"] for one in company.repository.document().bindings.bindings),
    )

    # A leaver: everything goes in one command.
    start = time.monotonic()
    company.run("offboard", company.at("hire"), "--why", "Left the company", "--by", company.at("boss"))
    company.took["leaver → everything gone"] = time.monotonic() - start
    assert company.refreshed(fresh) is None
    with pytest.raises(LoginFailed):
        company.browsers["hire"].login(Login(company.at("hire"), password))
    company.until("leaver → barred in OPA", lambda: "barred" in company.allowed(fresh, "analytics:read")["reasons"])
    assert company.repository.document().barred(company.at("hire"))
    print(json.dumps({name: round(seconds, 1) for name, seconds in company.took.items()}, indent=1))


def _knows(company: Company, tokens: Tokens, end: datetime) -> bool:
    """Whether OPA's answer holds no longer than the new end."""
    until = company.allowed(tokens, "model:promote").get("valid_until")
    return until is not None and until <= end.timestamp() + 1
