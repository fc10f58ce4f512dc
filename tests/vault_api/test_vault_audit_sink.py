"""Case 8: what cannot be recorded is not done, and the answer comes in bounded time."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import asyncpg
import httpx
import pytest
from vault_world import FIRST, TOKENS, VaultProcess, World, credential_url

UNRECORDED = "urn:tradepulse:problem:audit-unavailable"
BOUND = 4.0


@pytest.fixture(scope="module")
def vault(start_vault: Callable[..., VaultProcess]) -> VaultProcess:
    """A vault whose statements are given up after a second."""
    return start_vault(VAULT_STATEMENT_SECONDS="1")


def attempts(vault: VaultProcess, world: World, partner: str) -> dict[str, httpx.Response]:
    """Every call, and a refusal, with the time each took."""
    bearer, url = world.realm.bearer(partner), credential_url(partner, "main")
    analyst = world.realm.bearer(partner, role="partner-analyst")
    calls: dict[str, Callable[[], httpx.Response]] = {
        "release": lambda: vault.http.post(f"{url}/release", headers=bearer, timeout=30),
        "store": lambda: vault.http.put(url, headers={**bearer, "If-Match": '"1"'}, json=TOKENS, timeout=30),
        "describe": lambda: vault.http.get(url, headers=bearer, timeout=30),
        "list": lambda: vault.http.get(f"/v1/partners/{partner}/connections", headers=bearer, timeout=30),
        "audit": lambda: vault.http.get(f"/v1/partners/{partner}/audit", headers=bearer, timeout=30),
        "denial": lambda: vault.http.post(f"{url}/release", headers=analyst, timeout=30),
    }
    answers = {}
    for name, call in calls.items():
        started = time.monotonic()
        answers[name] = call()
        assert time.monotonic() - started < BOUND, name
    return answers


def nothing_was_done(answers: dict[str, httpx.Response]) -> None:
    for name, answer in answers.items():
        assert (answer.status_code, answer.json()["type"]) == (503, UNRECORDED), name
        assert int(answer.headers["Retry-After"]) > 0
        assert "an-access-token" not in answer.text, name


@pytest.fixture
async def stored(vault: VaultProcess, world: World, partner: str) -> str:
    headers = {**world.realm.bearer(partner), **FIRST}
    assert vault.http.put(credential_url(partner, "main"), headers=headers, json=TOKENS).status_code == 201
    return partner


@pytest.fixture
async def failing_sink(superuser: asyncpg.Connection, stored: str) -> AsyncIterator[None]:
    """The audit table refuses every line of one partner, as a full disk would."""
    await superuser.execute(
        f"CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.partner = '{stored}' "
        "THEN RAISE EXCEPTION 'no space left on device' USING ERRCODE = 'disk_full'; END IF; RETURN NEW; END $$;"
        "CREATE TRIGGER refuse BEFORE INSERT ON vault.audit FOR EACH ROW EXECUTE FUNCTION public.refuse()"
    )
    yield
    await superuser.execute("DROP TRIGGER refuse ON vault.audit; DROP FUNCTION public.refuse()")


async def version(superuser: asyncpg.Connection, partner: str) -> int:
    return int(await superuser.fetchval("SELECT version FROM vault.credential WHERE partner = $1", partner))


@pytest.mark.usefixtures("failing_sink")
async def test_a_sink_that_fails_is_503_and_no_secret(
    vault: VaultProcess, world: World, stored: str, superuser: asyncpg.Connection
) -> None:
    nothing_was_done(attempts(vault, world, stored))
    assert await version(superuser, stored) == 1


async def test_a_sink_that_hangs_is_503_in_bounded_time_and_hurts_nobody_else(
    vault: VaultProcess, world: World, stored: str, other_partner: str, superuser: asyncpg.Connection
) -> None:
    headers = {**world.realm.bearer(other_partner), **FIRST}
    assert vault.http.put(credential_url(other_partner, "main"), headers=headers, json=TOKENS).status_code == 201
    async with superuser.transaction():
        # Holds the head of this partner's chain, as a stuck writer would.
        await superuser.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 20261122))", stored)
        bearer = world.realm.bearer(stored)
        started = time.monotonic()
        answer = vault.http.post(f"{credential_url(stored, 'main')}/release", headers=bearer, timeout=30)
        assert time.monotonic() - started < BOUND
        nothing_was_done({"release": answer})
        url = f"{credential_url(other_partner, 'main')}/release"
        assert vault.http.post(url, headers=world.realm.bearer(other_partner)).status_code == 200
    assert await version(superuser, stored) == 1
    released = vault.http.post(f"{credential_url(stored, 'main')}/release", headers=world.realm.bearer(stored))
    assert released.status_code == 200


async def test_a_database_that_lets_nobody_write_is_503_in_bounded_time(
    vault: VaultProcess, world: World, stored: str, superuser: asyncpg.Connection
) -> None:
    async with superuser.transaction():
        await superuser.execute("LOCK TABLE vault.audit IN EXCLUSIVE MODE")
        answers = attempts(vault, world, stored)
    nothing_was_done(answers)


async def test_a_database_that_hangs_is_503_in_bounded_time(
    vault: VaultProcess, world: World, stored: str, superuser: asyncpg.Connection
) -> None:
    def signal_backends(pids: list[int], number: int) -> None:
        for pid in pids:
            os.kill(pid, number)

    found = await superuser.fetch("SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'vault-api%'")
    pids = [row["pid"] for row in found]
    signal_backends(pids, signal.SIGSTOP)
    try:
        started = time.monotonic()
        answer = vault.http.post(
            f"{credential_url(stored, 'main')}/release", headers=world.realm.bearer(stored), timeout=30
        )
        assert time.monotonic() - started < 2 * BOUND
        nothing_was_done({"release": answer})
    finally:
        signal_backends(pids, signal.SIGCONT)


async def test_a_refused_token_that_cannot_be_recorded_is_503(
    vault: VaultProcess, superuser: asyncpg.Connection
) -> None:
    async with superuser.transaction():
        await superuser.execute("LOCK TABLE vault.audit IN EXCLUSIVE MODE")
        bad = {"Authorization": "Bearer not-a-token"}
        answer = vault.http.post(f"{credential_url('any', 'main')}/release", headers=bad, timeout=30)
    assert (answer.status_code, answer.json()["type"]) == (503, UNRECORDED)


async def test_a_file_that_takes_no_line_shows_in_readiness_and_nothing_is_lost(
    start_vault: Callable[..., VaultProcess], own_database: dict[str, str], world: World, partner: str, tmp_path: Path
) -> None:
    blocked = tmp_path / "audit"
    blocked.write_text("a file where a directory should be")
    settings = {**own_database, "TRADEPULSE_AUDIT_DIR": str(blocked), "VAULT_AUDIT_LAG_SECONDS": "1"}
    vault = start_vault(**settings)
    headers = {**world.realm.bearer(partner), **FIRST}
    # The line is durable in PostgreSQL with its effect; the file is a copy that can be made later.
    assert vault.http.put(credential_url(partner, "main"), headers=headers, json=TOKENS).status_code == 201
    until = time.monotonic() + 20
    while (ready := vault.http.get("/health/ready")).status_code != 503:
        assert time.monotonic() < until
        await asyncio.sleep(0.2)
    assert ready.json()["missing"] == ["audit_file"]
    blocked.unlink()
    while vault.http.get("/health/ready").status_code != 200:
        assert time.monotonic() < until + 20
        await asyncio.sleep(0.2)
    assert '"event":"credential.store"' in (blocked / "api_events.jsonl").read_text()


def test_names_of_tokens_and_not_tokens_are_recorded(vault: VaultProcess, world: World, partner: str) -> None:
    trace = secrets.token_hex(16)
    expired = world.realm.token(partner, exp=1_000_000_000, iat=999_999_000)
    headers = {"Authorization": f"Bearer {expired}", "traceparent": f"00-{trace}-{'1' * 16}-01"}
    answer = vault.http.post(f"{credential_url(partner, 'main')}/release", headers=headers)
    assert answer.status_code == 401
    path, until = vault.audit / "api_events.jsonl", time.monotonic() + 10
    while not (found := [line for line in path.read_text().splitlines() if trace in line]):
        assert time.monotonic() < until
        time.sleep(0.05)
    assert len(found) == 1
    assert '"reason":"expired"' in found[0]
    assert '"actor":"token:' in found[0]
    assert expired not in found[0]
    assert expired.rpartition(".")[2] not in path.read_text()
