"""What the database itself refuses, whoever asks: the last line behind every program of ours."""

from __future__ import annotations

import itertools
from typing import Any

import asyncpg
import pytest
from access_world import World, at

from admin_sync.access.state import MOVES, By, State
from admin_sync.access.store.database import BrokenRule, DatabaseUnavailable
from admin_sync.access.store.ledger import Ledger
from identity.audit.event import AuditEvent

APPROVAL = (
    "INSERT INTO access.approval (number, person, by_email, account, capacity, hash, acr, auth_time, session, given_at,"
    " realm) VALUES ($1, $2, $3, $4, 'manager', $5, 'aal3', 1, 's', access.moment(), 'dev')"
)


async def test_the_database_and_the_program_know_the_same_moves(access_world: World) -> None:
    for by, (before, after) in itertools.product(By, itertools.product(State, State)):
        (row,) = await access_world.sql(
            "SELECT access.may_move($1, $2, $3) AS may", by.value, before.value, after.value
        )
        assert row["may"] is ((before, after) in MOVES[by]), (by, before, after)
    (row,) = await access_world.sql("SELECT access.may_move('access_owner', 'open', 'approved') AS may")
    assert row["may"] is False


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM access.request",
        "TRUNCATE access.audit",
        "UPDATE access.audit SET line = '{}'",
        "DELETE FROM access.audit",
        "DELETE FROM access.approval",
        "UPDATE access.approval SET person = 'x'",
        "UPDATE access.request SET hash = hash",
        "UPDATE access.request SET taken_at = now()",
        "UPDATE access.request SET result = '{}'",
        "UPDATE access.request SET expires = expires + interval '1 day'",
        "ALTER TABLE access.request DISABLE TRIGGER ALL",
        "SET SESSION AUTHORIZATION access_owner",
        "SET ROLE access_reconciler",
    ],
)
async def test_the_service_may_not_touch_what_was_said(access_world: World, statement: str) -> None:
    await access_world.ask("mlops.one")
    with pytest.raises(asyncpg.PostgresError, match=r"permission denied|must be owner"):
        await access_world.sql(statement, dsn=access_world.app_dsn)


@pytest.mark.parametrize("state", ["fulfilled", "failed", "approved", "open"])
async def test_the_service_may_not_say_that_something_took_effect_or_was_agreed(
    access_world: World, state: str
) -> None:
    asked = await access_world.ask("mlops.one")
    with pytest.raises(asyncpg.PostgresError):
        await access_world.sql(
            "UPDATE access.request SET state = $2, changed_at = access.moment(), changed_by = 'x' WHERE number = $1",
            int(asked["id"][4:]),
            state,
            dsn=access_world.app_dsn,
        )
    assert (await access_world.read("mlops.one", asked)).json()["state"] == "open"


@pytest.mark.parametrize(
    ("person", "email", "account", "why"),
    [
        (at("mlops.one"), "other@x.example", "other", "their own"),
        ("other@x.example", at("mlops.one").upper(), "other", "their own"),
        ("other@x.example", "other@x.example", "REQUESTER", "their own"),
        ("other@x.example", "other@x.example", "other", "no audit line"),
    ],
)
async def test_a_yes_of_ones_own_or_without_a_line_is_refused_by_a_trigger(
    access_world: World, person: str, email: str, account: str, why: str
) -> None:
    asked = await access_world.ask("mlops.one")
    (row,) = await access_world.sql("SELECT content::jsonb ->> 'requester_account' AS own FROM access.request")
    values: tuple[Any, ...] = (int(asked["id"][4:]), person, email, row["own"] if account == "REQUESTER" else account)
    with pytest.raises(asyncpg.PostgresError, match=why):
        await access_world.sql(APPROVAL, *values, asked["hash"], dsn=access_world.app_dsn)


@pytest.mark.parametrize("realm", ["NULL", "''"])
async def test_a_yes_says_in_which_realm_it_was_given(access_world: World, realm: str) -> None:
    asked = await access_world.ask("mlops.one")
    values: tuple[Any, ...] = (int(asked["id"][4:]), "o@x.example", "o@x.example", "o", asked["hash"])
    with pytest.raises(asyncpg.PostgresError, match="approval_says_its_realm"):
        await access_world.sql(APPROVAL.replace("'dev'", realm), *values, dsn=access_world.app_dsn)
    assert (await access_world.approve("manager.one", asked)).status_code == 201
    (row,) = await access_world.sql("SELECT realm FROM access.approval")
    assert row["realm"] == "dev"


async def test_a_yes_names_the_text_and_comes_while_it_is_open(access_world: World) -> None:
    asked = await access_world.ask("mlops.one")
    number = int(asked["id"][4:])
    with pytest.raises(asyncpg.PostgresError, match="names the text"):
        await access_world.sql(APPROVAL, number, "o@x.example", "o@x.example", "o", "0" * 64, dsn=access_world.app_dsn)
    path = f"/access/v1/requests/{asked['id']}/cancellation"
    assert (await access_world.http.post(path, json={}, headers=access_world.auth("mlops.one"))).status_code == 200
    with pytest.raises(asyncpg.PostgresError, match="only an open request"):
        await access_world.sql(
            APPROVAL, number, "o@x.example", "o@x.example", "o", asked["hash"], dsn=access_world.app_dsn
        )


async def test_a_number_that_the_configuration_knows_is_never_given_again(access_world: World) -> None:
    # The sample has REQ-000001 in its bindings already.
    assert (await access_world.ask("mlops.one"))["id"] == "REQ-000002"
    text = (access_world.config / "role_bindings.yaml").read_text()
    (access_world.config / "role_bindings.yaml").write_text(text.replace("REQ-000001", "REQ-000777"))
    assert (await access_world.ask("mlops.one", payload={"role": "quant"}))["id"] == "REQ-000778"


async def test_a_transaction_that_breaks_a_rule_leaves_nothing(access_world: World) -> None:
    database = access_world.access.database
    asked = await access_world.ask("mlops.one")

    async def fulfil() -> None:
        async with database.transaction() as connection:
            ledger = Ledger(connection, "test")
            await ledger.append(AuditEvent(event="test", outcome="success"), number=int(asked["id"][4:]))
            await ledger.move(int(asked["id"][4:]), State.FULFILLED, at=await ledger.now(), by="x")

    with pytest.raises(BrokenRule):
        await fulfil()
    rows = await access_world.sql("SELECT event FROM access.audit ORDER BY seq")
    assert [row["event"] for row in rows] == ["request.submitted"]


async def test_whoever_holds_a_person_longer_than_allowed_makes_others_fail_and_not_decide(access_world: World) -> None:
    asked = await access_world.ask("mlops.one")
    holder = await asyncpg.connect(access_world.owner_dsn)
    try:
        await holder.execute("SELECT pg_advisory_lock(hashtextextended($1, 20261123))", at("mlops.one"))

        async def decide() -> None:
            async with access_world.access.database.transaction() as connection:
                await connection.execute("SET LOCAL lock_timeout = 100")
                await Ledger(connection, "test").lock_people([at("mlops.one")])

        with pytest.raises(DatabaseUnavailable):
            await decide()
    finally:
        await holder.close()
    assert (await access_world.approve("manager.one", asked)).status_code == 201
