"""How long admin-sync waits, what it sends twice and what never, and how it ends when it is asked to."""

from __future__ import annotations

import base64
import http.server
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from admin_sync_world import ROOT, Realms, admin_sync, plain_environment
from faulty_proxy import FaultyProxy

from admin_sync.errors import Interrupted
from admin_sync.interrupt import stoppable
from admin_sync.keycloak.connection import Connection, NotAllowed, NotReachable, Throttled
from admin_sync.lock import hold


@dataclass
class Server:
    """A real server that answers as it is told: `answers` are status and headers, the last one for good."""

    url: str
    answers: list[tuple[int, dict[str, str]]]
    seen: list[str]
    issued_at: float = 1_000_000.0
    tokens: int = 0


@pytest.fixture
def server() -> Iterator[Server]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            self.rfile.read(length)
            if "/protocol/" in self.path:
                made.tokens += 1
                payload = base64.urlsafe_b64encode(json.dumps({"iat": made.issued_at}).encode()).decode().rstrip("=")
                self.reply(200, {}, {"access_token": f"h.{payload}.{made.tokens}", "expires_in": 300})
                return
            token = self.headers["Authorization"].rpartition(".")[2]
            made.seen.append(f"{self.command} {self.path.removeprefix('/admin/realms')} token {token}")
            status, headers = made.answers.pop(0) if len(made.answers) > 1 else made.answers[0]
            self.reply(status, headers, {"ok": True})

        def reply(self, status: int, headers: dict[str, str], body: Any) -> None:
            content = json.dumps(body).encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)
            if headers.get("X-Then") == "close":
                # Without a word: the client finds its idle connection closed.
                self.close_connection = True

        do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running.daemon_threads = True
    made = Server(f"http://127.0.0.1:{running.server_port}", [(200, {})], [])
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield made
    running.shutdown()
    running.server_close()


class Account:
    realm, client_id = "master", "admin-sync"

    def __init__(self, url: str) -> None:
        self.url = url

    def credential(self) -> dict[str, str]:
        return {"client_secret": "s"}

    def secret(self) -> str:
        return "s"


def connection(server: Server, budget: float = 20.0) -> Connection:
    return Connection(Account(server.url), timeout=5, budget=budget)


def test_a_write_that_was_turned_away_is_sent_again_when_the_server_says(server: Server) -> None:
    server.answers = [(429, {"Retry-After": "1"}), (429, {}), (201, {"Location": "/x/id7"})]
    before = time.monotonic()
    assert connection(server).post("/r/roles", {}) == "id7"
    assert time.monotonic() - before >= 1
    assert len(server.seen) == 3


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_write_that_may_have_taken_effect_is_not_sent_again(server: Server, status: int) -> None:
    server.answers = [(status, {"Retry-After": "7"})]
    with pytest.raises(NotReachable) as caught:
        connection(server).put("/r", {})
    assert (caught.value.status, caught.value.retry_after) == (status, 7.0)
    assert len(server.seen) == 1


def test_a_read_is_tried_again_until_it_is_answered(server: Server) -> None:
    server.answers = [(503, {}), (429, {}), (200, {})]
    assert connection(server).get("/r") == {"ok": True}
    assert len(server.seen) == 3


def test_a_server_that_asks_for_more_than_the_budget_is_not_waited_for(server: Server) -> None:
    server.answers = [(429, {"Retry-After": "3600"})]
    with pytest.raises(Throttled, match="429"):
        connection(server).get("/r")
    assert len(server.seen) == 1


def test_a_date_in_retry_after_is_understood(server: Server) -> None:
    server.answers = [(503, {"Retry-After": "Fri, 31 Dec 2049 23:59:59 GMT"})]
    with pytest.raises(NotReachable) as caught:
        connection(server).post("/r", {})
    assert caught.value.retry_after is not None
    assert caught.value.retry_after > 3600
    far = ("Fri, 31 Dec 99999999999999999999 23:59:59 GMT", "1 Jan 2030 0:0:0 +9999999999999")
    for odd in ("soon", "-5", "nan", *far):
        server.answers = [(503, {"Retry-After": odd})]
        with pytest.raises(NotReachable) as caught:
            connection(server).post("/r", {})
        assert caught.value.retry_after is None, odd


def test_a_refused_token_is_renewed_once_and_the_request_sent_again(server: Server) -> None:
    server.answers = [(200, {}), (401, {}), (200, {})]
    made = connection(server)
    made.get("/r")
    made.put("/r", {})
    assert server.seen == ["GET /r token 1", "PUT /r token 1", "PUT /r token 2"]
    server.answers = [(401, {})]
    with pytest.raises(NotAllowed):
        made.put("/r", {})
    assert server.tokens == 3


def test_a_connection_that_was_closed_while_idle_costs_no_write(server: Server) -> None:
    server.answers = [(200, {"X-Then": "close"})]
    made = connection(server)
    for number in range(5):
        made.put(f"/r/{number}", {})
        # The server's end arrives a moment after its answer.
        time.sleep(0.05)
    assert [one.split()[1] for one in server.seen] == [f"/r/{number}" for number in range(5)]


def test_the_time_is_that_of_keycloak(server: Server) -> None:
    now = connection(server).time()
    assert 0 <= now - server.issued_at < 60


def test_the_first_signal_asks_to_end_and_the_handlers_come_back() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    said: list[str] = []
    with stoppable(said.append) as stop:
        stop.check()
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(Interrupted, match="stopped as asked"):
            stop.pause(60)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL
        assert len(said) == 1
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_note_that_nobody_can_take_breaks_nothing_off() -> None:
    def full(text: str) -> None:
        raise OSError(text)

    with stoppable(full) as stop:
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(Interrupted, match="stopped as asked"):
            stop.pause(60)


@pytest.mark.parametrize("given", ["nan", "inf", "-inf", "-1", "soon"])
def test_a_wait_that_is_no_length_of_time_is_bad_input(given: str) -> None:
    done = admin_sync("apply", f"--wait={given}")
    assert done.code == 3
    assert "--wait" in done.err


@pytest.mark.parametrize(("option", "value"), [("--parallelism", "0"), ("--parallelism", "65"), ("--gateway", "soap")])
def test_a_way_to_keycloak_that_there_is_not_is_bad_input(option: str, value: str) -> None:
    done = admin_sync("plan", option, value)
    assert done.code == 3
    assert option in done.err
    variable = f"ADMIN_SYNC_{option.removeprefix('--').upper()}"
    set_wrong = admin_sync("plan", environ={variable: value})
    assert set_wrong.code == 3
    assert variable in set_wrong.err


@pytest.mark.integration
@pytest.mark.timeout(300)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_apply_that_is_interrupted_says_what_was_done_and_goes_on_next_time(realms: Realms, number: int) -> None:
    realms.admin.delete(realms.path("dev"))
    proxy = FaultyProxy(realms.environ["ADMIN_SYNC_KEYCLOAK_URL"])
    started = threading.Event()

    def interrupt(write: int) -> None:
        if write == 40:
            started.wait(60)
            os.kill(process.pid, number)
            # The answer comes after the signal, so the write is under way when it arrives.
            time.sleep(0.2)

    proxy.decide = interrupt
    command = [sys.executable, "-m", "admin_sync", "apply", "--env", "dev", "--gateway", "rest"]
    process = subprocess.Popen(
        [*command, "--config", str(realms.configuration.directory)],
        cwd=ROOT,
        env=plain_environment() | realms.environ | {"ADMIN_SYNC_KEYCLOAK_URL": proxy.url},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    started.set()
    _, said = process.communicate(timeout=120)
    proxy.close()
    assert process.returncode == 1, said
    assert "finishing what is under way" in said
    assert "stopped as asked; applied " in said
    assert "a re-run is safe" in said
    assert proxy.writes < 80
    # Its lock was given back, and what it did stands.
    with hold(realms.admin, realms.environ["ADMIN_SYNC_REALM"], f"{realms.name}-dev"):
        assert realms.admin.get(realms.path("dev")) is not None
    assert realms.run("apply", "--env", "dev", "--gateway", "rest").code == 0
    assert realms.run("drift", "--env", "dev").code == 0
