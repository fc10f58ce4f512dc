"""Cases 1 and 3: nobody gets another partner's row, and nobody learns whether there is one."""

from __future__ import annotations

import asyncio
import secrets
import statistics
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import asyncpg
import httpx
import pytest
from vault_world import FIRST, TOKENS, VaultProcess, World, audit_url, credential_url

from identity.audit.event import AuditEvent
from vault_api.store.database import Database, DatabaseUnavailable
from vault_api.store.repository import Repository, ToStore
from vault_api.trail.line import pieces

NOT_SET = "vault.partner is not set in this transaction"
TENANT_TABLES = ("connection", "credential", "key_context", "audit")


def store(vault: VaultProcess, world: World, partner: str) -> None:
    headers = {**world.realm.bearer(partner), **FIRST}
    assert vault.http.put(credential_url(partner, "main"), headers=headers, json=TOKENS).status_code == 201


def calls(partner: str, connection: str) -> list[tuple[str, str, dict[str, Any]]]:
    """Every call there is on a connection, and on the partner as a whole."""
    credential = credential_url(partner, connection)
    return [
        ("PUT", credential, {"json": TOKENS, "headers": {"If-Match": '"1"'}}),
        ("GET", credential, {}),
        ("POST", f"{credential}/release", {}),
        ("GET", f"/v1/partners/{partner}/connections", {}),
        ("GET", audit_url(partner), {}),
    ]


def sent(vault: VaultProcess, bearer: dict[str, str], method: str, url: str, more: dict[str, Any]) -> httpx.Response:
    return vault.http.request(method, url, json=more.get("json"), headers={**bearer, **more.get("headers", {})})


def seen(answer: httpx.Response) -> tuple[Any, ...]:
    """Everything a caller can see of an answer but its own trace id."""
    body = {name: value for name, value in answer.json().items() if name != "trace_id"}
    headers = {name: value for name, value in answer.headers.items() if name != "date"}
    return answer.status_code, body, headers


def test_another_partners_things_answer_exactly_as_missing_ones(
    vault: VaultProcess, world: World, partner: str, other_partner: str
) -> None:
    store(vault, world, other_partner)
    store(vault, world, partner)
    bearer = world.realm.bearer(partner)
    missing = seen(sent(vault, bearer, *calls(partner, "no-such-thing")[1]))
    assert missing[0] == 404
    for place in (other_partner, "no-such-partner", "NOT A NAME", "%00", "..%2f"):
        for method, url, more in calls(place, "main"):
            assert seen(sent(vault, bearer, method, url, more)) == missing, (method, url)
    for method, url, more in [*calls(partner, "no-such-thing")[:3], *calls(partner, "NOT-A-NAME")[:3]]:
        assert seen(sent(vault, bearer, method, url, more)) == missing, (method, url)


async def test_asking_for_another_partners_things_is_recorded_and_not_in_their_trail(
    vault: VaultProcess, world: World, partner: str, other_partner: str, superuser: asyncpg.Connection
) -> None:
    store(vault, world, other_partner)
    trace = secrets.token_hex(16)
    bearer = {**world.realm.bearer(partner), "traceparent": f"00-{trace}-{'1' * 16}-01"}
    asked = calls(other_partner, "main")
    for method, url, more in asked:
        sent(vault, bearer, method, url, more)
    lines = await superuser.fetch("SELECT partner, outcome, line FROM vault.audit WHERE line LIKE $1", f"%{trace}%")
    assert len(lines) == len(asked)
    assert {(line["partner"], line["outcome"]) for line in lines} == {("-", "denied")}
    assert all(f"sub-{partner}" in line["line"] or f"{partner}@example.test" in line["line"] for line in lines)
    assert all('"partner":null' in line["line"] and other_partner in line["line"] for line in lines)


def test_the_time_of_a_foreign_answer_is_that_of_a_missing_one(
    vault: VaultProcess, world: World, partner: str, other_partner: str
) -> None:
    store(vault, world, partner)
    store(vault, world, other_partner)
    bearer = world.realm.bearer(partner)

    def seconds(place: str, connection: str) -> float:
        started = time.perf_counter()
        answer = vault.http.post(f"{credential_url(place, connection)}/release", headers=bearer)
        assert answer.status_code == 404
        return time.perf_counter() - started

    places = {"missing": (partner, "nothing"), "foreign": (other_partner, "main"), "nobody": ("no-such", "main")}
    taken: dict[str, list[float]] = {name: [] for name in places}
    for _ in range(150):
        for name, place in places.items():
            taken[name].append(seconds(*place))
    medians = {name: statistics.median(times) for name, times in taken.items()}
    assert max(medians.values()) < 1.5 * min(medians.values()), medians


@pytest.mark.parametrize("table", TENANT_TABLES)
async def test_a_tenant_that_is_not_set_is_an_error_and_not_an_empty_result(
    table: str, world: World, as_app: asyncpg.Connection
) -> None:
    every = f"SELECT * FROM vault.{table}"  # noqa: S608 - from the list above
    for statement in (every, f"{every} WHERE partner = 'x'", f"SELECT count(*) FROM ({every}) x"):  # noqa: S608
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match=NOT_SET):
            await as_app.fetch(statement)
    # What a committed transaction leaves behind is the empty string, not absence.
    await as_app.fetchval("SELECT set_config('vault.partner', 'somebody', true)")
    assert await as_app.fetchval("SELECT current_setting('vault.partner', true)") == ""
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match=NOT_SET):
        await as_app.fetch(every)


async def test_the_owner_of_the_tables_is_bound_as_well(world: World) -> None:
    owner = await asyncpg.connect(world.postgres.dsn("vault_owner"))
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match=NOT_SET):
            await owner.fetch("SELECT * FROM vault.credential")
    finally:
        await owner.close()


async def test_with_one_partner_set_another_ones_rows_can_be_neither_seen_nor_made(
    vault: VaultProcess, world: World, partner: str, other_partner: str, as_app: asyncpg.Connection
) -> None:
    store(vault, world, partner)
    store(vault, world, other_partner)
    async with as_app.transaction():
        await as_app.execute("SELECT set_config('vault.partner', $1, true)", partner)
        for table in TENANT_TABLES:
            found = await as_app.fetch(f"SELECT DISTINCT partner FROM vault.{table}")  # noqa: S608
            assert [row["partner"] for row in found] == [partner], table
        assert (
            await as_app.execute("UPDATE vault.credential SET version = 9 WHERE partner = $1", other_partner)
            == "UPDATE 0"
        )
    async with as_app.transaction():
        await as_app.execute("SELECT set_config('vault.partner', $1, true)", partner)
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
            await as_app.execute(
                "INSERT INTO vault.connection (partner, connection, broker, created_by) "
                "VALUES ($1, 'x', 'paper', 'me')",
                other_partner,
            )


async def test_the_service_can_neither_change_nor_remove_what_is_recorded(
    world: World, as_app: asyncpg.Connection
) -> None:
    for statement in (
        "UPDATE vault.audit SET line = ''", "DELETE FROM vault.audit", "TRUNCATE vault.audit",
        "DELETE FROM vault.credential", "TRUNCATE vault.credential", "UPDATE vault.key_context SET fingerprint = ''",
    ):  # fmt: skip
        async with as_app.transaction():
            await as_app.execute("SELECT set_config('vault.partner', 'somebody', true)")
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied"):
                await as_app.execute(statement)


async def test_a_version_never_goes_back(
    vault: VaultProcess, world: World, partner: str, as_app: asyncpg.Connection
) -> None:
    store(vault, world, partner)
    async with as_app.transaction():
        await as_app.execute("SELECT set_config('vault.partner', $1, true)", partner)
        with pytest.raises(asyncpg.CheckViolationError):
            await as_app.execute("UPDATE vault.credential SET version = 0")


async def unharmed(call: Callable[[], Awaitable[Any]]) -> Any:
    """What the call answers. PostgreSQL's cancellation may hit the next statement of a connection; it is then
    rolled back and refused, never answered wrongly, and may be repeated."""
    for _ in range(3):
        with suppress(DatabaseUnavailable):
            return await call()
    return await call()


def lines_of(partner: str) -> list[str]:
    return list(pieces(AuditEvent(event="credential.release", outcome="success", partner=partner), node="test"))


async def test_thousands_of_interleaved_requests_on_a_pool_of_two_never_mix(world: World) -> None:
    database = await Database.connect(
        f"postgresql://vault_app@{world.postgres.host}:{world.postgres.port}/vault",
        world.postgres.passwords["vault_app"],
        size=2,
        statement_seconds=4.0,
        acquire_seconds=120.0,
    )
    repository = Repository(database)
    run = secrets.token_hex(4)
    partners = [f"mixed-{run}-{number}" for number in range(8)]
    try:
        for partner in partners:
            await database.row("SELECT vault.pin_key($1, 1, 1, $2)", partner, bytes(16))
            row = ToStore(
                connection="main", expected=0, broker="paper", key_version=1, access=partner.encode().ljust(90, b"."),
                refresh=None, access_expires_at=None, refresh_expires_at=None, scopes=(), idempotency=None,
                subject=partner,
            )  # fmt: skip
            assert (await repository.store(partner, row, lines_of(partner))).outcome == "created"

        async def released(partner: str) -> str:
            held = await unharmed(lambda: repository.release(partner, "main", [1], lines_of(partner)))
            assert held.outcome == "success"
            assert held.sealed == partner.encode().ljust(90, b".")
            return "released"

        async def listed(partner: str) -> str:
            found = await unharmed(
                lambda: repository.connections(partner, after=None, limit=100, line=lines_of(partner))
            )
            assert [connection.created_by for connection in found] == [partner]
            return "listed"

        async def failing(partner: str) -> str:
            # An error after the tenant was set.
            with pytest.raises(DatabaseUnavailable):
                await database.rows("SELECT set_config('vault.partner', $1, true), 1 / 0", partner)
            return "failed"

        async def slow(partner: str) -> str:
            with pytest.raises(DatabaseUnavailable):
                await database.rows("SELECT set_config('vault.partner', $1, true), pg_sleep(20)", partner)
            return "timed out"

        async def cancelled(partner: str) -> str:
            task = asyncio.create_task(
                database.rows("SELECT set_config('vault.partner', $1, true), pg_sleep(3)", partner)
            )
            await asyncio.sleep(0.02)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return "cancelled"

        async def unset(_: str) -> str:
            # Whatever the connection was used for before, it has no tenant of its own.
            with pytest.raises(DatabaseUnavailable):
                await database.rows("SELECT * FROM vault.connection")
            return "refused"

        kinds = [released] * 12 + [listed] * 4 + [unset] * 3 + [failing] * 2
        work = [kinds[number % len(kinds)](partners[number % len(partners)]) for number in range(4200)]
        work += [cancelled(partner) for partner in partners] + [slow(partners[0])]
        done = await asyncio.gather(*work)
        assert done.count("released") == 2400
        assert done.count("cancelled") == 8
        assert done.count("timed out") == 1
        # And the chains are whole: a line for every release, every list, the store and this reading.
        for partner in partners:
            page = await repository.audit(partner, after=0, limit=500, line=lines_of(partner))
            assert page.head_seq == 3200 / len(partners) + 2
    finally:
        await database.close()
