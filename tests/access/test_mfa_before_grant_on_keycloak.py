"""From hired to granted on a real Keycloak: invited, a factor registered, and only then the role; by both gateways."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import socketserver
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from admin_sync.check import checked
from admin_sync.desired import Facts
from admin_sync.keycloak.choice import Choice
from admin_sync.keycloak.connection import segment
from admin_sync.keycloak.gateway import choose
from admin_sync.settings import settings
from admin_sync.sync import Session
from stack.layout import CHECKOUT
from stack.login import Factor, FirstLogin, HttpLogin, Login

if TYPE_CHECKING:
    from tests.conftest import Stack

pytestmark = pytest.mark.integration

REALM = "tradepulse-dev"
HEADER = "email,name,manager,department,active,start,end,aliases\n"
BOTH = pytest.mark.parametrize("gateway", [Choice.REST, Choice.BULK], ids=str)


@dataclass
class Firm:
    """A firm's roster and configuration beside the stack's own, and the realm of dev that both are about."""

    stack: Stack
    place: Path

    @property
    def bindings(self) -> Path:
        return self.place / "iam" / "role_bindings.yaml"

    @property
    def environ(self) -> dict[str, str]:
        """The stack's settings, with places of this firm's own."""
        # What is tried here is not published to the stack's OPA.
        theirs = {name: value for name, value in self.stack.env.items() if not name.startswith("ADMIN_SYNC_BUNDLE")}
        own = {
            "ADMIN_SYNC_ONBOARDING_DIR": str(self.place / "onboarding"),
            "TRADEPULSE_AUDIT_DIR": str(self.place / "audit"),
            "PATH": os.environ["PATH"],
        }
        return {**theirs, **own}

    def run(self, *words: str, code: int = 0) -> dict[str, Any]:
        """The JSON of a command, run as an operator runs it."""
        done = subprocess.run(
            [sys.executable, "-m", "admin_sync", *words, "--config", str(self.place / "iam"), "--json"],
            cwd=CHECKOUT,
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stderr
        return json.loads(done.stdout)

    def employ(self, *emails: str) -> None:
        """Write the roster."""
        boss = "boss@tradepulse.example,The Boss,,board,true,2019-01-07,,\n"
        lines = [f"{email},Nadia Newman,boss@tradepulse.example,research,true,,,\n" for email in emails]
        (self.place / "roster.csv").write_text(HEADER + boss + "".join(lines))

    def onboard(self, *words: str, code: int = 0) -> dict[str, Any]:
        """Put the roster into effect in dev."""
        return self.run("onboard", "--roster", str(self.place / "roster.csv"), *words, code=code)

    def grant(self, email: str, role: str) -> None:
        """Bind somebody to a role in dev."""
        with self.bindings.open("a") as file:
            file.write(f"  - {{subject: {{user: {email}}}, role: {role}, environments: [dev]}}\n")

    def waiting(self, email: str, gateway: Choice) -> tuple[list[str], list[str]]:
        """What waits for somebody in a plan by a gateway, and what the plan would change for them."""
        document = checked(self.place / "iam", self.environ)
        made = replace(settings(self.environ), gateway=gateway)
        planned = Session(document, made, self.stack.admin, Facts()).plan("dev")
        waits = [one.ref.name for one in planned.plan.pending if one.awaits == email]
        return waits, [str(one.ref) for one in planned.plan.changes if email in one.ref.name]

    def roles(self, email: str) -> set[str]:
        """The realm roles that somebody has in Keycloak."""
        admin, path = self.stack.admin, f"/{REALM}"
        (found,) = admin.get(f"{path}/users", email=email, exact=True)
        return {one["name"] for one in admin.get(f"{path}/users/{found['id']}/role-mappings/realm") or ()}


@pytest.fixture
def firm(stack: Stack, tmp_path: Path) -> Firm:
    """The stack's configuration to edit, and nobody employed yet."""
    # The running stack may have a configuration repository of its own; the checkout's files are what it began with.
    shutil.copytree(CHECKOUT / "configs" / "iam", tmp_path / "iam")
    return Firm(stack, tmp_path)


@pytest.fixture
def newcomer(stack: Stack) -> Iterator[str]:
    """An address that nobody has yet; whatever account it gets is gone afterwards."""
    email = f"{secrets.token_hex(6)}@tradepulse.example"
    yield email
    for found in stack.admin.get(f"/{REALM}/users", email=email, exact=True) or ():
        stack.admin.delete(f"/{REALM}/users/{segment(found['id'])}")


@contextmanager
def mail_server() -> Iterator[tuple[int, list[str]]]:
    """A mail server that keeps what it is given (RFC 5321): its port and the mails."""
    mails: list[str] = []

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"220 localhost\r\n")
            while words := self.rfile.readline().decode().upper().split():
                if words[0] == "DATA":
                    self.wfile.write(b"354 go on\r\n")
                    lines = iter(self.rfile.readline, b".\r\n")
                    mails.append(b"".join(lines).decode("utf-8", "replace"))
                self.wfile.write(b"221 bye\r\n" if words[0] == "QUIT" else b"250 localhost\r\n")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1], mails
        server.shutdown()


def test_somebody_hired_is_invited_and_gets_a_role_only_after_registering_a_factor(firm: Firm, newcomer: str) -> None:
    firm.employ(newcomer)
    planned = firm.onboard("--dry-run")
    assert {one["accounts"]["dev"]["account"] for one in planned["joined"]} == {"would be made"}
    assert firm.stack.admin.get(f"/{REALM}/users", email=newcomer, exact=True) == []
    passwords = firm.place / "passwords"
    report = firm.onboard("--passwords", str(passwords))
    (one,) = [one for one in report["joined"] if one["email"] == newcomer]
    assert one["accounts"]["dev"] == {"account": "made", "invitation": "one-time password"}
    assert one["accounts"]["prod"]["account"] == "at first login"
    given = {one["user"]: one["one_time_password"] for one in map(json.loads, passwords.read_text().splitlines())}
    assert passwords.stat().st_mode & 0o077 == 0
    assert given[newcomer] not in json.dumps(report)
    assert given[newcomer] not in (firm.place / "audit" / "iam_events.jsonl").read_text()
    firm.stack.admin.delete(f"/{REALM}/users/{_id(firm, 'boss@tradepulse.example')}")

    firm.grant(newcomer, "viewer")
    binding = f"{newcomer} role viewer"
    assert firm.waiting(newcomer, Choice.REST) == ([binding], [])
    assert firm.waiting(newcomer, Choice.BULK) == ([binding], [])
    firm.run("apply", "--env", "dev")
    assert "viewer" not in firm.roles(newcomer)

    with HttpLogin(firm.stack.env["TRADEPULSE_ISSUER"]) as browser:
        chosen = secrets.token_urlsafe(18)
        browser.first_login(FirstLogin(newcomer, given[newcomer], chosen, Factor.AUTHENTICATOR_APP))
        assert firm.waiting(newcomer, Choice.REST) == ([], [f"binding {binding}"])
        assert firm.waiting(newcomer, Choice.BULK) == ([], [f"binding {binding}"])
        firm.run("apply", "--env", "dev")
        assert "viewer" in firm.roles(newcomer)
        claims = browser.login(Login(newcomer, chosen, acr="aal2")).claims()
    assert (claims["groups"], claims["assurance_level"]) == (["viewer"], "aal2")


def _id(firm: Firm, email: str) -> str:
    (found,) = firm.stack.admin.get(f"/{REALM}/users", email=email, exact=True)
    return segment(found["id"])


def test_a_grant_survives_the_loss_of_every_factor_until_somebody_decides(firm: Firm, newcomer: str) -> None:
    admin, path = firm.stack.admin, f"/{REALM}/users"
    data = {"subType": "totp", "period": 30, "digits": 6, "algorithm": "HmacSHA1"}
    app = {"type": "otp", "secretData": '{"value": "secret"}', "credentialData": json.dumps(data)}
    account = {"username": newcomer, "email": newcomer, "emailVerified": True, "enabled": True, "credentials": [app]}
    person = admin.post(path, account)
    firm.grant(newcomer, "viewer")
    firm.run("apply", "--env", "dev")
    assert "viewer" in firm.roles(newcomer)
    for credential in admin.get(f"{path}/{person}/credentials"):
        admin.delete(f"{path}/{person}/credentials/{credential['id']}")
    firm.grant(newcomer, "mlops")
    for gateway in (Choice.REST, Choice.BULK):
        assert firm.waiting(newcomer, gateway) == ([f"{newcomer} role mlops"], [])
    firm.run("apply", "--env", "dev")
    assert firm.roles(newcomer) & {"viewer", "mlops"} == {"viewer"}


KEY = {"aaguid": "0", "credentialId": "AA", "counter": 0, "credentialPublicKey": "AA"}


def credential(kind: str, data: dict[str, Any], secret: dict[str, Any] | None = None) -> dict[str, str]:
    """A credential as Keycloak takes it with a new account."""
    return {"type": kind, "secretData": json.dumps(secret or {}), "credentialData": json.dumps(data)}


@BOTH
def test_both_gateways_know_a_factor_from_what_is_none(
    stack: Stack, gateway: Choice, new_account: Callable[..., tuple[str, str]]
) -> None:
    codes = {"hashIterations": 1, "algorithm": "RS512", "remaining": 1, "total": 1}
    holders = [
        new_account(credential("otp", {"subType": "totp", "period": 30, "digits": 6, "algorithm": "HmacSHA1"})),
        new_account(credential("webauthn", KEY)),
        new_account(credential("webauthn-passwordless", KEY)),
    ]
    without = [
        new_account(),
        new_account({"type": "password", "value": secrets.token_hex(12), "temporary": False}),
        new_account(credential("recovery-authn-codes", codes, {"codes": [{"number": 1, "encodedHashedValue": "AA"}]})),
    ]
    way = choose(stack.admin, REALM, gateway)
    way.read(REALM)
    before = stack.admin.requests
    found = way.second_factors(REALM, dict([*holders, *without, ("gone@x.example", "no-such-id")]))
    assert found == {email for email, _ in holders}
    assert stack.admin.requests - before == (0 if gateway is Choice.BULK else 7)
    assert way.second_factors(REALM, {}) == frozenset()


@pytest.fixture
def new_account(stack: Stack) -> Iterator[Callable[..., tuple[str, str]]]:
    """Makes an account with credentials: its address and its id."""
    made: list[str] = []

    def make(*credentials: dict[str, Any]) -> tuple[str, str]:
        email = f"{secrets.token_hex(6)}@tradepulse.example"
        body = {"username": email, "email": email, "emailVerified": True, "credentials": list(credentials)}
        server_id = stack.admin.post(f"/{REALM}/users", body)
        assert server_id is not None
        made.append(server_id)
        return email, server_id

    yield make
    for server_id in made:
        stack.admin.delete(f"/{REALM}/users/{server_id}")


def test_where_the_realm_has_a_mail_server_the_invitation_is_a_link_that_ends(firm: Firm, newcomer: str) -> None:
    admin = firm.stack.admin
    with mail_server() as (port, mails):
        mail = {"host": "127.0.0.1", "port": str(port), "from": "iam@tradepulse.example"}
        admin.put(f"/{REALM}", {**admin.get(f"/{REALM}"), "smtpServer": mail})
        try:
            firm.employ(newcomer)
            report = firm.onboard()
        finally:
            admin.put(f"/{REALM}", {**admin.get(f"/{REALM}"), "smtpServer": {}})
            admin.delete(f"/{REALM}/users/{_id(firm, 'boss@tradepulse.example')}")
    assert {one["accounts"]["dev"]["invitation"] for one in report["joined"]} == {"mail"}
    (ours,) = [one for one in mails if f"To: {newcomer}" in one]
    assert re.search(r"login-actions/action-token\?key=", ours.replace("=\r\n", "").replace("=3D", "="))
    (account,) = admin.get(f"/{REALM}/users", email=newcomer, exact=True, briefRepresentation=False)
    assert (account["emailVerified"], account["firstName"], account["lastName"]) == (True, "Nadia", "Newman")
    assert set(account["requiredActions"]) == {"UPDATE_PASSWORD", "tradepulse-choose-factor"}


def test_who_could_not_be_invited_is_invited_by_the_next_run_that_can_and_only_once(firm: Firm, newcomer: str) -> None:
    # The account is there with nothing to log in by, as `apply` leaves one that a binding needs.
    account = {"username": newcomer, "email": newcomer, "emailVerified": True, "enabled": True}
    firm.stack.admin.post(f"/{REALM}/users", account)
    firm.employ(newcomer)
    passwords = firm.place / "passwords"
    told = []
    for words in ((), ("--passwords", str(passwords)), ("--passwords", str(passwords))):
        told.append({one["email"]: one["accounts"]["dev"]["invitation"] for one in firm.onboard(*words)["joined"]})
    firm.stack.admin.delete(f"/{REALM}/users/{_id(firm, 'boss@tradepulse.example')}")
    both = {newcomer, "boss@tradepulse.example"}
    assert told == [dict.fromkeys(both, "none"), dict.fromkeys(both, "one-time password"), {}]
    assert passwords.read_text().count(newcomer) == 1


def test_the_page_about_onboarding_does_what_it_says(firm: Firm, newcomer: str) -> None:
    page = (CHECKOUT / "docs" / "onboarding.md").read_text()
    blocks = re.findall(r"^```([^\n]*)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert len(blocks) > 3
    assert {fence for fence, _ in blocks} == {"sh runbook"}
    firm.employ()
    hired = {"event": "hired", "email": newcomer, "name": "Nadia Newman", "department": "research"}
    (firm.place / "events.jsonl").write_text(json.dumps({**hired, "manager": "boss@tradepulse.example"}) + "\n")
    tools = firm.place / "bin"
    tools.mkdir()
    config = firm.place / "iam"
    (tools / "admin-sync").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m admin_sync "$@" --config "{config}"\n')
    (tools / "admin-sync").chmod(0o755)
    files = {name: str(firm.place / name.lower()) for name in ("PASSWORDS", "REPORT")}
    done = subprocess.run(
        ["bash", "-c", "\n".join(["set -eu", *(text for _, text in blocks)])],
        cwd=CHECKOUT,
        env={
            **firm.environ,
            **files,
            "PATH": f"{tools}:{os.environ['PATH']}",
            "ROSTER": str(firm.place / "roster.csv"),
            "EVENTS": str(firm.place / "events.jsonl"),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    firm.stack.admin.delete(f"/{REALM}/users/{_id(firm, 'boss@tradepulse.example')}")
    assert done.returncode == 0, done.stderr
    assert f"+ {newcomer} (research): dev: account made, invited by one-time password" in done.stdout
    assert newcomer in Path(files["PASSWORDS"]).read_text()
    assert json.loads(Path(files["REPORT"]).read_text())["joined"]


def test_a_roster_that_cannot_be_the_next_one_changes_nothing(firm: Firm) -> None:
    people = [f"{secrets.token_hex(6)}@tradepulse.example" for _ in range(8)]
    firm.employ(*people)
    # In staging nobody gets an account from us, so this run leaves only its memory.
    firm.run("onboard", "--roster", str(firm.place / "roster.csv"), "--env", "staging")
    assert not (firm.place / "onboarding" / "roster.json").exists(), "a run about one environment is none about all"
    (firm.place / "roster.csv").write_text(HEADER)
    assert "empty-roster" in json.dumps(firm.onboard(code=3))
