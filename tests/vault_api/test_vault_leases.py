"""Leases of database accounts: what they may do, who may have them, and that they end."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from lease_world import (
    OPERATOR,
    Target,
    accounts,
    due_now,
    leases_url,
    lend,
    new_target,
    state,
    wait_ended,
    worker,
)
from vault_policy import PolicyServer
from vault_world import CHECKOUT, POLICY, VaultProcess, World, new_database

from vault_api.leases.templates import LeasesRefused, read_policy


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("leases")


@pytest.fixture(scope="module")
def target(world: World, home: Path) -> Target:
    return asyncio.run(new_target(world, home))


@pytest.fixture(scope="module")
def settings(world: World, target: Target, home: Path) -> dict[str, str]:
    return {
        **asyncio.run(new_database(world)),
        "TRADEPULSE_AUDIT_DIR": str(home / "audit"),
        "VAULT_LEASES_FILE": str(target.templates(home, limits="per_partner = 3\nper_person = 2")),
        "VAULT_LEASE_REVIEW_SECONDS": "0.2",
    }


@pytest.fixture(scope="module")
def lending(world: World, settings: dict[str, str]) -> Iterator[VaultProcess]:
    vault = world.start(**settings)
    yield vault
    vault.end()


@pytest.fixture
async def database(settings: dict[str, str], world: World) -> AsyncIterator[asyncpg.Connection]:
    """The superuser in the vault's own database."""
    name = settings["VAULT_DATABASE_URL"].rpartition("/")[2]
    connection = await asyncpg.connect(world.postgres.dsn("postgres", name))
    yield connection
    await connection.close()


async def test_a_lent_account_may_do_what_its_template_says_and_nothing_else(
    lending: VaultProcess, world: World, partner: str, target: Target, database: asyncpg.Connection
) -> None:
    lent = lend(lending, world, partner)
    async with lent.session() as session:
        assert await session.fetchval("SELECT symbol FROM positions") == "ACME"
        for refused in (
            "DELETE FROM positions",
            f"SET ROLE {target.reader}",
            "CREATE ROLE mine",
            "CREATE DATABASE mine",
        ):
            with pytest.raises(asyncpg.PostgresError, match="permission denied"):
                await session.execute(refused)
    assert lent.lease["requestor"] == f"{partner}@example.test"
    assert lent.lease["roles"] == ["partner_role:partner-trader"]
    assert lent.lease["permissions"] == ["connection:read", "credential:release"]
    line = await database.fetchrow(
        "SELECT line FROM vault.audit WHERE event = 'lease.issue' AND outcome = 'success' AND partner = $1", partner
    )
    assert f'"decision_id":"{lent.lease["decision_id"]}"' in line["line"]
    assert '"roles":["partner_role:partner-trader"]' in line["line"]
    shown = lending.http.get(leases_url(partner, lent.id), headers=world.realm.bearer(partner)).text
    rows = "".join(str(row) for row in await database.fetch("SELECT l::text FROM vault.lease l"))
    for place in (shown, rows, lending.logged()):
        assert lent.credential["password"] not in place
    # The account is only as old as the lease, which ends somewhat before the time that was asked for.
    limits = await database.fetchrow(
        "SELECT rolvaliduntil, rolconnlimit FROM pg_roles WHERE rolname = $1", f"lease_{lent.id}"
    )
    assert limits["rolvaliduntil"].isoformat() == lent.lease["expires_at"].replace("Z", "+00:00")
    assert limits["rolconnlimit"] == 3


async def test_an_ended_lease_has_no_session_no_account_and_nothing_of_its_own_left(
    lending: VaultProcess, world: World, partner: str, target: Target, database: asyncpg.Connection
) -> None:
    lent = lend(lending, world, partner)
    async with lent.session() as session:
        await session.execute("CREATE TABLE left_behind (x int)")
        ended = lending.http.delete(leases_url(partner, lent.id), headers=world.realm.bearer(partner))
        assert (ended.status_code, ended.json()["state"], ended.json()["reason"]) == (200, "ended", "revoked")
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError)):
            await session.fetchval("SELECT 1")
    with pytest.raises(asyncpg.InvalidPasswordError):
        async with lent.session():
            pass
    # Once more changes nothing and is recorded as well.
    assert lending.http.delete(leases_url(partner, lent.id), headers=world.realm.bearer(partner)).status_code == 200
    told = "SELECT count(*) FROM vault.audit WHERE partner = $1 AND event = 'lease.revoke'"
    assert await database.fetchval(told, partner) == 2
    assert f"lease_{lent.id}" not in await accounts(database)
    # What it made is not thrown away: the management account has it.
    inside = await asyncpg.connect(target.dsn("postgres", world.postgres.passwords["postgres"]))
    try:
        owner = await inside.fetchval("SELECT tableowner FROM pg_tables WHERE tablename = 'left_behind'")
    finally:
        await inside.close()
    assert owner == target.keeper
    assert await database.fetchval("SELECT holder::text FROM vault.lease WHERE lease = $1", lent.id) == "{}"


async def test_a_lease_is_renewed_by_its_requestor_up_to_its_longest_time(
    lending: VaultProcess, world: World, partner: str, database: asyncpg.Connection
) -> None:
    lent = lend(lending, world, partner)
    url, bearer = leases_url(partner, f"{lent.id}/renew"), world.realm.bearer(partner)
    stranger = world.realm.bearer(partner, sub="somebody-else", email="else@example.test")
    assert lending.http.post(url, headers=stranger).status_code == 404
    assert lending.http.post(url, headers=world.realm.bearer(partner, role="partner-analyst")).status_code == 403
    renewed = lending.http.post(url, headers=bearer, json={"ttl_seconds": 1800})
    assert renewed.status_code == 200, renewed.text
    assert lent.lease["expires_at"] < renewed.json()["expires_at"] < lent.lease["renewable_until"]
    ends = await database.fetchval("SELECT rolvaliduntil FROM pg_roles WHERE rolname = $1", f"lease_{lent.id}")
    assert ends.isoformat() == renewed.json()["expires_at"].replace("Z", "+00:00")
    await database.execute("UPDATE vault.lease SET max_until = expires_at WHERE lease = $1", lent.id)
    refused = lending.http.post(url, headers=bearer)
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:tradepulse:problem:lease-not-renewable")


async def test_a_person_and_a_partner_hold_only_so_many(
    lending: VaultProcess, world: World, partner: str, other_partner: str, database: asyncpg.Connection
) -> None:
    for _ in range(2):
        lend(lending, world, partner)
    bearer = world.realm.bearer(partner)
    for _ in range(2):
        refused = lending.http.post(leases_url(partner), headers=bearer, json={"template": "reporting"})
        assert (refused.status_code, refused.json()["type"]) == (409, "urn:tradepulse:problem:lease-cap-reached")
    colleague = {"sub": "colleague", "email": "colleague@example.test"}
    lend(lending, world, partner, **colleague)
    third = world.realm.bearer(partner, sub="third", email="third@example.test")
    assert lending.http.post(leases_url(partner), headers=third, json={"template": "reporting"}).status_code == 409
    lend(lending, world, other_partner)
    reasons = await database.fetch(
        "SELECT line::json->>'reason' AS r FROM vault.audit "
        "WHERE event = 'lease.issue' AND outcome = 'denied' AND partner = $1",
        partner,
    )
    assert sorted(row["r"] for row in reasons) == ["partner_cap", "person_cap", "person_cap"]


async def test_whoever_lacks_a_permission_of_a_scope_gets_no_lease(
    start_vault: Callable[..., VaultProcess], settings: dict[str, str], target: Target, home: Path, world: World,
    partner: str, database: asyncpg.Connection,
) -> None:  # fmt: skip
    other = f'[templates.other]\ndatabase = "reporting"\nscopes = ["{target.reader}"]\npartners = ["nobody-else"]\n'
    file = target.templates(home, more=other)
    file.write_text(file.read_text().replace('"connection:read"', '"connection:revoke"'))
    vault = start_vault(**{**settings, "VAULT_LEASES_FILE": str(file)})
    refused = vault.http.post(leases_url(partner), headers=world.realm.bearer(partner), json={"template": "reporting"})
    assert refused.status_code == 403
    assert await database.fetchval("SELECT count(*) FROM vault.lease WHERE partner = $1", partner) == 0
    admin = world.realm.bearer(partner, role="partner-admin")
    assert vault.http.post(leases_url(partner), headers=admin, json={"template": "reporting"}).status_code == 201
    # A template for somebody else, and none at all, are the same.
    for name in ("other", "no-such-template"):
        unknown = vault.http.post(leases_url(partner), headers=admin, json={"template": name})
        assert (unknown.status_code, unknown.json()["type"]) == (422, "urn:tradepulse:problem:unknown-template")
    vault.end()


async def test_a_logout_ends_the_leases_of_its_session_and_no_others(
    lending: VaultProcess, world: World, partner: str, other_partner: str, database: asyncpg.Connection
) -> None:
    ended, kept = lend(lending, world, partner, sid="leaving"), lend(lending, world, partner, sid="staying")
    elsewhere = lend(lending, world, other_partner, sid="leaving")
    root = world.realm.bearer(None, **OPERATOR)
    wanted = {"session": "leaving", "reason": "logout"}
    assert (
        lending.http.post("/v1/leases/revocations", headers=world.realm.bearer(partner), json=wanted).status_code == 403
    )
    assert lending.http.post("/v1/leases/revocations", headers=root, json={"reason": "logout"}).status_code == 422
    answer = lending.http.post("/v1/leases/revocations", headers=root, json=wanted)
    assert answer.json() == {"ending": {partner: [ended.id], other_partner: [elsewhere.id]}}
    assert state(lending, world, partner, ended.id)["reason"] == "logout"
    left = await accounts(database)
    assert f"lease_{kept.id}" in left
    assert not {f"lease_{ended.id}", f"lease_{elsewhere.id}"} & left
    # And a person's leaving ends what they have left, in every session.
    gone = lending.http.post(
        "/v1/leases/revocations", headers=root, json={"subject": f"sub-{partner}", "reason": "offboarding"}
    )
    assert gone.json() == {"ending": {partner: [kept.id]}}
    lines = await database.fetch(
        "SELECT partner, line::json->>'actor' AS actor FROM vault.audit "
        "WHERE event = 'lease.revoke' AND outcome = 'success' AND partner = ANY ($1)",
        [partner, other_partner],
    )
    assert {(row["partner"], row["actor"]) for row in lines} == {
        (partner, "root@example.test"),
        (other_partner, "root@example.test"),
    }


async def test_an_expired_lease_is_ended_by_a_worker_that_was_not_there_when_it_began(
    lending: VaultProcess, world: World, partner: str, settings: dict[str, str], database: asyncpg.Connection
) -> None:
    lent = lend(lending, world, partner)
    await due_now(database, lent.id)
    with worker(world, **settings):
        assert wait_ended(lending, world, partner, lent.id)["reason"] == "expired"
    assert f"lease_{lent.id}" not in await accounts(database)
    line = await database.fetchval("SELECT line FROM vault.audit WHERE event = 'lease.ended' AND partner = $1", partner)
    assert '"actor":"vault-worker"' in line
    assert f'"decision_id":"{lent.lease["decision_id"]}"' in line


async def test_what_cannot_be_ended_is_tried_again_counts_as_irrevocable_and_ends_at_last(
    lending: VaultProcess, world: World, partner: str, settings: dict[str, str], target: Target,
    database: asyncpg.Connection,
) -> None:  # fmt: skip
    lent = lend(lending, world, partner)
    await database.execute(f"ALTER ROLE {target.keeper} NOLOGIN")
    asked = lending.http.delete(leases_url(partner, lent.id), headers=world.realm.bearer(partner))
    assert (asked.status_code, asked.json()["state"]) == (202, "ending")
    with worker(world, **settings):
        for _ in range(200):
            await due_now(database, lent.id)
            await asyncio.sleep(0.1)
            if state(lending, world, partner, lent.id)["irrevocable"]:
                break
        assert state(lending, world, partner, lent.id)["irrevocable"]
        assert f"lease_{lent.id}" in await accounts(database)
        # A line for the first failure and one for the alarm, however many attempts there were.
        failures = await database.fetchval(
            "SELECT count(*) FROM vault.audit WHERE event = 'lease.ended' AND outcome = 'failure' AND partner = $1",
            partner,
        )
        assert failures == 2
        await database.execute(f"ALTER ROLE {target.keeper} LOGIN")
        await due_now(database, lent.id)
        ended = wait_ended(lending, world, partner, lent.id)
    assert (ended["irrevocable"], ended["reason"]) == (False, "revoked")
    assert f"lease_{lent.id}" not in await accounts(database)


async def test_killed_at_any_moment_no_account_stays_that_nobody_was_told_of(
    start_vault: Callable[..., VaultProcess], settings: dict[str, str], world: World, partner: str,
    database: asyncpg.Connection,
) -> None:  # fmt: skip
    before, told = await accounts(database), set()
    for pause in (0.02, 0.06, 0.12):
        vault = start_vault(**settings)

        async def ask(vault: VaultProcess = vault) -> None:
            try:
                told.add(f"lease_{lend(vault, world, partner, sub=secrets.token_hex(8)).id}")
            except Exception:  # noqa: BLE001 - killed in the middle, or over the cap
                return

        waiting = [asyncio.create_task(asyncio.to_thread(lambda: asyncio.run(ask()))) for _ in range(3)]
        await asyncio.sleep(pause)
        vault.process.kill()
        await asyncio.gather(*waiting)
        # What is half-made counts as given up after a minute; the test does not wait for it.
        await database.execute("UPDATE vault.lease SET due_at = now() WHERE state = 'creating'")
        await database.execute("UPDATE vault.lease SET due_at = now() WHERE 'lease_' || lease <> ALL ($1)", list(told))
    with worker(world, **settings):
        for _ in range(300):
            if await accounts(database) - before <= told:
                break
            await asyncio.sleep(0.1)
    assert await accounts(database) - before <= told


async def test_an_account_that_is_too_mighty_lends_nothing(
    lending: VaultProcess, target: Target, world: World, partner: str, database: asyncpg.Connection
) -> None:
    bearer = world.realm.bearer(partner)
    for mighty, back in (
        (f"ALTER ROLE {target.keeper} BYPASSRLS", f"ALTER ROLE {target.keeper} NOBYPASSRLS"),
        (f"ALTER ROLE {target.keeper} SUPERUSER", f"ALTER ROLE {target.keeper} NOSUPERUSER"),
        (f"GRANT pg_read_all_data TO {target.reader}", f"REVOKE pg_read_all_data FROM {target.reader}"),
        (f"ALTER ROLE {target.reader} CREATEDB", f"ALTER ROLE {target.reader} NOCREATEDB"),
    ):
        await database.execute(mighty)
        refused = lending.http.post(leases_url(partner), headers=bearer, json={"template": "reporting"})
        await database.execute(back)
        assert (refused.status_code, refused.json()["type"]) == (409, "urn:tradepulse:problem:lease-target-refused"), (
            mighty
        )
    assert lending.http.post(leases_url(partner), headers=bearer, json={"template": "reporting"}).status_code == 201


def test_a_freeze_and_a_partner_that_is_gone_end_leases_that_live(
    opa_binary: Path, settings: dict[str, str], world: World, partner: str, other_partner: str, home: Path
) -> None:
    policy = PolicyServer(opa_binary, home)
    policy.serve(POLICY)
    here = {**settings, "TRADEPULSE_OPA_URL": policy.url}
    vault = world.start(**here)
    try:
        with worker(world, **here):
            gone, frozen = lend(vault, world, partner), lend(vault, world, other_partner)
            partners = {name: value for name, value in POLICY.partners.items() if name != partner}
            policy.serve(replace(POLICY, partners=partners))
            # Its own people learn nothing any more; whoever serves the database sees that the account is gone.
            until = time.monotonic() + 30
            while f"lease_{gone.id}" in asyncio.run(names_of_accounts(world)):
                assert time.monotonic() < until
                time.sleep(0.1)
            assert state(vault, world, other_partner, frozen.id)["state"] == "active"
            policy.serve(POLICY, frozen=True)
            until = time.monotonic() + 30
            while f"lease_{frozen.id}" in asyncio.run(names_of_accounts(world)):
                assert time.monotonic() < until
                time.sleep(0.1)
            policy.serve(POLICY)
            assert state(vault, world, partner, gone.id)["reason"] == "policy:unknown_partner"
            assert state(vault, world, other_partner, frozen.id)["reason"] == "policy:frozen"
    finally:
        vault.end()
        policy.end()


async def names_of_accounts(world: World) -> set[str]:
    superuser = await asyncpg.connect(world.postgres.superuser_dsn)
    try:
        return await accounts(superuser)
    finally:
        await superuser.close()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[templates.a]\n", "names either a database or a broker"),
        ('[templates.a]\ndatabase = "d"\nscopes = ["r"]\npartners = []\n', "templates.a.partners"),
        ('[templates.a]\ndatabase = "d"\nscopes = ["r"]\npartners = ["*"]\n', "no permission is given for r"),
        (
            '[templates.a]\nbroker = "b"\nscopes = ["r"]\npartners = ["*"]\nttl = "8d"\nmax_ttl = "9d"\n',
            "max_ttl <= 7d",
        ),
        ('[databases.d]\nurl = "postgresql://a:pw@h/d"\npassword_file = "x"\nscopes = {}\n', "must hold no password"),
        ('[databases.d]\nurl = "http://h/d"\npassword_file = "x"\nscopes = {}\n', "must be postgresql://"),
        ("[limits]\nper_person = 0\n", "limits.per_person"),
        ("[limits]\nunknown = 1\n", "limits.unknown"),
        ("[limits]\n[limits]\n", "is not TOML"),
    ],
)
def test_an_operators_file_that_is_wrong_stops_the_start_with_one_line(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "leases.toml").write_text(text)
    with pytest.raises(LeasesRefused, match="VAULT_LEASES_FILE") as refused:
        read_policy(tmp_path / "leases.toml")
    if said != "names either a database or a broker":
        assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_without_a_file_nothing_can_be_lent() -> None:
    assert dict(read_policy(None).templates) == {}


def test_another_partners_lease_answers_as_one_that_does_not_exist(
    lending: VaultProcess, world: World, partner: str, other_partner: str
) -> None:
    lent = lend(lending, world, other_partner)
    bearer = world.realm.bearer(partner, role="partner-admin")

    def seen(method: str, place: str, lease: str, more: str = "") -> Any:
        answer = lending.http.request(method, leases_url(place, lease) + more, headers=bearer)
        return answer.status_code, {name: value for name, value in answer.json().items() if name != "trace_id"}

    for method, more in (("GET", ""), ("DELETE", ""), ("POST", "/renew")):
        missing = seen(method, partner, "0" * 24, more)
        assert missing[0] == 404
        for place, lease in ((other_partner, lent.id), (partner, lent.id), ("no-such", lent.id), (partner, "NO NAME")):
            assert seen(method, place, lease, more) == missing, (method, place)
    assert state(lending, world, other_partner, lent.id)["state"] == "active"
    # Neither does a template tell whether the partner is one that it is open to.
    asked = [
        lending.http.post(leases_url(place), headers=bearer, json={"template": template})
        for place in (other_partner, "no-such")
        for template in ("reporting", "no-such-template")
    ]
    shapes = [{name: value for name, value in one.json().items() if name != "trace_id"} for one in asked]
    assert ([one.status_code for one in asked], shapes) == ([404] * 4, [shapes[0]] * 4)
    assert lending.http.post(leases_url(partner), headers=bearer, json={"template": "none"}).status_code == 422


def test_the_example_that_operators_start_from_is_sound() -> None:
    lendable = read_policy(CHECKOUT / "configs" / "vault" / "leases.toml")
    assert lendable.permissions(lendable.templates["reporting"]) == ("connection:read",)
