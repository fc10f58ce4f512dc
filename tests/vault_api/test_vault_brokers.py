"""A broker that is taken away from a partner releases no more, for connections seen before and for new ones."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from vault_policy import PolicyServer
from vault_world import FIRST, POLICY, TOKENS, VaultProcess, World, audit_url, credential_url

from admin_sync.bundle.source import PolicySource
from vault_api.connections.brokers import KnownBrokers


@pytest.fixture(scope="module")
def policy(opa_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PolicyServer]:
    """An OPA whose bundle these tests change."""
    server = PolicyServer(opa_binary, tmp_path_factory.mktemp("brokers-opa"))
    server.serve(POLICY)
    yield server
    server.end()


@pytest.fixture
def vault(
    start_vault: Callable[..., VaultProcess], own_database: dict[str, str], policy: PolicyServer, tmp_path: Path
) -> VaultProcess:
    """A vault with nothing in memory and a database of its own."""
    return start_vault(**own_database, TRADEPULSE_OPA_URL=policy.url, TRADEPULSE_AUDIT_DIR=str(tmp_path / "audit"))


@pytest.fixture
async def database(world: World, own_database: dict[str, str]) -> AsyncIterator[asyncpg.Connection]:
    """That database, for somebody to whom nothing is refused."""
    name = own_database["VAULT_DATABASE_URL"].rpartition("/")[2]
    connection = await asyncpg.connect(world.postgres.superuser_dsn, database=name)
    yield connection
    await connection.close()


def without(partner: str, broker: str) -> PolicySource:
    """The policy in which the partner has the broker no more."""
    known = POLICY.partners[partner]
    return replace(POLICY, partners={**POLICY.partners, partner: replace(known, brokers=known.brokers - {broker})})


def store(vault: VaultProcess, world: World, partner: str, connection: str = "main", broker: str = "paper") -> None:
    headers = {**world.realm.bearer(partner), **FIRST}
    body = {**TOKENS, "broker": broker}
    assert vault.http.put(credential_url(partner, connection), headers=headers, json=body).status_code == 201


def release(
    vault: VaultProcess, world: World, partner: str, connection: str = "main", by: str | None = None
) -> httpx.Response:
    return vault.http.post(f"{credential_url(partner, connection)}/release", headers=world.realm.bearer(by or partner))


def last_line(vault: VaultProcess, world: World, partner: str) -> dict[str, Any]:
    """The line of what was done last on the partner's account."""
    page = vault.http.get(audit_url(partner), headers=world.realm.bearer(partner)).json()
    line: dict[str, Any] = page["events"][-2]
    return line


def question(policy: PolicyServer, decision: str) -> dict[str, Any]:
    """What OPA was asked in the decision of that id, by OPA's own log."""
    until = time.monotonic() + 10
    while True:
        for text in policy.log.read_text().splitlines():
            if decision in text:
                asked: dict[str, Any] = json.loads(text)["input"]
                return asked
        assert time.monotonic() < until
        time.sleep(0.05)


def test_a_broker_taken_away_releases_no_more_and_the_others_still_do(
    vault: VaultProcess, world: World, policy: PolicyServer, partner: str, other_partner: str
) -> None:
    store(vault, world, partner)
    store(vault, world, partner, "second", "alpaca")
    # Never released before the change: its broker is not in memory.
    store(vault, world, partner, "unseen")
    store(vault, world, other_partner)
    assert release(vault, world, partner).status_code == 200
    policy.serve(without(partner, "paper"))
    try:
        # Decisions are remembered for two seconds.
        until = time.monotonic() + 10
        while (answer := release(vault, world, partner)).status_code == 200:
            assert time.monotonic() < until
            time.sleep(0.1)
        for connection in ("main", "unseen"):
            answer = release(vault, world, partner, connection)
            assert (answer.status_code, answer.json()["type"]) == (403, "urn:tradepulse:problem:forbidden")
            assert "an-access-token" not in answer.text
            line = last_line(vault, world, partner)
            assert (line["event"], line["outcome"]) == ("credential.release", "denied")
            assert line["reason"] == "broker_not_allowed"
            assert line["decision_id"] == answer.json()["decision_id"]
            assert question(policy, line["decision_id"])["resource"] == {"broker": "paper"}
        assert release(vault, world, partner, "second").status_code == 200
        assert release(vault, world, other_partner).status_code == 200
        assert release(vault, world, partner, "nothing").status_code == 404
        # To somebody who does not belong there it is what it always is.
        foreign = release(vault, world, partner, by=other_partner)
        nobody = release(vault, world, "no-such-partner", by=other_partner)
        assert (foreign.status_code, nobody.status_code) == (404, 404)
        assert {**foreign.json(), "trace_id": ""} == {**nobody.json(), "trace_id": ""}
        # What the credential is may still be read.
        url = credential_url(partner, "main")
        assert vault.http.get(url, headers=world.realm.bearer(partner)).status_code == 200
    finally:
        policy.serve(POLICY)


def test_the_line_of_a_release_names_the_decision_that_knew_the_broker(
    vault: VaultProcess, world: World, policy: PolicyServer, partner: str
) -> None:
    store(vault, world, partner)
    for _ in range(2):
        assert release(vault, world, partner).status_code == 200
        line = last_line(vault, world, partner)
        assert (line["event"], line["outcome"]) == ("credential.release", "success")
        assert question(policy, line["decision_id"])["resource"] == {"broker": "paper"}


def test_a_missing_connection_is_one_line_and_404(vault: VaultProcess, world: World, partner: str) -> None:
    store(vault, world, partner)
    for _ in range(2):
        assert release(vault, world, partner, "nothing").status_code == 404
    page = vault.http.get(audit_url(partner), headers=world.realm.bearer(partner)).json()
    assert [(line["event"], line["outcome"], line["reason"]) for line in page["events"][1:3]] == [
        ("credential.release", "denied", "not_found")
    ] * 2
    assert len(page["events"]) == 4
    assert page["chain"]["intact"] is True
    # It is not remembered as missing.
    store(vault, world, partner, "nothing")
    assert release(vault, world, partner, "nothing").status_code == 200


async def test_the_broker_of_a_connection_is_looked_up_once(
    vault: VaultProcess, world: World, partner: str, database: asyncpg.Connection
) -> None:
    store(vault, world, partner)
    store(vault, world, partner, "second")
    assert release(vault, world, partner).status_code == 200
    await database.execute("REVOKE EXECUTE ON FUNCTION vault.broker_to_release(text, text, text[]) FROM vault_app")
    assert release(vault, world, partner).status_code == 200
    assert release(vault, world, partner, "second").status_code == 503


async def test_a_broker_that_was_changed_behind_the_vault_is_not_released_on_the_old_ones_decision(
    vault: VaultProcess, world: World, partner: str, database: asyncpg.Connection
) -> None:
    store(vault, world, partner)
    assert release(vault, world, partner).status_code == 200
    await database.execute("UPDATE vault.connection SET broker = 'schwab' WHERE partner = $1", partner)
    answer = release(vault, world, partner)
    assert (answer.status_code, answer.json()["type"]) == (500, "urn:tradepulse:problem:integrity-error")
    assert "an-access-token" not in answer.text
    assert release(vault, world, partner).status_code == 403


def test_the_brokers_that_are_remembered_are_bounded_and_the_least_used_go_first() -> None:
    known = KnownBrokers(size=2)
    known.remember("acme", "a", "paper")
    known.remember("acme", "b", "alpaca")
    assert known.of("acme", "a") == "paper"
    known.remember("birch", "a", "schwab")
    assert len(known) == 2
    assert [known.of("acme", "a"), known.of("acme", "b"), known.of("birch", "a")] == ["paper", None, "schwab"]
    known.forget("acme", "a")
    assert known.of("acme", "a") is None
