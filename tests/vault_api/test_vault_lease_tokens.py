"""Leases of narrowed broker tokens, with the practice broker: fewer scopes, and ended without the original."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from lease_world import leases_url
from vault_policy import PolicyServer
from vault_world import (
    CHECKOUT,
    FIRST,
    POLICY,
    VaultProcess,
    World,
    credential_url,
    new_database,
    private_file,
    unused_port,
)

from admin_sync.bundle.source import Broker
from stack.paper_broker.grants import Grants


class Practice:
    """The practice broker as a child, and a person's grant there."""

    def __init__(self, home: Path) -> None:
        self.issuer = f"http://127.0.0.1:{unused_port()}/paper"
        self.state = home / "broker.sqlite"
        self.secret_file = private_file(home / "broker-secret", secrets.token_urlsafe(16))
        self._environment = {
            "PATH": "/usr/bin:/bin",
            "PAPER_BROKER_ISSUER": self.issuer,
            "PAPER_BROKER_STATE": str(self.state),
            "PAPER_BROKER_CLIENT_SECRET_FILE": str(self.secret_file),
            "PAPER_BROKER_REDIRECT_URIS": "http://127.0.0.1/callback",
            "PAPER_BROKER_PASSWORD_FILE": str(private_file(home / "broker-password", "practice")),
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "stack.paper_broker"], cwd=CHECKOUT, env=self._environment
        )
        until = time.monotonic() + 30
        while True:
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{self.issuer}/.well-known/openid-configuration", trust_env=False).status_code == 200:
                    return
            assert time.monotonic() < until
            time.sleep(0.05)

    def token(self, *scopes: str) -> str:
        """An access token as the broker would have given it to a person who agreed."""
        grants = Grants(self.state)
        verifier = secrets.token_urlsafe(48)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        where = "http://127.0.0.1/callback"
        code = grants.new_code(redirect_uri=where, challenge=challenge, nonce=None, account="ada", scopes=scopes)
        grant = grants.redeem(code, redirect_uri=where, challenge=challenge)
        try:
            return grants.issue(grant.family, "access", grant.scopes, 600)
        finally:
            grants.close()

    def order(self, token: str) -> int:
        return httpx.post(
            f"{self.issuer}/v1/orders", headers={"Authorization": f"Bearer {token}"}, trust_env=False
        ).status_code

    def end(self) -> None:
        self._process.terminate()
        self._process.wait(timeout=20)


@pytest.fixture
def practice(tmp_path: Path) -> Iterator[Practice]:
    broker = Practice(tmp_path)
    yield broker
    broker.end()


@pytest.fixture
def lending(
    practice: Practice, world: World, opa_binary: Path, tmp_path: Path, start_vault: Callable[..., VaultProcess]
) -> Iterator[VaultProcess]:
    policy = PolicyServer(opa_binary, tmp_path)
    paper = Broker(
        display_name="Paper", client_id="tradepulse", secret="PRACTICE_SECRET", issuer=practice.issuer,
        scopes=("read", "trade"),
    )  # fmt: skip
    policy.serve(replace(POLICY, brokers={"paper": paper}))
    file = tmp_path / "leases.toml"
    file.write_text(
        "[brokers.paper]\nrevokes_alone = true\n[brokers.paper.scopes]\n"
        'read = "connection:read"\ntrade = "connection:revoke"\n'
        '[templates.look]\nbroker = "paper"\nscopes = ["read"]\npartners = ["*"]\n'
        '[templates.trade]\nbroker = "paper"\nscopes = ["read", "trade"]\npartners = ["*"]\n'
    )
    vault = start_vault(
        **asyncio.run(new_database(world)), TRADEPULSE_OPA_URL=policy.url, VAULT_LEASES_FILE=str(file),
        PRACTICE_SECRET_FILE=str(practice.secret_file), TRADEPULSE_AUDIT_DIR=str(tmp_path / "audit"),
    )  # fmt: skip
    yield vault
    vault.end()
    policy.end()


def test_a_narrowed_token_may_less_than_the_connection_and_ends_without_it(
    lending: VaultProcess, practice: Practice, world: World, partner: str
) -> None:
    original = practice.token("read", "trade")
    bearer = world.realm.bearer(partner)
    stored = lending.http.put(
        credential_url(partner, "main"), headers={**bearer, **FIRST}, json={"broker": "paper", "access_token": original}
    )
    assert stored.status_code == 201, stored.text
    wanted = {"template": "look", "connection": "main"}
    answer = lending.http.post(leases_url(partner), headers=bearer, json=wanted)
    assert answer.status_code == 201, answer.text
    lease, credential = answer.json()["lease"], answer.json()["credential"]
    assert credential["scopes"] == ["read"]
    narrowed = credential["access_token"]
    assert (practice.order(narrowed), practice.order(original)) == (403, 201)
    # Trading needs a permission that in this table only an administrator has.
    trade = {**wanted, "template": "trade"}
    assert lending.http.post(leases_url(partner), headers=bearer, json=trade).status_code == 403
    admin = world.realm.bearer(partner, role="partner-admin", sub="admin")
    traded = lending.http.post(leases_url(partner), headers=admin, json=trade)
    assert practice.order(traded.json()["credential"]["access_token"]) == 201
    # A narrowed token cannot be made to live longer, and is asked for with a connection to its own broker.
    renewed = lending.http.post(leases_url(partner, f"{lease['lease']}/renew"), headers=bearer)
    assert (renewed.status_code, renewed.json()["type"]) == (409, "urn:tradepulse:problem:lease-not-renewable")
    assert lending.http.post(leases_url(partner), headers=bearer, json={"template": "look"}).status_code == 422
    ended = lending.http.delete(leases_url(partner, lease["lease"]), headers=bearer)
    assert (ended.status_code, ended.json()["state"]) == (200, "ended"), ended.text
    assert (practice.order(narrowed), practice.order(original)) == (401, 201)
    for secret in (narrowed, original):
        assert secret not in lending.logged()
        assert secret not in lending.http.get(f"/v1/partners/{partner}/audit", headers=bearer).text


def test_a_token_without_the_scope_is_not_widened(
    lending: VaultProcess, practice: Practice, world: World, partner: str
) -> None:
    bearer = world.realm.bearer(partner, role="partner-admin")
    body = {"broker": "paper", "access_token": practice.token("read")}
    assert lending.http.put(credential_url(partner, "main"), headers={**bearer, **FIRST}, json=body).status_code == 201
    refused = lending.http.post(leases_url(partner), headers=bearer, json={"template": "trade", "connection": "main"})
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:tradepulse:problem:lease-target-refused")
