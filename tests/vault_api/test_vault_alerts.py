"""Alerts reach the partner by the routes it named: signed webhooks with patience, and mail."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import secrets
import socketserver
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from broker_world import BrokerWorld, close, end, open_broker_world
from vault_world import QuietServer, VaultProcess, World, private_file

from admin_sync.bundle.source import AlertRoute
from identity.secret import Secret
from identity.webhook import headers

SECRET = "whsec_" + base64.b64encode(b"shared-with-the-partner").decode()


class Receiver:
    """A partner's webhook that fails once, and a mail server."""

    def __init__(self) -> None:
        self.posts: list[tuple[dict[str, str], bytes]] = []
        self.mails: list[str] = []
        receiver = self

        class Hook(BaseHTTPRequestHandler):
            def log_message(self, *_: Any) -> None: ...

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.posts.append(({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(500 if len(receiver.posts) == 1 else 204)
                self.end_headers()

        class Mail(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self.wfile.write(b"220 here\r\n")
                while line := self.rfile.readline():
                    verb = line[:4].upper()
                    if verb == b"DATA":
                        self.wfile.write(b"354 go on\r\n")
                        text = b""
                        while (part := self.rfile.readline()) != b".\r\n":
                            text += part
                        receiver.mails.append(text.decode())
                    self.wfile.write(b"221 bye\r\n" if verb == b"QUIT" else b"250 fine\r\n")

        self.hook = QuietServer(("127.0.0.1", 0), Hook)
        self.mail = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Mail)
        for server in (self.hook, self.mail):
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, daemon=True).start()

    def close(self) -> None:
        for server in (self.hook, self.mail):
            server.shutdown()
            server.server_close()


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


@pytest.fixture(scope="module")
def brokers(
    world: World, opa_binary: Path, tmp_path_factory: pytest.TempPathFactory, receiver: Receiver
) -> Iterator[BrokerWorld]:
    home = tmp_path_factory.mktemp("alerts")
    routes = (
        AlertRoute(
            alerts=frozenset({"broker_disconnected"}),
            webhook=f"http://127.0.0.1:{receiver.hook.server_address[1]}/hook",
            secret="ACME_WEBHOOK_SECRET",
        ),
        AlertRoute(alerts=frozenset({"all"}), email="ops@partner.example"),
        AlertRoute(alerts=frozenset({"digest"}), email="never@partner.example"),
    )
    made = open_broker_world(
        world, opa_binary, home, routes=routes,
        ACME_WEBHOOK_SECRET_FILE=str(private_file(home / "webhook", SECRET)),
        VAULT_SMTP=f"127.0.0.1:{receiver.mail.server_address[1]}", VAULT_SMTP_TLS="none",
    )  # fmt: skip
    yield made
    close(made)


def test_the_signature_is_the_one_of_the_specification() -> None:
    # The example of the Standard Webhooks reference libraries.
    secret = Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    made = headers(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert made["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


async def test_a_dead_grant_is_told_by_every_route_that_carries_it_and_tried_again(
    brokers: BrokerWorld, receiver: Receiver, superuser: asyncpg.Connection
) -> None:
    partner = "partner-150"
    # What other tests left undone is not told to these routes.
    await superuser.execute("UPDATE vault.alert SET settled_at = now()")
    await superuser.execute("UPDATE vault.schedule SET due_at = NULL")
    vault: VaultProcess = brokers.vault()
    brokers.link(vault, partner)
    await superuser.execute(
        "UPDATE vault.credential SET access_expires_at = now(), refresh_by = now() WHERE partner = $1", partner
    )
    brokers.broker.behave(faults={"error": "invalid_grant", "times": 1})
    assert brokers.release(vault, partner).status_code == 409
    worker = brokers.worker()
    try:
        until = time.monotonic() + 40
        while len(receiver.posts) < 2 or not receiver.mails:
            assert time.monotonic() < until
            await asyncio.sleep(0.1)
        while await superuser.fetchval("SELECT count(*) FROM vault.alert WHERE settled_at IS NULL"):
            assert time.monotonic() < until
            await asyncio.sleep(0.1)
    finally:
        end(worker)
    # The failed try and the good one are the same message, each signed over what was sent.
    ids = set()
    for sent, body in receiver.posts:
        signed = f"{sent['webhook-id']}.{sent['webhook-timestamp']}.".encode() + body
        mac = base64.b64encode(hmac.new(b"shared-with-the-partner", signed, hashlib.sha256).digest()).decode()
        assert sent["webhook-signature"] == f"v1,{mac}"
        ids.add(sent["webhook-id"])
        told = json.loads(body)
        assert told["type"] == "broker_disconnected"
        assert told["data"] == {"partner": partner, "connection": "main", "reason": "invalid_grant"}
    assert len(receiver.posts) == 2
    assert len(ids) == 1
    # Whoever is told everything, or the week, is told the week too.
    [mail] = [one for one in receiver.mails if "A broker has to be connected again." in one]
    assert "To: ops@partner.example" in mail
    assert "paper-" not in mail.replace("paper-clip", "")
    delivered = [one for one in brokers.events(vault, partner) if one[0] == "alert.delivered"]
    assert set(delivered) == {("alert.delivered", "success", None)}
    assert len(delivered) >= 2


async def test_the_same_thing_is_told_once(superuser: asyncpg.Connection, world: World) -> None:
    del world  # Its schema is what is looked at.
    raised = [
        await superuser.fetchval(
            "SELECT vault.raise_alert('partner-151', $1, 'main/token_expiring/1', 'token_expiring', 'main', '{}')",
            secrets.token_hex(16),
        )
        for _ in range(3)
    ]
    assert raised == [True, False, False]


async def test_what_becomes_due_while_somebody_is_at_it_is_done_again(
    superuser: asyncpg.Connection, world: World
) -> None:
    del world  # Its schema is what is looked at.
    due = "SELECT due_at FROM vault.schedule WHERE partner = 'partner-152'"
    for asked_for, left in ((False, False), (True, True)):
        await superuser.execute("SELECT vault.make_due('partner-152', '-', 'relink', NULL, '-infinity')")
        claims = await superuser.fetch("SELECT * FROM vault.claim_due('relink', 1000, '45 s')")
        mine = next(claim for claim in claims if claim["partner"] == "partner-152")
        if asked_for:
            await superuser.execute("SELECT vault.make_due('partner-152', '-', 'relink', NULL, now())")
        await superuser.execute("SELECT vault.release_claim('partner-152', '-', 'relink', $1, NULL, 0)", mine["fence"])
        assert (await superuser.fetchval(due) is not None) is left
