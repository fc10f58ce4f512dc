"""Vault, worker and practice broker together, for tests of linking and refreshing. All real, all processes."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import re
import signal
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import httpx
from vault_policy import PolicyServer
from vault_world import CHECKOUT, POLICY, VaultProcess, World, private_file, unused_port

from admin_sync.bundle.source import AlertRoute, Broker, PartnerRole, Permission, PolicySource

REDIRECT = "http://127.0.0.1/callback"
LINKER = frozenset({"connection:read", "connection:link", "connection:revoke", "credential:release"})
PASSWORD = "practice"


class PaperBroker:
    """`python -m stack.paper_broker` with its control port."""

    def __init__(self, home: Path, *, access_seconds: float = 600.0) -> None:
        self.port, control = unused_port(), unused_port()
        self.issuer = f"http://localhost:{self.port}"
        self._control = f"http://127.0.0.1:{control}"
        self._headers = {"Authorization": "Bearer control"}
        self._environment = {
            "PATH": os.environ["PATH"],
            "PAPER_BROKER_ISSUER": self.issuer,
            "PAPER_BROKER_STATE": str(home / f"broker-{self.port}.sqlite"),
            "PAPER_BROKER_CLIENT_SECRET_FILE": str(
                private_file(home / "broker-secret", "broker-secret:with/odd+signs")
            ),
            "PAPER_BROKER_PASSWORD_FILE": str(private_file(home / "broker-password", PASSWORD)),
            "PAPER_BROKER_REDIRECT_URIS": f"http://localhost:8400/link/callback,{REDIRECT}",
            "PAPER_BROKER_ACCESS_SECONDS": str(access_seconds),
            "PAPER_BROKER_CONTROL": f"127.0.0.1:{control}",
            "PAPER_BROKER_CONTROL_TOKEN_FILE": str(private_file(home / "broker-control", "control")),
        }
        self.secret_file = self._environment["PAPER_BROKER_CLIENT_SECRET_FILE"]
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "stack.paper_broker"], cwd=CHECKOUT, env=self._environment
        )
        await_answer(f"{self.issuer}/health", self._process)
        await_answer(f"{self._control}/counts", self._process)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=20)
            self._process = None

    def behave(self, **wanted: Any) -> None:
        httpx.put(f"{self._control}/behaviour", json=wanted, headers=self._headers, trust_env=False).raise_for_status()

    def counts(self) -> dict[str, int]:
        return dict(httpx.get(f"{self._control}/counts", headers=self._headers, trust_env=False).json())

    def consent(self, authorize_url: str, *, account: str = "desk", answer: str = "allow") -> dict[str, str]:
        """What the broker puts into the redirect after somebody answered its page."""
        with httpx.Client(trust_env=False) as browser:
            page = browser.get(authorize_url)
            if page.status_code == 303:
                return _redirected(page)
            request = re.search(r'name="request" value="([^"]+)"', page.text)
            assert request is not None, page.text
            form = {"request": request[1], "account": account, "password": PASSWORD, "answer": answer}
            return _redirected(browser.post(f"{self.issuer}/authorize", data=form))

    def trades(self, access_token: str) -> bool:
        """Whether an order is taken."""
        reply = httpx.post(
            f"{self.issuer}/v1/orders", headers={"Authorization": f"Bearer {access_token}"}, trust_env=False
        )
        return reply.status_code == 201


def _redirected(reply: httpx.Response) -> dict[str, str]:
    assert reply.status_code == 303, reply.text
    return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(reply.headers["location"]).query))


def await_answer(url: str, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 30
    while True:
        assert process.poll() is None, "it ended"
        try:
            httpx.get(url, trust_env=False)
        except httpx.TransportError:
            assert time.monotonic() < until
            time.sleep(0.05)
        else:
            return


@dataclass
class BrokerWorld:
    """A vault and its neighbours, with a policy about linking that a test may change."""

    world: World
    broker: PaperBroker
    policy: PolicyServer
    settings: Mapping[str, str]
    processes: list[VaultProcess] = field(default_factory=list)
    source: PolicySource = POLICY

    def vault(self, **more: str) -> VaultProcess:
        self.processes.append(self.world.start(**{**self.settings, **more}))
        return self.processes[-1]

    def worker(self, **more: str) -> subprocess.Popen[bytes]:
        """A worker, which answers when this returns."""
        port = unused_port()
        environment = self.world.environment(**{**self.settings, "VAULT_WORKER_BIND": f"127.0.0.1:{port}", **more})
        with (self.world.home / f"worker-{port}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "vault_api", "worker"], cwd=CHECKOUT, env=environment, stdout=log, stderr=log
            )
        await_answer(f"http://127.0.0.1:{port}/health/live", process)
        return process

    def start_link(self, vault: VaultProcess, partner: str, connection: str = "main", **who: Any) -> httpx.Response:
        return vault.http.post(
            f"/v1/partners/{partner}/connections",
            json={"broker": "paper", "connection": connection, "redirect_uri": "http://127.0.0.1:4444/callback"},
            headers=self.bearer(partner, **who),
        )

    def link(self, vault: VaultProcess, partner: str, connection: str = "main", **who: Any) -> dict[str, Any]:
        """A linked connection."""
        started = self.start_link(vault, partner, connection, **who)
        assert started.status_code == 201, started.text
        given = self.broker.consent(started.json()["authorize_url"])
        done = vault.http.get("/v1/link/callback", params=given, headers=self.bearer(partner, **who))
        assert done.status_code == 200, done.text
        return dict(done.json())

    def release(self, vault: VaultProcess, partner: str, connection: str = "main") -> httpx.Response:
        return vault.http.post(
            f"/v1/partners/{partner}/connections/{connection}/credential/release", headers=self.bearer(partner)
        )

    def describe(self, vault: VaultProcess, partner: str, connection: str = "main") -> dict[str, Any]:
        reply = vault.http.get(
            f"/v1/partners/{partner}/connections/{connection}/credential", headers=self.bearer(partner)
        )
        assert reply.status_code == 200, reply.text
        return dict(reply.json())

    def bearer(self, partner: str, *, role: str = "partner-linker", **claims: Any) -> dict[str, str]:
        return self.world.realm.bearer(partner, role=role, **claims)

    def events(self, vault: VaultProcess, partner: str) -> list[tuple[str, str, str | None]]:
        """The partner's trail as (event, outcome, reason)."""
        page = vault.http.get(f"/v1/partners/{partner}/audit?limit=500", headers=self.bearer(partner)).json()
        assert page["chain"]["intact"]
        return [(line["event"], line["outcome"], line["reason"]) for line in page["events"]]


def linking_policy(issuer: str, *, approving: frozenset[str], routes: tuple[AlertRoute, ...]) -> PolicySource:
    """The tests' policy with brokers; the partners in `approving` want a second person, all get `routes`."""
    partners = {
        name: dataclasses.replace(
            partner,
            brokers=frozenset({"paper", "absent", "inside"}),
            roles=frozenset({"partner-linker", "partner-approver", "partner-teller"}),
            usual_alerts=frozenset({"token_expiring"}),
            approve_connections=name in approving,
            alert_routes=routes,
        )
        for name, partner in POLICY.partners.items()
    }
    paper = Broker(
        display_name="Paper", client_id="tradepulse", secret="PAPER_BROKER_CLIENT_SECRET", issuer=issuer,
        scopes=("openid", "offline_access", "trade"), before_expiry=0.2, rotates_refresh_token=True,
    )  # fmt: skip
    return dataclasses.replace(
        POLICY,
        permissions={
            **POLICY.permissions,
            "connection:approve": Permission(partner_scoped=True),
            "connection:revoke": Permission(partner_scoped=True),
            "alert:manage": Permission(partner_scoped=True),
        },
        partner_roles={
            "partner-linker": PartnerRole(permissions=LINKER),
            "partner-approver": PartnerRole(permissions=frozenset({"connection:read", "connection:approve"})),
            "partner-teller": PartnerRole(permissions=frozenset({"connection:read", "alert:manage"})),
        },
        partners=partners,
        brokers={
            "paper": paper,
            "inside": dataclasses.replace(paper, issuer="https://169.254.169.254/issuer"),
        },
    )


def end(process: subprocess.Popen[bytes], how: int = signal.SIGTERM) -> None:
    if process.poll() is None:
        process.send_signal(how)
    process.wait(timeout=40)


APPROVING = frozenset(f"partner-{number:03d}" for number in range(200, 250))
"""Partners of these tests that want a second person."""


def open_broker_world(
    world: World, opa: Path, home: Path, *, access_seconds: float = 600.0, routes: tuple[AlertRoute, ...] = (),
    **settings: str,
) -> BrokerWorld:  # fmt: skip
    """A broker, and a policy that knows it; vaults are started by the test."""
    broker = PaperBroker(home, access_seconds=access_seconds)
    source = linking_policy(broker.issuer, approving=APPROVING, routes=routes)
    policy = PolicyServer(opa, home)
    policy.serve(source)
    return BrokerWorld(
        world,
        broker,
        policy,
        {
            "TRADEPULSE_OPA_URL": policy.url,
            "PAPER_BROKER_CLIENT_SECRET_FILE": broker.secret_file,
            "VAULT_LINK_REDIRECT_URIS": f"http://localhost:8400/link/callback,{REDIRECT}",
            **settings,
        },
        source=source,
    )


def close(brokers: BrokerWorld) -> None:
    for vault in brokers.processes:
        vault.end()
    brokers.policy.end()
    brokers.broker.stop()
    asyncio.run(_leave_nothing_open(brokers.world.postgres.superuser_dsn))


async def _leave_nothing_open(dsn: str) -> None:
    """What is known of a broker holds for all vaults on a database, also for those of the next module."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("DELETE FROM vault.circuit")
    finally:
        await connection.close()
