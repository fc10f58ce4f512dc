"""Logging in from a terminal against the real Keycloak: loopback, device, refresh, step-up, logout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import httpx
import pytest

from identity.login import Code, Kind, LoginFailed, PersonAuth, PersonSession, Registration, Wanted
from identity.login.place import Place
from identity.login.tokens import Tokens
from identity.login.wire import Unanswered, Wire
from identity.principal import AssuranceLevel
from identity.secret import Secret
from tests.login.conftest import AtTheScreen, somebody
from vault_client import Person, StepUpRequired
from vault_client.transport import Transport

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Stack
    from tests.login.conftest import Desk
    from tests.realm.conftest import Realm

pytestmark = pytest.mark.integration

CHECKOUT = Path(__file__).resolve().parents[2]
ROUNDS = int(os.environ.get("TRADEPULSE_SOAK", "1"))


def kept(desk: Desk) -> Tokens:
    store = Place(desk.folder, desk.session.registration).store()
    assert store is not None
    found = store.load()
    assert found is not None
    return Tokens.read(found.reveal())


def spoil(desk: Desk) -> None:
    """Make the kept access token look ended, as it is five minutes later."""
    tokens = kept(desk)
    store = Place(desk.folder, desk.session.registration).store()
    assert store is not None
    store.save(Secret(Tokens(tokens.access, tokens.refresh, time.time() - 1, tokens.subject).kept()))


def test_a_person_logs_in_by_the_browser_and_is_who_they_are(desk: Desk) -> None:
    principal = desk.session.log_in(store=Kind.FILE)
    desk.screen.done()
    assert principal.email == desk.who.email
    assert principal.assurance_level is AssuranceLevel.AAL2
    assert desk.session.who().subject == desk.who.id
    # What was shown or given to a browser is ours alone: nothing of the login is in it.
    (shown,) = desk.screen.addresses
    assert shown.startswith("http://127.0.0.1:")
    assert "?" not in shown
    assert "logged in" in desk.screen.pages[-1]
    for file in desk.folder.iterdir():
        assert file.stat().st_mode & 0o077 == 0


def test_a_person_logs_in_on_another_device(desk: Desk) -> None:
    """In a browser that is known and whose session has ended: nothing but the client's default asks for more."""
    desk.session.log_in(store=Kind.FILE)
    desk.screen.done()
    assert desk.session.log_out(everywhere=True).told
    desk.screen.addresses.clear()
    principal = desk.session.log_in(store=Kind.FILE, device=True)
    desk.screen.done()
    assert principal.email == desk.who.email
    assert principal.assurance_level is AssuranceLevel.AAL2
    (page,) = desk.screen.addresses
    assert desk.screen.codes[0] not in page


def test_a_device_whose_code_is_refused_gets_nothing(desk: Desk) -> None:
    desk.screen.cancel = True
    with pytest.raises(LoginFailed) as failed:
        desk.session.log_in(store=Kind.FILE, device=True)
    assert failed.value.code is Code.LOGIN_REFUSED
    with pytest.raises(LoginFailed) as failed:
        desk.session.bearer()
    assert failed.value.code is Code.NOT_LOGGED_IN


def test_what_cannot_be_proved_is_not_granted(desk: Desk) -> None:
    """An authenticator app is worth aal2. Keycloak refuses the order, on the page, and the terminal ends in time."""
    with pytest.raises(LoginFailed) as failed:
        desk.session.log_in(store=Kind.FILE, wanted=Wanted(AssuranceLevel.AAL3), device=True)
    assert failed.value.code is Code.ASSURANCE_TOO_LOW
    assert desk.screen.addresses == []


def test_programs_that_refresh_at_once_all_go_on(desk: Desk, realm: Realm) -> None:
    """A refresh token works once; two that use it side by side would end the session for both."""
    desk.session.log_in(store=Kind.FILE)
    program = (
        "import os, pathlib, sys\n"
        "from identity.login import PersonSession, Registration\n"
        "session = PersonSession(Registration(sys.argv[1]), pathlib.Path(sys.argv[2]))\n"
        "sys.stdin.readline()\n"
        "token = session.bearer().text()\n"
        "import hashlib; print(hashlib.sha256(token.encode()).hexdigest())\n"
    )
    for _ in range(ROUNDS):
        spoil(desk)
        before = kept(desk)
        children = [
            subprocess.Popen(
                [sys.executable, "-c", program, realm.issuer, str(desk.folder)],
                cwd=CHECKOUT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(4)
        ]
        for child in children:
            assert child.stdin is not None
            child.stdin.write("go\n")
            child.stdin.flush()
        printed = {child.communicate(timeout=90)[0] for child in children}
        assert [child.returncode for child in children] == [0] * len(children)
        # One of them refreshed and the others found its token.
        assert len(printed) == 1
        assert kept(desk).refresh != before.refresh
    with ThreadPoolExecutor(4) as threads:
        spoil(desk)
        assert len({token.text() for token in threads.map(lambda _: desk.again().bearer(), range(8))}) == 1
    # And the session is whole: it refreshes again.
    spoil(desk)
    assert desk.session.who().email == desk.who.email


def test_a_refresh_token_that_somebody_else_used_ends_the_session(desk: Desk, realm: Realm) -> None:
    desk.session.log_in(store=Kind.FILE)
    stolen = kept(desk).refresh
    assert stolen is not None
    form = {"grant_type": "refresh_token", "client_id": "tradepulse-cli", "refresh_token": stolen.text()}
    assert httpx.post(f"{realm.issuer}/protocol/openid-connect/token", data=form, timeout=20).status_code == 200
    spoil(desk)
    with pytest.raises(LoginFailed) as failed:
        desk.session.bearer()
    assert failed.value.code is Code.SESSION_ENDED
    with pytest.raises(LoginFailed) as failed:
        desk.session.bearer()
    assert failed.value.code is Code.NOT_LOGGED_IN


def test_logging_out_ends_the_session_for_a_copy_as_well(desk: Desk, realm: Realm) -> None:
    desk.session.log_in(store=Kind.FILE)
    copy = kept(desk).refresh
    assert copy is not None
    done = desk.session.log_out()
    assert done.was_logged_in
    assert done.told
    form = {"grant_type": "refresh_token", "client_id": "tradepulse-cli", "refresh_token": copy.text()}
    assert httpx.post(f"{realm.issuer}/protocol/openid-connect/token", data=form, timeout=20).status_code == 400
    assert not any(file.suffix in (".tokens", ".json") for file in desk.folder.iterdir())
    assert not desk.session.log_out().was_logged_in


def test_logging_out_everywhere_ends_single_sign_on(desk: Desk) -> None:
    desk.session.log_in(store=Kind.FILE)
    desk.screen.done()
    desk.screen.pages.clear()
    desk.session.log_in()
    desk.screen.done()
    assert len(desk.screen.pages) == 1, "the browser's session answered without a page"
    assert desk.session.log_out(everywhere=True).told
    desk.screen.pages.clear()
    desk.session.log_in(store=Kind.FILE)
    desk.screen.done()
    assert len(desk.screen.pages) > 1


class Guarded(BaseHTTPRequestHandler):
    """A service that wants a login of this very minute before it changes anything (RFC 9470)."""

    seen: list[tuple[str, str]]
    refuse_once: set[str]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()
        token = self.headers.get("Authorization", "")
        self.seen.append((token, body))
        first = token not in self.refuse_once and not self.refuse_once
        self.refuse_once.add(token)
        problem = {"type": "urn:tradepulse:problem:step-up-required", "acr_values": "aal2", "max_age": 0}
        answer = json.dumps(problem if first else {}).encode()
        self.send_response(401 if first else 200)
        if first:
            challenge = 'Bearer error="insufficient_user_authentication", acr_values="aal2", max_age="0"'
            self.send_header("WWW-Authenticate", challenge)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def guarded() -> Iterator[tuple[str, type[Guarded]]]:
    handler = type("Handler", (Guarded,), {"seen": [], "refuse_once": set()})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}", handler
    server.shutdown()
    server.server_close()


def test_a_demand_for_more_is_met_and_the_request_repeated_once(desk: Desk, guarded: tuple[str, type[Guarded]]) -> None:
    url, service = guarded
    before = desk.session.log_in(store=Kind.FILE)
    time.sleep(1.1)
    with httpx.Client(base_url=url, auth=PersonAuth(desk.session, url)) as http:
        assert http.post("/orders", content=b"the order").status_code == 200
    assert [body for _, body in service.seen] == ["the order"] * 2
    assert service.seen[0][0] != service.seen[1][0]
    after = desk.session.who()
    assert (after.subject, after.assurance_level) == (before.subject, AssuranceLevel.AAL2)
    assert after.auth_time is not None
    assert before.auth_time is not None
    assert after.auth_time > before.auth_time


def test_the_vaults_client_meets_the_demand_where_somebody_is_there(
    desk: Desk, guarded: tuple[str, type[Guarded]]
) -> None:
    url, service = guarded
    desk.session.log_in(store=Kind.FILE)
    with pytest.raises(StepUpRequired):
        Transport(url, Person(desk.session, interactive=False)).send("POST", "/release")
    service.refuse_once.clear()
    assert Transport(url, Person(desk.session)).send("POST", "/release").status_code == 200
    assert len(service.seen) == 3


def test_somebody_else_cannot_step_up_a_session(desk: Desk, realm: Realm) -> None:
    desk.session.log_in(store=Kind.FILE)
    before = kept(desk)
    with somebody(realm) as (other, factor):
        screen = AtTheScreen(realm.issuer, other.email, other.password, factor)
        elsewhere = PersonSession(desk.session.registration, desk.folder, talk=screen)
        with pytest.raises(LoginFailed) as failed:
            elsewhere.step_up(Wanted(AssuranceLevel.AAL2, 0))
    assert failed.value.code is Code.ANOTHER_PERSON
    assert kept(desk).refresh == before.refresh


def test_a_token_for_another_audience_is_not_kept(desk: Desk, realm: Realm, tmp_path: Path) -> None:
    wrong = PersonSession(Registration(realm.issuer, audience="somebody-else"), tmp_path / "w", talk=desk.screen)
    with pytest.raises(LoginFailed) as failed:
        wrong.log_in(store=Kind.FILE)
    assert failed.value.code is Code.TOKEN_REJECTED
    assert "audience_refused" in str(failed.value)
    with pytest.raises(LoginFailed) as failed:
        wrong.bearer()
    assert failed.value.code is Code.NOT_LOGGED_IN


def test_an_issuer_that_is_away_costs_nothing_that_is_still_good(desk: Desk, realm: Realm) -> None:
    class Cut(Wire):
        def _ask(self, method: str, url: str, form: object) -> object:  # type: ignore[override]
            raise Unanswered("the cable is out", sent=False)

    desk.session.log_in(store=Kind.FILE)
    tokens = kept(desk)
    cut = desk.again(wire=Cut())
    assert cut.bearer() == tokens.access
    spoil(desk)
    with pytest.raises(LoginFailed) as failed:
        cut.bearer()
    assert failed.value.code is Code.UNREACHABLE
    assert desk.session.who().email == desk.who.email


def test_both_programs_share_one_session(desk: Desk, stack: Stack) -> None:
    desk.session.log_in(store=Kind.FILE)
    environ = {**os.environ, **stack.env, "TRADEPULSE_LOGIN_DIR": str(desk.folder)}

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", *words]
        return subprocess.run(command, cwd=CHECKOUT, env=environ, capture_output=True, text=True, check=False)

    for words in (("admin_sync", "whoami", "--json"), ("vault_client", "--json", "whoami")):
        told = run(*words)
        assert told.returncode == 0, told.stderr
        assert json.loads(told.stdout)["email"] == desk.who.email
    gone = run("vault_client", "logout")
    assert gone.returncode == 0, gone.stderr
    after = run("admin_sync", "whoami")
    assert after.returncode == 4
    assert "(not-logged-in)" in after.stderr
    assert "Traceback" not in after.stderr
