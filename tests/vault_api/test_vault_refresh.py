"""Refreshing against a broker that rotates refresh tokens and punishes reuse: in time, once, never losing one."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from broker_world import BrokerWorld, close, end, open_broker_world
from vault_world import CHECKOUT, VaultProcess, World

from vault_api.brokers.oauth import ANSWER_SECONDS
from vault_api.worker.claims import LEASE

ROUNDS = int(os.environ.get("TRADEPULSE_SOAK", "1"))
PARTNERS = itertools.count(0)
CHILD = Path(__file__).with_name("refresh_child.py")

Make = Callable[..., Awaitable[None]]
Work = Callable[[], None]


@pytest.fixture(scope="module")
def brokers(world: World, opa_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerWorld]:
    made = open_broker_world(world, opa_binary, tmp_path_factory.mktemp("refresh"))
    yield made
    close(made)


@pytest.fixture(scope="module")
def vault(brokers: BrokerWorld) -> VaultProcess:
    return brokers.vault()


@pytest.fixture
def partner(brokers: BrokerWorld) -> Iterator[str]:
    yield f"partner-{next(PARTNERS):03d}"
    brokers.broker.behave(faults={}, access_seconds=600, rotates=True)


@pytest.fixture
async def age(superuser: asyncpg.Connection) -> Make:
    """Makes a connection's token as old as the test needs it, and its refresh due; claims of the dead are over."""

    async def make(partner: str, *, left: float = 10.0, due: bool = True, wanted: bool = False) -> None:
        await superuser.execute(
            "UPDATE vault.credential SET stored_at = now() - interval '590 s', "
            "access_expires_at = now() + make_interval(secs => $2), "
            "refresh_by = now() + make_interval(secs => $3) WHERE partner = $1",
            partner, left, -1.0 if wanted else left / 2,
        )  # fmt: skip
        await superuser.execute(
            "UPDATE vault.schedule SET due_at = CASE WHEN $2 THEN now() ELSE due_at END, claimed_until = NULL "
            "WHERE partner = $1 AND work = 'refresh'",
            partner, due,
        )  # fmt: skip
        # Nobody else's tokens are this test's business.
        await superuser.execute(
            "UPDATE vault.schedule SET due_at = NULL WHERE partner <> $1 AND work = 'refresh'", partner
        )
        await superuser.execute("DELETE FROM vault.circuit")

    return make


def child(brokers: BrokerWorld, step: str, **more: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, CHILD, step],
        cwd=CHECKOUT,
        env=brokers.world.environment(**brokers.settings, PYTHONPATH=str(CHECKOUT)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        **more,
    )


def work_and_die(brokers: BrokerWorld, step: str) -> None:
    """One worker's round in a process of its own, which kills itself at that step."""
    process = child(brokers, step)
    process.communicate(timeout=90)
    assert process.returncode == -signal.SIGKILL


@pytest.fixture(scope="module")
def work(brokers: BrokerWorld) -> Iterator[Work]:
    """One round of a worker that lives on."""
    process = child(brokers, "obey")
    assert process.stdin is not None
    assert process.stdout is not None

    def round_() -> None:
        print(file=process.stdin, flush=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "done\n"

    yield round_
    process.stdin.close()
    process.wait(timeout=40)


def refreshes(brokers: BrokerWorld) -> int:
    return brokers.broker.counts().get("refreshes", 0)


async def test_a_worker_refreshes_in_time_and_the_old_refresh_token_is_spent(
    brokers: BrokerWorld, vault: VaultProcess, partner: str, age: Make, work: Work
) -> None:
    brokers.link(vault, partner)
    before = brokers.release(vault, partner).json()
    work()
    assert brokers.describe(vault, partner)["version"] == 1, "it was not time yet"
    for version in (2, 3):
        await age(partner)
        work()
        after = brokers.release(vault, partner).json()
        assert after["version"] == version
        assert after["access_token"] != before["access_token"]
        assert brokers.broker.trades(after["access_token"])
    assert ("credential.refresh", "success", None) in brokers.events(vault, partner)


STEPS = {
    "claimed": "active",
    "begun": "active",
    "sending": "active",
    "answered": "reconnect_needed",
    "committed": "active",
}
"""Where a worker dies, and what the connection has come to once others have done their rounds."""


@pytest.mark.parametrize("step", STEPS)
async def test_a_worker_killed_at_any_step_leaves_a_recovered_token_or_reconnect_needed(
    brokers: BrokerWorld,
    vault: VaultProcess,
    partner: str,
    age: Make,
    work: Work,
    superuser: asyncpg.Connection,
    step: str,
) -> None:
    for number in range(ROUNDS):
        connection = "main"
        brokers.link(vault, partner, connection)
        await age(partner)
        calls = brokers.broker.counts()["token_requests"]
        work_and_die(brokers, step)
        # The others: each round long after the dead one's claim is over.
        for _ in range(3):
            await superuser.execute("UPDATE vault.schedule SET claimed_until = NULL WHERE partner = $1", partner)
            work()
        state = brokers.describe(vault, partner, connection)
        assert state["state"] == STEPS[step], number
        # One call of the dead, one of whoever found the body: never a loop.
        assert brokers.broker.counts()["token_requests"] - calls <= 2
        if STEPS[step] == "active":
            assert brokers.broker.trades(brokers.release(vault, partner, connection).json()["access_token"])
        else:
            assert state["state_reason"] == "invalid_grant"
            left = await superuser.fetchval(
                "SELECT due_at FROM vault.schedule WHERE partner = $1 AND work = 'refresh'", partner
            )
            assert left is None


async def test_a_token_that_may_be_spent_is_not_risked_while_the_session_lives(
    brokers: BrokerWorld, vault: VaultProcess, partner: str, age: Make, work: Work
) -> None:
    brokers.link(vault, partner)
    token = brokers.release(vault, partner).json()["access_token"]
    await age(partner, left=100)
    work_and_die(brokers, "answered")
    calls = brokers.broker.counts()["token_requests"]
    await age(partner, left=100)
    work()
    assert brokers.broker.counts()["token_requests"] == calls
    assert brokers.release(vault, partner).json()["access_token"] == token
    assert brokers.broker.trades(token)
    assert ("credential.refresh", "failure", "refresh_uncertain") in brokers.events(vault, partner)


async def test_fifty_callers_in_two_processes_cause_one_call_and_all_get_the_new_token(
    brokers: BrokerWorld, vault: VaultProcess, partner: str, age: Make
) -> None:
    second = brokers.vault()
    brokers.link(vault, partner)
    old = brokers.release(vault, partner).json()["access_token"]
    assert brokers.release(second, partner).json()["access_token"] == old
    await age(partner, wanted=True)
    brokers.broker.behave(faults={"delay": 0.5, "times": 1})
    before = brokers.broker.counts()["token_requests"]
    path = f"/v1/partners/{partner}/connections/main/credential/release"
    async with httpx.AsyncClient(trust_env=False, timeout=60, headers=brokers.bearer(partner)) as http:

        async def call(url: str) -> httpx.Response:
            # A crowded machine may leave a neighbour without its answer for a moment; that is said, and nobody
            # may be told to wait for the token itself.
            while (answer := await http.post(f"{url}{path}")).status_code == 503:
                assert answer.json()["type"] != "urn:tradepulse:problem:refresh-pending"
            return answer

        urls = itertools.islice(itertools.cycle([vault.url, second.url]), 50)
        answers = await asyncio.gather(*(call(url) for url in urls))
    assert {answer.status_code for answer in answers} == {200}
    tokens = {answer.json()["access_token"] for answer in answers}
    assert len(tokens) == 1
    assert tokens != {old}
    assert brokers.broker.counts()["token_requests"] - before == 1
    assert brokers.broker.counts().get("refresh_token_used_again", 0) == 0 or brokers.broker.trades(tokens.pop())
    second.end()


async def test_a_connection_deleted_during_its_refresh_is_gone_and_what_the_broker_gave_is_revoked(
    brokers: BrokerWorld, vault: VaultProcess, partner: str, age: Make
) -> None:
    brokers.link(vault, partner)
    token = brokers.release(vault, partner).json()["access_token"]
    await age(partner, wanted=True)
    brokers.broker.behave(faults={"late": 1.5, "times": 1})
    before, answers = refreshes(brokers), []
    release = threading.Thread(
        target=lambda: answers.append(
            httpx.post(
                f"{vault.url}/v1/partners/{partner}/connections/main/credential/release",
                headers=brokers.bearer(partner), timeout=30, trust_env=False,
            )
        )
    )  # fmt: skip
    release.start()
    until = time.monotonic() + 20
    while refreshes(brokers) == before:
        assert time.monotonic() < until
        await asyncio.sleep(0.02)
    gone = vault.http.delete(f"/v1/partners/{partner}/connections/main", headers=brokers.bearer(partner))
    assert gone.status_code == 204
    await asyncio.to_thread(release.join, 30)
    assert answers[0].status_code == 404
    while brokers.broker.trades(token):
        assert time.monotonic() < until
        await asyncio.sleep(0.1)
    assert brokers.describe(vault, partner)["state"] == "revoked"


async def test_a_reply_without_refresh_token_or_lifetime_keeps_the_old_one_and_assumes_an_hour(
    brokers: BrokerWorld, vault: VaultProcess, partner: str, age: Make, work: Work
) -> None:
    brokers.link(vault, partner)
    brokers.broker.behave(rotates=False, faults={"omit": ["expires_in", "refresh_token"]})
    for version in (2, 3):
        await age(partner)
        work()
        shown = brokers.describe(vault, partner)
        assert (shown["version"], shown["has_refresh_token"]) == (version, True)
        released = brokers.release(vault, partner).json()
        assert released["expires_at"] is not None
        assert brokers.broker.trades(released["access_token"])


async def test_an_invalid_grant_counts_only_if_nobody_stored_a_newer_set_meanwhile(
    brokers: BrokerWorld, vault: VaultProcess, partner: str, age: Make, work: Work
) -> None:
    brokers.link(vault, partner)
    await age(partner)
    brokers.broker.behave(faults={"delay": 6.0, "error": "invalid_grant", "times": 1})
    before = brokers.broker.counts()["token_requests"]
    round_ = threading.Thread(target=work)
    round_.start()
    until = time.monotonic() + 60
    while brokers.broker.counts()["token_requests"] == before:
        assert time.monotonic() < until
        await asyncio.sleep(0.05)
    newer = vault.http.put(
        f"/v1/partners/{partner}/connections/main/credential",
        json={"broker": "paper", "access_token": "newer", "expires_at": "2099-01-01T00:00:00Z"},
        headers={**brokers.bearer(partner), "If-Match": '"1"'},
    )
    assert newer.status_code == 200, newer.text
    await asyncio.to_thread(round_.join, 60)
    assert brokers.describe(vault, partner)["state"] == "active"
    assert brokers.release(vault, partner).json()["access_token"] == "newer"
    assert ("credential.refresh", "failure", "superseded") in brokers.events(vault, partner)


async def test_a_grant_that_died_needs_a_reconnect_and_a_reconnect_heals_it(
    brokers: BrokerWorld, vault: VaultProcess, partner: str, age: Make, superuser: asyncpg.Connection
) -> None:
    brokers.link(vault, partner)
    await age(partner, left=-1, wanted=True)
    brokers.broker.behave(faults={"error": "invalid_grant", "times": 1})
    dead = brokers.release(vault, partner)
    assert (dead.status_code, dead.json()["type"]) == (409, "urn:tradepulse:problem:reconnect-needed")
    shown = brokers.describe(vault, partner)
    assert (shown["state"], shown["state_reason"]) == ("reconnect_needed", "invalid_grant")
    raised = await superuser.fetch("SELECT kind, connection FROM vault.alert WHERE partner = $1", partner)
    assert [tuple(row) for row in raised] == [("broker_disconnected", "main")]
    assert brokers.link(vault, partner)["version"] == 2
    assert brokers.describe(vault, partner)["state"] == "active"
    assert brokers.broker.trades(brokers.release(vault, partner).json()["access_token"])


async def test_while_the_broker_is_away_a_living_token_is_released_and_a_dead_one_is_503(
    brokers: BrokerWorld, vault: VaultProcess, partner: str, age: Make
) -> None:
    brokers.link(vault, partner)
    token = brokers.release(vault, partner).json()["access_token"]
    brokers.broker.behave(faults={"status": 503})
    await age(partner, left=20, wanted=True)
    assert brokers.release(vault, partner).json()["access_token"] == token
    await age(partner, left=-1, wanted=True)
    for _ in range(2):
        away = brokers.release(vault, partner)
        assert (away.status_code, away.json()["type"]) == (503, "urn:tradepulse:problem:refresh-pending")
        assert int(away.headers["Retry-After"]) >= 1
    brokers.broker.behave(faults={})
    await age(partner, left=-1, wanted=True)
    assert brokers.broker.trades(brokers.release(vault, partner).json()["access_token"])


async def test_a_broker_that_fails_again_and_again_is_left_alone_for_all_connections(
    brokers: BrokerWorld, vault: VaultProcess, partner: str, age: Make, work: Work, superuser: asyncpg.Connection
) -> None:
    for number in range(6):
        brokers.link(vault, partner, f"account-{number}")
    await age(partner)
    brokers.broker.behave(faults={"status": 500})
    work()
    calls = brokers.broker.counts()["token_requests"]
    await superuser.execute("UPDATE vault.schedule SET due_at = now() WHERE partner = $1", partner)
    work()
    assert brokers.broker.counts()["token_requests"] == calls
    health = vault.http.get("/health/auth").json()["broker_tokens"]
    assert (health["circuits_open"], health["failing"]) == (1, 6)
    await superuser.execute("UPDATE vault.circuit SET open_until = now()")
    await superuser.execute("UPDATE vault.schedule SET due_at = now() WHERE partner = $1", partner)
    brokers.broker.behave(faults={})
    work()
    assert vault.http.get("/health/auth").json()["broker_tokens"]["circuits_open"] == 0
    assert {brokers.describe(vault, partner, f"account-{number}")["version"] for number in range(6)} == {2}


async def test_a_live_session_never_drops_while_tokens_live_for_seconds(
    brokers: BrokerWorld, vault: VaultProcess, partner: str, age: Make
) -> None:
    brokers.broker.behave(access_seconds=4)
    brokers.link(vault, partner)
    await age(partner, left=4)
    worker = brokers.worker()
    seen: set[int] = set()
    try:
        until = time.monotonic() + 7
        while time.monotonic() < until:
            released = brokers.release(vault, partner)
            assert released.status_code == 200, released.text
            assert brokers.broker.trades(released.json()["access_token"])
            seen.add(released.json()["version"])
            await asyncio.sleep(0.05)
    finally:
        end(worker)
    assert len(seen) >= 2


def test_a_claim_outlives_the_slowest_answer_of_a_broker() -> None:
    assert LEASE.total_seconds() >= 2 * ANSWER_SECONDS


def test_no_refresh_token_is_in_any_log_or_line(brokers: BrokerWorld, vault: VaultProcess, partner: str) -> None:
    brokers.link(vault, partner)
    texts: list[Any] = [
        path.read_text(errors="replace") for path in brokers.world.home.rglob("*") if path.suffix in (".log", ".jsonl")
    ]
    assert texts
    assert not any("paper-refresh-" in text or "paper-access-" in text for text in texts)
