"""A partner says where it is told what: by mail through a real SMTP server, and by webhooks signed with a secret."""

from __future__ import annotations

import asyncio
import base64
import email
import email.policy
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import asyncpg
import httpx
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from broker_world import BrokerWorld, close, end, open_broker_world
from vault_world import QuietServer, VaultProcess, World, unused_port

PARTNER, OTHER = "partner-160", "partner-161"


class Mailbox:
    """An SMTP server that takes mail for everybody but `nobody@`."""

    def __init__(self) -> None:
        self.mails: list[tuple[list[str], email.message.Message]] = []
        self.port = unused_port()
        self._server = Controller(self, hostname="127.0.0.1", port=self.port)
        self._server.start()

    async def handle_RCPT(  # noqa: N802 - as aiosmtpd calls it
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        del server, session, options
        if address.startswith("nobody@"):
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 fine"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        del server, session
        assert isinstance(envelope.content, bytes)
        found = email.message_from_bytes(envelope.content, policy=email.policy.default)
        self.mails.append((list(envelope.rcpt_tos), found))
        return "250 taken"

    def close(self) -> None:
        self._server.stop()


class Hook:
    """A partner's receiver, which fails as often as it is told to."""

    def __init__(self) -> None:
        self.posts: list[tuple[dict[str, str], bytes]] = []
        self.failures = 0
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: Any) -> None: ...

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hook.posts.append(({name.lower(): value for name, value in self.headers.items()}, body))
                hook.failures -= 1
                self.send_response(500 if hook.failures >= 0 else 204)
                self.end_headers()

        self._server = QuietServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/hook"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(scope="module")
def mailbox() -> Iterator[Mailbox]:
    made = Mailbox()
    yield made
    made.close()


@pytest.fixture(scope="module")
def hook() -> Iterator[Hook]:
    made = Hook()
    yield made
    made.close()


@pytest.fixture(scope="module")
def brokers(
    world: World, opa_binary: Any, tmp_path_factory: pytest.TempPathFactory, mailbox: Mailbox
) -> Iterator[BrokerWorld]:
    made = open_broker_world(
        world, opa_binary, tmp_path_factory.mktemp("routes"),
        VAULT_SMTP=f"127.0.0.1:{mailbox.port}", VAULT_SMTP_TLS="none", VAULT_SMTP_FROM="alerts@tradepulse.example",
    )  # fmt: skip
    yield made
    close(made)


@pytest.fixture(scope="module")
def vault(brokers: BrokerWorld) -> VaultProcess:
    return brokers.vault()


class Desk:
    """Somebody of a partner at the vault."""

    def __init__(self, brokers: BrokerWorld, vault: VaultProcess, partner: str = PARTNER, role: str = "partner-teller"):
        self._headers = brokers.bearer(partner, role=role)
        self._vault = vault
        self._place = f"/v1/partners/{partner}"

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        return self._vault.http.request(method, self._place + path, headers=self._headers, **more)

    def set(self, name: str, expect: int = 200, **body: Any) -> Any:
        reply = self.ask("PUT", f"/alert-routes/{name}", json=body)
        assert reply.status_code == expect, reply.text
        return reply.json()

    def log(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.ask("GET", "/alerts").json()["alerts"]
        return found


@pytest.fixture(scope="module")
def desk(brokers: BrokerWorld, vault: VaultProcess) -> Desk:
    return Desk(brokers, vault)


async def until(done: Callable[[], bool], seconds: float = 40.0) -> None:
    limit = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < limit
        await asyncio.sleep(0.05)


def test_a_route_is_one_address_and_its_secret_is_shown_once(desk: Desk, hook: Hook) -> None:
    made = desk.set("ops", webhook=hook.url)
    assert made["secret"].startswith("whsec_")
    assert len(base64.b64decode(made["secret"].removeprefix("whsec_"))) == 32
    assert desk.set("ops", webhook=hook.url, alerts=["digest"])["secret"] is None, "one that stays keeps its secret"
    renewed = desk.set("ops", webhook=hook.url, renew_secret=True)["secret"]
    moved = desk.set("ops", webhook=f"{hook.url}/elsewhere")["secret"]
    assert len({made["secret"], renewed, moved}) == 3, "a secret never goes to another address"
    listed = desk.ask("GET", "/alert-routes").json()
    [route] = [one for one in listed["routes"] if one["route"] == "ops"]
    assert route["webhook"].endswith("/elsewhere")
    assert (route["alerts"], route["usual"]) == (["token_expiring"], True)
    assert listed["may_change"] is True
    assert listed["mail"] is True
    assert "whsec_" not in json.dumps(listed)
    for wrong in (
        {},
        {"email": "a@b.example", "webhook": hook.url},
        {"email": "a@b.example\r\nBcc: all@b.example"},
        {"email": "a@b.example,c@d.example"},
        {"webhook": "ftp://partner.example/"},
        {"webhook": "https://user:secret@partner.example/"},
        {"webhook": "https://"},
        {"email": "a@b.example", "alerts": ["everything"]},
        {"email": "a@b.example", "more": 1},
    ):
        desk.set("wrong", 422, **wrong)
    assert desk.ask("DELETE", "/alert-routes/ops").status_code == 204
    assert desk.ask("DELETE", "/alert-routes/ops").status_code == 404
    assert desk.ask("POST", "/alert-routes/ops/test").status_code == 404


def test_only_who_may_changes_routes_and_another_partner_sees_none(
    brokers: BrokerWorld, vault: VaultProcess, desk: Desk
) -> None:
    desk.set("mail", email="desk@partner.example")
    reader = Desk(brokers, vault, role="partner-linker")
    assert reader.ask("GET", "/alert-routes").json()["may_change"] is False
    assert reader.ask("PUT", "/alert-routes/mine", json={"email": "a@b.example"}).status_code == 403
    assert reader.ask("POST", "/alert-routes/mail/test").status_code == 403
    assert reader.ask("DELETE", "/alert-routes/mail").status_code == 403
    stranger = brokers.bearer(OTHER, role="partner-teller")
    for method, path in (("GET", "alert-routes"), ("GET", "alerts"), ("DELETE", "alert-routes/mail")):
        reply = vault.http.request(method, f"/v1/partners/{PARTNER}/{path}", headers=stranger)
        assert reply.status_code == 404, "as if there were no such partner"
    assert Desk(brokers, vault, OTHER).ask("GET", "/alert-routes").json()["routes"] == []
    desk.ask("DELETE", "/alert-routes/mail")


def test_a_partner_has_a_bounded_number_of_routes(brokers: BrokerWorld, vault: VaultProcess) -> None:
    many = Desk(brokers, vault, "partner-162")
    for number in range(20):
        many.set(f"mail-{number}", email=f"desk{number}@partner.example")
    assert many.set("one-more", 409, email="desk@partner.example")["type"].endswith("too-many-routes")
    many.set("mail-3", email="changed@partner.example")


async def test_a_test_goes_by_its_route_alone_and_the_log_says_what_came_of_it(
    brokers: BrokerWorld, desk: Desk, hook: Hook, mailbox: Mailbox, superuser: asyncpg.Connection
) -> None:
    secret = desk.set("ops", webhook=hook.url, alerts=["all"])["secret"]
    desk.set("desk", email="desk@partner.example")
    desk.set("gone", email="nobody@partner.example")
    hook.posts.clear()
    hook.failures = 1
    for name in ("ops", "desk", "gone"):
        assert desk.ask("POST", f"/alert-routes/{name}/test").status_code == 202
    assert desk.ask("POST", "/alert-routes/ops/test").status_code == 409, "not as often as somebody likes"
    worker = brokers.worker()
    try:
        await until(lambda: all(one["settled_at"] for one in desk.log()))
    finally:
        end(worker)
    told = {one["deliveries"][0]["route"]: one["deliveries"] for one in desk.log() if one["kind"] == "test"}
    assert {route: [one["outcome"] for one in found] for route, found in told.items()} == {
        "route:ops": ["delivered"],
        "route:desk": ["delivered"],
        "route:gone": ["recipient_refused"],
    }
    assert told["route:ops"][0]["attempts"] == 2
    [mail] = [found for to, found in mailbox.mails if to == ["desk@partner.example"]]
    assert mail["From"] == "alerts@tradepulse.example"
    assert "A test" in mail["Subject"]
    # A route that carries everything was told the week as well.
    posts = [(sent, body) for sent, body in hook.posts if json.loads(body)["type"] == "test"]
    assert len(posts) == 2
    for sent, body in posts:
        signed = f"{sent['webhook-id']}.{sent['webhook-timestamp']}.".encode() + body
        key = base64.b64decode(secret.removeprefix("whsec_"))
        mac = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        assert sent["webhook-signature"] == f"v1,{mac}"
    assert len({sent["webhook-id"] for sent, _ in posts}) == 1
    kept = await superuser.fetchval(
        "SELECT secret_sealed FROM vault.alert_route WHERE partner = $1 AND route = 'ops'", PARTNER
    )
    assert secret.encode() not in bytes(kept)
    events = [one[0] for one in brokers.events(brokers.processes[0], PARTNER)]
    assert {"alert.route.set", "alert.route.drop", "alert.test", "alert.delivered"} <= set(events)


async def test_the_week_is_told_once_to_who_wants_it(
    brokers: BrokerWorld, vault: VaultProcess, mailbox: Mailbox, superuser: asyncpg.Connection
) -> None:
    partner = "partner-163"
    weekly = Desk(brokers, vault, partner)
    weekly.set("week", email="week@partner.example", alerts=["digest"])
    for _ in range(2):
        worker = brokers.worker()
        try:
            await until(lambda: any(to == ["week@partner.example"] for to, _ in mailbox.mails))
            await until(lambda: all(one["settled_at"] for one in weekly.log()))
        finally:
            end(worker)
    [mail] = [found for to, found in mailbox.mails if to == ["week@partner.example"]]
    assert "week in the vault" in mail["Subject"]
    assert "releases: 0" in mail.get_content()
    assert await superuser.fetchval("SELECT count(*) FROM vault.alert WHERE partner = $1", partner) == 1


async def test_a_new_key_is_told_once_and_the_first_one_is_no_news(
    brokers: BrokerWorld, vault: VaultProcess, superuser: asyncpg.Connection
) -> None:
    partner = "partner-164"
    told = Desk(brokers, vault, partner)
    told.set("keys", email="keys@partner.example", alerts=["key_rotation"])
    told.set("hook", webhook="http://127.0.0.1:9/nobody", alerts=["broker_disconnected"])
    await superuser.execute(
        "INSERT INTO vault.key_context (partner, key_version, root_version, fingerprint)"
        " SELECT partner, 2, root_version, fingerprint FROM vault.key_context WHERE partner = $1 AND key_version = 1",
        partner,
    )
    for _ in range(2):
        worker = brokers.worker()
        try:
            await until(lambda: [one["kind"] for one in told.log()] == ["key_rotation"])
        finally:
            end(worker)
    assert told.log()[0]["detail"] == {"key_version": 2}


async def test_what_is_held_is_measured_over_all_partners(world: World, superuser: asyncpg.Connection) -> None:
    del world  # Its schema is what is looked at.
    row = await superuser.fetchrow("SELECT * FROM vault.holdings('90 days')")
    assert row is not None
    assert row["keys"] >= 1
    assert row["keys_overdue"] == 0
    late = await superuser.fetchrow("SELECT * FROM vault.holdings('0 days')")
    assert late is not None
    assert late["keys_overdue"] == late["keys"]
