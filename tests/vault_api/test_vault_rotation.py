"""Rotation of keys on real servers: asked for over HTTP, done by a worker, while others read and write."""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import asyncpg
import httpx
import pytest
from rotation_world import ROTATIONS, begin, census, ended, many_rows, operator, release, rotated, store
from vault_world import TOKENS, VaultProcess, World, credential_url

from vault_api.rotation.sealed import SEALED
from vault_api.salts import MAX_VERSIONS
from vault_api.sealing.envelope import Place, seal

SOAK = int(os.environ.get("TRADEPULSE_SOAK", "1"))
"""Multiplies the rounds of what is done in a loop."""

KEYS = {"VAULT_KEY_SECONDS": "0.4"}


@pytest.fixture(scope="module")
def vault(start_vault: Callable[..., VaultProcess]) -> VaultProcess:
    return start_vault(**KEYS)


@pytest.fixture(scope="module")
def worker(world: World) -> Iterator[VaultProcess]:
    running = world.start("worker", **KEYS, **world.rotator())
    yield running
    running.end()


@pytest.fixture(autouse=True)
def nothing_is_left_running(vault: VaultProcess, world: World) -> Iterator[None]:
    yield
    for found in vault.http.get(ROTATIONS, headers=operator(world)).json()["rotations"]:
        if found["state"] in ("running", "paused"):
            vault.http.post(f"{ROTATIONS}/{found['id']}/abort", headers=operator(world))


def metric(process: VaultProcess, name: str) -> float:
    lines = process.http.get("/metrics").text.splitlines()
    return next(float(line.split()[-1]) for line in lines if line.startswith(f"{name} "))


async def test_a_partner_gets_a_new_key_and_every_row_is_moved_to_it(
    vault: VaultProcess, worker: VaultProcess, world: World, partner: str, superuser: asyncpg.Connection
) -> None:
    store(vault, world, partner)
    await many_rows(world, superuser, partner, 1500)
    before = await superuser.fetchrow(
        "SELECT * FROM vault.credential WHERE partner = $1 AND connection = 'main'", partner
    )
    answer = begin(vault, world, partners=[partner])
    assert answer.status_code == 202
    assert answer.headers["Location"] == f"{ROTATIONS}/{answer.json()['id']}"
    found = ended(vault, world, answer.json()["id"])
    assert (found["state"], found["reason"], found["rows"]) == (
        "completed", None, {"opened": 1501, "moved": 1501, "failed": 0}
    )  # fmt: skip
    assert [(stage["name"], stage["partners"], stage["done"]) for stage in found["stages"]] == [
        ("canary", 1, 1), ("10%", 0, 0), ("100%", 0, 0)
    ]  # fmt: skip
    assert await census(superuser, partner) == {2: 1501}
    after = await superuser.fetchrow(
        "SELECT * FROM vault.credential WHERE partner = $1 AND connection = 'main'", partner
    )
    changed = {name for name, value in after.items() if value != before[name]}
    assert changed == {"key_version", "access_sealed", "refresh_sealed"}
    assert world.realm.salts[partner]["vault.salt.current"] == ["2"]
    assert "vault.salt.1" in world.realm.salts[partner]
    for connection in ("main", "many-000000", "many-001499"):
        answer = release(vault, world, partner, connection)
        assert answer.status_code == 200
        assert answer.json()["access_token"].startswith("token-of-")
    # What is stored from now on is sealed under the new key.
    assert store(vault, world, partner, "newer").json()["key_version"] == 2


async def test_every_batch_and_every_step_is_in_the_trail(
    vault: VaultProcess, worker: VaultProcess, world: World, partner: str, superuser: asyncpg.Connection
) -> None:
    store(vault, world, partner)
    found = rotated(vault, world, partners=[partner], stages=["100%"])
    lines = [
        json.loads(row["line"])
        for row in await superuser.fetch("SELECT line FROM vault.audit WHERE partner = $1 ORDER BY seq", partner)
    ]
    moves = [line for line in lines if line["event"] == "key.rotate"]
    assert [(line["reason"], line["key_version"], line["outcome"]) for line in moves] == [
        ("moved:1", 2, "success"), ("done", 2, "success")
    ]  # fmt: skip
    assert {line["resource"] for line in moves} == {f"keys/rotations/{found['id']}"}
    platform = [
        json.loads(row["line"])
        for row in await superuser.fetch("SELECT line FROM vault.audit WHERE partner = '-' ORDER BY seq DESC LIMIT 50")
    ]
    begun = next(line for line in platform if line["event"] == "key.rotation.begin" and line["reason"] == found["id"])
    assert begun["action"] == "secret:rotate"
    assert begun["decision_id"]
    assert {line["reason"] for line in platform if line["event"] == "key.rotation.stage"} >= {"completed"}


async def test_a_dry_run_opens_every_row_changes_nothing_and_estimates(
    vault: VaultProcess, worker: VaultProcess, world: World, partner: str, other_partner: str,
    superuser: asyncpg.Connection,
) -> None:  # fmt: skip
    store(vault, world, partner)
    store(vault, world, other_partner)
    await many_rows(world, superuser, partner, 500)
    everything = "SELECT md5(string_agg(k::text, ',' ORDER BY connection)) FROM vault.credential k WHERE partner = $1"
    before, salts = await superuser.fetchval(everything, partner), dict(world.realm.salts[partner])
    writes = world.realm.writes
    found = rotated(vault, world, partners=[partner, other_partner], dry_run=True)
    assert (found["state"], found["rows"]) == ("completed", {"opened": 502, "moved": 0, "failed": 0})
    assert found["estimate_seconds"] >= 1
    assert await superuser.fetchval(everything, partner) == before
    assert (world.realm.salts[partner], world.realm.writes) == (salts, writes)


async def test_a_row_that_does_not_open_is_found_by_a_dry_run_and_stops_a_rotation_at_its_stage(
    vault: VaultProcess, worker: VaultProcess, world: World, partner: str, other_partner: str,
    superuser: asyncpg.Connection,
) -> None:  # fmt: skip
    for name in (partner, other_partner):
        store(vault, world, name)
        store(vault, world, name, "second")
    damage = "UPDATE vault.credential SET access_sealed = $1 WHERE partner = $2 AND connection = 'main'"
    genuine = await superuser.fetchval(
        "SELECT access_sealed FROM vault.credential WHERE partner = $1 AND connection = 'main'", partner
    )
    await superuser.execute(damage, genuine[:80] + bytes([genuine[80] ^ 1]) + genuine[81:], partner)
    both = {"partners": [partner, other_partner], "canary": [partner], "stages": ["canary", "100%"]}
    found = rotated(vault, world, dry_run=True, **both)
    assert found["rows"] == {"opened": 3, "moved": 0, "failed": 1}
    assert found["trouble"] == [{"partner": partner, "state": "failed", "problem": "rows_do_not_open:1"}]
    found = rotated(vault, world, **both)
    assert (found["state"], found["reason"]) == ("paused", "partners_failed:1")
    # Its other row was moved, the damaged one is as it was, and nobody else's turn came.
    assert await census(superuser, partner) == {1: 1, 2: 1}
    assert await census(superuser, other_partner) == {1: 2}
    assert begin(vault, world, partners=[other_partner]).status_code == 409
    # With the row mended somebody resumes, and it goes on to the end.
    await superuser.execute(damage, genuine, partner)
    answer = vault.http.post(f"{ROTATIONS}/{found['id']}/resume", headers=operator(world))
    assert answer.status_code == 200
    assert ended(vault, world, found["id"])["state"] == "completed"
    assert await census(superuser, partner) == {2: 2}
    assert await census(superuser, other_partner) == {2: 2}


async def test_failed_releases_hold_the_next_stage_back(
    vault: VaultProcess, worker: VaultProcess, world: World, partner: str, other_partner: str,
    superuser: asyncpg.Connection,
) -> None:  # fmt: skip
    for name in (partner, other_partner):
        store(vault, world, name)
    begun = begin(vault, world, partners=[partner, other_partner], canary=[partner], stages=["canary", "100%"]).json()
    until = time.monotonic() + 30
    while await census(superuser, partner) != {2: 1}:
        assert time.monotonic() < until
        await asyncio.sleep(0.05)
    # Something is wrong with the new key: here somebody damages what it sealed, while the canary drains.
    await superuser.execute(
        "UPDATE vault.credential SET access_sealed = overlay(access_sealed placing '\\x00'::bytea from 50) "
        "WHERE partner = $1", partner,
    )  # fmt: skip
    assert release(vault, world, partner).status_code == 500
    found = ended(vault, world, begun["id"])
    assert (found["state"], found["reason"]) == ("paused", "releases_failed:1")
    assert await census(superuser, other_partner) == {1: 1}


class Users(threading.Thread):
    """Somebody who releases, and stores, again and again; every answer that is not as it should be is kept."""

    def __init__(
        self, vault: VaultProcess, world: World, partner: str, connections: list[str], *, writes: bool
    ) -> None:
        super().__init__(daemon=True)
        self.http = httpx.Client(base_url=vault.url, trust_env=False, timeout=30)
        self.bearer = world.realm.bearer(partner)
        self.partner, self.connections, self.writes = partner, connections, writes
        self.wrong: list[str] = []
        self.done = 0
        self.over = threading.Event()

    def run(self) -> None:
        expected = dict.fromkeys(self.connections, "")
        versions = dict.fromkeys(self.connections, 1)
        while not self.over.is_set():
            for name in self.connections:
                if self.writes:
                    token = f"written-{name}-{versions[name]}"
                    answer = self.http.put(
                        credential_url(self.partner, name),
                        headers={**self.bearer, "If-Match": f'"{versions[name]}"'},
                        json={**TOKENS, "access_token": token},
                    )  # fmt: skip
                    if answer.status_code != 200:
                        self.wrong.append(f"store {answer.status_code} {answer.text}")
                        continue
                    versions[name], expected[name] = answer.json()["version"], token
                answer = self.http.post(f"{credential_url(self.partner, name)}/release", headers=self.bearer)
                if answer.status_code != 200:
                    self.wrong.append(f"release {answer.status_code} {answer.text}")
                elif expected[name] and answer.json()["access_token"] != expected[name]:
                    self.wrong.append(f"{name}: {answer.json()['access_token']} instead of {expected[name]}")
                self.done += 1

    def end(self) -> None:
        self.over.set()
        self.join(timeout=60)
        self.http.close()


async def test_under_load_no_read_and_no_store_fails(
    vault: VaultProcess, worker: VaultProcess, world: World, partner: str, superuser: asyncpg.Connection
) -> None:
    store(vault, world, partner)
    await many_rows(world, superuser, partner, 3000)
    for name in ("w1", "w2"):
        store(vault, world, partner, name)
    users = [
        Users(vault, world, partner, ["main", "many-000000", "many-001500", "many-002999"], writes=False),
        Users(vault, world, partner, ["w1", "w2"], writes=True),
    ]
    for user in users:
        user.start()
    for version in range(2, 3 + SOAK):
        found = rotated(vault, world, partners=[partner], stages=["100%"])
        assert (found["state"], found["rows"]["failed"]) == ("completed", 0)
        assert await census(superuser, partner) == {version: 3003}
    for user in users:
        user.end()
    assert [user.wrong for user in users] == [[], []]
    assert all(user.done > 20 for user in users)


async def test_two_workers_share_the_partners_of_a_rotation(
    vault: VaultProcess, worker: VaultProcess, world: World, superuser: asyncpg.Connection, request: Any
) -> None:
    partners = sorted(request.getfixturevalue(name) for name in ("partner", "other_partner"))
    for name in partners:
        store(vault, world, name)
        await many_rows(world, superuser, name, 800)
    second = world.start("worker", **KEYS, **world.rotator())
    try:
        found = rotated(vault, world, partners=partners, stages=["100%"])
    finally:
        second.end()
    assert (found["state"], found["rows"]) == ("completed", {"opened": 1602, "moved": 1602, "failed": 0})


async def test_a_root_rotation_moves_everybody_to_the_new_root_key_and_finds_nothing_to_do_the_second_time(
    vault: VaultProcess, worker: VaultProcess, world: World, partner: str, superuser: asyncpg.Connection
) -> None:
    store(vault, world, partner)
    pins = "SELECT key_version, root_version FROM vault.key_context WHERE partner = $1 ORDER BY key_version"
    before = [tuple(row) for row in await superuser.fetch(pins, partner)]
    done = world.run("kms-rotate-root")
    assert done.returncode == 0, done.stderr
    root = before[-1][1] + 1
    assert f"root key version {root} is current" in done.stdout
    found = rotated(vault, world, kind="root", partners=[partner], stages=["100%"])
    assert (found["state"], found["rows"]["moved"]) == ("completed", 1)
    assert [tuple(row) for row in await superuser.fetch(pins, partner)] == [*before, (2, root)]
    assert release(vault, world, partner).status_code == 200
    again = rotated(vault, world, kind="root", partners=[partner], stages=["100%"])
    assert (again["state"], again["rows"]["moved"]) == ("completed", 0)
    assert [tuple(row) for row in await superuser.fetch(pins, partner)] == [*before, (2, root)]


async def test_a_salt_that_is_written_over_is_added_again_before_anything_is_sealed_under_it(
    vault: VaultProcess, worker: VaultProcess, world: World, partner: str, superuser: asyncpg.Connection
) -> None:
    store(vault, world, partner)
    world.realm.lose_writes = 2
    found = rotated(vault, world, partners=[partner], stages=["100%"])
    assert (found["state"], world.realm.lose_writes) == ("completed", 0)
    assert await census(superuser, partner) == {2: 1}
    assert release(vault, world, partner).status_code == 200


async def test_a_salt_rolled_back_to_an_older_state_is_pointed_to_again(
    vault: VaultProcess, worker: VaultProcess, world: World, partner: str, superuser: asyncpg.Connection
) -> None:
    store(vault, world, partner)
    begun = begin(vault, world, partners=[partner], stages=["100%"]).json()
    until = time.monotonic() + 30
    while await census(superuser, partner) != {2: 1}:
        assert time.monotonic() < until
        await asyncio.sleep(0.05)
    world.realm.salts[partner] = {**world.realm.salts[partner], "vault.salt.current": ["1"]}
    assert ended(vault, world, begun["id"])["state"] == "completed"
    assert world.realm.salts[partner]["vault.salt.current"] == ["2"]
    assert await census(superuser, partner) == {2: 1}


async def test_a_salt_that_is_missing_or_wrong_fails_that_partner_and_moves_nothing(
    vault: VaultProcess, worker: VaultProcess, world: World, partner: str, other_partner: str,
    superuser: asyncpg.Connection,
) -> None:  # fmt: skip
    store(vault, world, partner)
    store(vault, world, other_partner)
    kept, other_kept = dict(world.realm.salts[partner]), dict(world.realm.salts[other_partner])
    world.realm.salts[partner].clear()
    world.realm.new_salt(other_partner, 1)
    await asyncio.sleep(1.1)
    found = rotated(vault, world, partners=[partner, other_partner], stages=["100%"])
    assert (found["state"], found["reason"]) == ("paused", "partners_failed:2")
    assert await census(superuser, partner) == {1: 1}
    assert await census(superuser, other_partner) == {1: 1}
    world.realm.salts[partner] = kept
    world.realm.salts[other_partner] |= other_kept
    vault.http.post(f"{ROTATIONS}/{found['id']}/resume", headers=operator(world))
    assert ended(vault, world, found["id"])["state"] == "completed"
    for name in (partner, other_partner):
        assert release(vault, world, name).status_code == 200


async def test_claims_and_pauses_of_a_clock_that_jumped_do_not_hold_a_rotation_up(
    vault: VaultProcess, worker: VaultProcess, world: World, partner: str, superuser: asyncpg.Connection
) -> None:
    store(vault, world, partner)
    begun = begin(vault, world, partners=[partner], stages=["100%"]).json()
    await superuser.execute(
        "UPDATE vault.rotation_partner SET claimed_until = now() + interval '1 year', "
        "due_at = now() + interval '1 year' WHERE rotation = $1 AND state NOT IN ('done', 'failed')", begun["id"],
    )  # fmt: skip
    assert ended(vault, world, begun["id"])["state"] == "completed"


async def test_kms_or_keycloak_away_makes_a_rotation_wait_and_not_fail(
    vault: VaultProcess, worker: VaultProcess, world: World, partner: str, superuser: asyncpg.Connection
) -> None:
    store(vault, world, partner)
    world.realm.away = True
    try:
        # The bearer's issuer is away too; its keys are remembered.
        begun = begin(vault, world, partners=[partner], stages=["100%"]).json()
        until = time.monotonic() + 30
        while True:
            found = vault.http.get(f"{ROTATIONS}/{begun['id']}", headers=operator(world)).json()
            if found["trouble"]:
                break
            assert time.monotonic() < until
            await asyncio.sleep(0.1)
        assert found["trouble"][0]["problem"] == "holder_away"
    finally:
        world.realm.away = False
    assert ended(vault, world, begun["id"])["state"] == "completed"


async def test_pause_resume_and_abort_leave_every_row_readable(
    vault: VaultProcess, worker: VaultProcess, world: World, partner: str, superuser: asyncpg.Connection
) -> None:
    store(vault, world, partner)
    await many_rows(world, superuser, partner, 4000)
    begun = begin(vault, world, partners=[partner], stages=["100%"]).json()
    address = f"{ROTATIONS}/{begun['id']}"
    until = time.monotonic() + 30
    while len(await census(superuser, partner)) < 2:
        assert time.monotonic() < until
        await asyncio.sleep(0.02)
    paused = vault.http.post(f"{address}/pause", headers=operator(world))
    assert (paused.status_code, paused.json()["state"]) == (200, "paused")
    assert vault.http.post(f"{address}/pause", headers=operator(world)).status_code == 409
    # What was under way when the pause came ends at its next write.
    await asyncio.sleep(0.5)
    stood = await census(superuser, partner)
    await asyncio.sleep(1.0)
    assert await census(superuser, partner) == stood
    assert sum(stood.values()) == 4001
    for name in ("main", "many-000000", "many-003999"):
        assert release(vault, world, partner, name).status_code == 200
    assert vault.http.post(f"{address}/resume", headers=operator(world)).json()["state"] == "running"
    aborted = vault.http.post(f"{address}/abort", headers=operator(world))
    assert aborted.json()["state"] == "aborted"
    assert vault.http.post(f"{address}/resume", headers=operator(world)).json()["type"].endswith("rotation-is-aborted")
    for name in ("main", "many-000000", "many-003999"):
        assert release(vault, world, partner, name).status_code == 200
    # The next rotation takes everybody along, from whichever key.
    assert rotated(vault, world, partners=[partner], stages=["100%"])["state"] == "completed"
    assert len(await census(superuser, partner)) == 1


async def test_who_may_not_rotate_is_refused_and_recorded_and_so_is_a_malformed_wish(
    vault: VaultProcess, worker: VaultProcess, world: World, partner: str
) -> None:
    store(vault, world, partner)
    nobody = vault.http.post(ROTATIONS, headers=world.realm.bearer(partner), json={})
    assert nobody.status_code == 403
    stale = vault.http.post(ROTATIONS, headers=operator(world, auth_time=int(time.time()) - 3600), json={})
    assert stale.status_code == 401
    assert "insufficient_user_authentication" in stale.headers["WWW-Authenticate"]
    for body in (
        {"stages": []}, {"stages": ["50%"]}, {"stages": ["100%", "10%"]}, {"stages": ["10%", "canary", "100%"]},
        {"stages": ["200%"]}, {"partners": []}, {"partners": ["nobody-knows"]}, {"partners": ["A b"]}, {"kind": "all"},
        {"dry_run": "yes"}, {"more": 1}, {"canary": [partner], "stages": ["100%"]},
        {"partners": [partner], "canary": ["partner-249"]}, [],
    ):  # fmt: skip
        answer = vault.http.post(ROTATIONS, headers=operator(world), json=body)
        assert (answer.status_code, answer.json()["type"]) == (422, "urn:tradepulse:problem:invalid-request"), body
    for path in ("nonsense", "00000000-0000-0000-0000-000000000000"):
        assert vault.http.get(f"{ROTATIONS}/{path}", headers=operator(world)).status_code == 404
        assert vault.http.post(f"{ROTATIONS}/{path}/abort", headers=operator(world)).status_code == 404
    counted = vault.http.get("/v1/keys/census", headers=operator(world))
    mine = [row for row in counted.json()["keys"] if row["partner"] == partner]
    assert [(row["key_version"], row["rows"]) for row in mine] == [(1, 1)]


OTHERS: dict[str, tuple[str, tuple[tuple[str, str], ...]]] = {
    "link_pending": (
        "INSERT INTO vault.link_pending (partner, connection, version, key_version, access_sealed, refresh_sealed, "
        "scopes, linked_by, linked_at, expires_at) VALUES ($1, 'main', 1, 1, $2, $3, '{}', 's', now(), now())",
        (("main", "access_token"), ("main", "refresh_token")),
    ),
    "revocation": (
        "INSERT INTO vault.revocation (partner, connection, version, broker, key_version, access_sealed, "
        "refresh_sealed) VALUES ($1, 'main', 1, 'paper', 1, $2, $3)",
        (("main", "access_token"), ("main", "refresh_token")),
    ),
    "link_attempt": (
        "INSERT INTO vault.link_attempt (partner, connection, subject, session, state_hash, key_version, "
        "verifier_sealed, redirect_uri, scopes, expires_at) "
        "VALUES ($1, 'main', 's', 's', decode(repeat('ab', 32), 'hex'), 1, $2, 'https://x.example', '{}', now())",
        (("main", "pkce_verifier/" + "ab" * 32),),
    ),
    "lease": (
        "INSERT INTO vault.lease (partner, lease, template, kind, target, requestor, subject, roles, permissions, "
        "scopes, decision_id, holder, state, expires_at, max_until, sealed, key_version, due_at) "
        "VALUES ($1, 'ababababababababababab12', 't', 'broker_token', 'main', 'r', 's', '{}', '{}', '{}', "
        "'d', '{}', 'ended', now(), now(), $2, 1, now() + interval '1 day')",
        (("ababababababababababab12", "lease_token"),),
    ),
    "alert_route": (
        "INSERT INTO vault.alert_route (partner, route, webhook, alerts, secret_sealed, key_version, set_by) "
        "VALUES ($1, 'desk', 'https://x.example/hook', '{}', $2, 1, 's')",
        (("desk", "alert_secret"),),
    ),
}
"""How a row gets into each of the other tables with something sealed in them, and the places of its values."""


async def test_whatever_is_sealed_is_moved_in_whichever_table_it_is(
    vault: VaultProcess, worker: VaultProcess, world: World, partner: str, superuser: asyncpg.Connection
) -> None:
    assert {table.name for table in SEALED} == {"credential", *OTHERS}
    columns = await superuser.fetch(
        "SELECT c.relname, array_agg(a.attname::text) AS names FROM pg_class c "
        "JOIN pg_attribute a ON a.attrelid = c.oid "
        "WHERE c.relnamespace = 'vault'::regnamespace AND c.relkind = 'r' AND a.attname LIKE '%sealed' GROUP BY 1"
    )
    # Emergency credentials are sealed by the root key itself and again with every opening; retire-root waits for them
    # (test_vault_break_glass.py).
    assert {row["relname"]: set(row["names"]) for row in columns if row["relname"] != "break_glass"} == {
        table.name: set(table.values) for table in SEALED
    }
    store(vault, world, partner)
    # The pins of a fresh partner are under the first root key or a later one; rows are sealed as it is now.
    key = await many_rows(world, superuser, partner, 1)
    for statement, places in OTHERS.values():
        sealed = [seal(key, Place(partner, connection, kind, 1), b"kept") for connection, kind in places]
        await superuser.execute(statement, partner, *sealed)
    assert await census(superuser, partner) == {1: 7}
    found = rotated(vault, world, partners=[partner], stages=["100%"])
    assert (found["state"], found["rows"]) == ("completed", {"opened": 7, "moved": 7, "failed": 0})
    assert await census(superuser, partner) == {2: 7}
    # And again, from where they are now: what was moved opens.
    again = rotated(vault, world, partners=[partner], stages=["100%"])
    assert again["rows"] == {"opened": 7, "moved": 7, "failed": 0}


def test_a_salt_more_than_readers_take_is_never_added(
    vault: VaultProcess, worker: VaultProcess, world: World, partner: str
) -> None:
    store(vault, world, partner)
    for version in range(2, MAX_VERSIONS + 1):
        world.realm.salts[partner][f"vault.salt.{version}"] = world.realm.salts[partner]["vault.salt.1"]
    found = rotated(vault, world, partners=[partner], stages=["100%"])
    assert (found["state"], found["reason"]) == ("paused", "partners_failed:1")
    assert found["trouble"][0]["problem"] == "key_context_mismatch,too_many_salts"
    assert vault.http.post(f"{ROTATIONS}/{found['id']}/abort", headers=operator(world)).status_code == 200
    assert release(vault, world, partner).status_code == 200
