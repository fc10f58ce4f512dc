"""Removing salts: one that seals nothing any more, or all of a partner's, with proof."""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import pytest
import rfc8785
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from rotation_world import begin, many_rows, release, rotated, store
from vault_world import VaultProcess, World

KEYS = {"VAULT_KEY_SECONDS": "0.4"}


@pytest.fixture(scope="module")
def vault(start_vault: Callable[..., VaultProcess]) -> VaultProcess:
    return start_vault(**KEYS)


@pytest.fixture
def worker(world: World) -> Iterator[VaultProcess]:
    running = world.start("worker", **KEYS, **world.rotator())
    yield running
    running.end()


async def test_a_shredded_partner_opens_nowhere_any_more_and_the_report_proves_it(
    vault: VaultProcess, world: World, partner: str, other_partner: str, superuser: asyncpg.Connection, tmp_path: Path
) -> None:
    for name in (partner, other_partner):
        store(vault, world, name)
    await many_rows(world, superuser, partner, 20)
    # The earlier format is under no salt of anybody's.
    await superuser.execute(
        "INSERT INTO vault.legacy_credential (partner, connection, version, payload, scopes, stored_at, stored_by) "
        "VALUES ($1, 'main', 1, $2, '{}', now(), 's')", partner, secrets.token_bytes(60),
    )  # fmt: skip
    assert release(vault, world, partner).status_code == 200
    path = tmp_path / "report.json"
    settings = {**KEYS, **world.rotator()}
    refused = await asyncio.to_thread(world.run, "shred", partner, "--confirm", "another", **settings)
    assert (refused.returncode, world.realm.salts[partner]["vault.salt.current"]) == (3, ["1"])
    assert f"--confirm {partner}" in refused.stderr
    done = await asyncio.to_thread(world.run, "shred", partner, "--confirm", partner, "--report", str(path), **settings)
    assert done.returncode == 0, done.stderr
    assert world.realm.salts[partner] == {}
    # The serving process had the key in memory; the command waited until it has not.
    answer = release(vault, world, partner)
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:tradepulse:problem:key-context-mismatch")
    assert release(vault, world, other_partner).status_code == 200
    report = json.loads(path.read_text())
    signature = report.pop("signature")
    assert (report["rows"], report["rows_that_open"], report["rows_that_do_not"]) == (21, 0, 21)
    assert report["salts_removed"] == ["vault.salt.1"]
    assert (report["rows_of_the_earlier_format_overwritten"], "earlier format" in report["still_to_do"]) == (1, True)
    payload = await superuser.fetchval("SELECT payload FROM vault.legacy_credential WHERE partner = $1", partner)
    assert payload == bytes(31)
    # What is asked for all partners is not held up by one that has nothing left.
    begun = begin(vault, world, dry_run=True, partners=[partner])
    assert begun.status_code == 422
    key = load_pem_private_key((world.home / "checkpoint.pem").read_bytes(), None)
    key.public_key().verify(base64.b64decode(signature["value"]), rfc8785.dumps(report))  # type: ignore[union-attr,call-arg,arg-type]
    lines = await superuser.fetch(
        "SELECT line FROM vault.audit WHERE partner = $1 AND event = 'partner.shred'", partner
    )
    assert sorted(json.loads(row["line"])["reason"] for row in lines) == ["begun", "shredded:21"]
    # Once more is no harm, and a store after it makes no new key.
    again = await asyncio.to_thread(world.run, "shred", partner, "--confirm", partner, **settings)
    assert json.loads(again.stdout)["rows_that_open"] == 0
    assert store(vault, world, partner, "new").status_code == 409


async def test_a_salt_is_retired_only_when_nothing_is_sealed_under_it(
    vault: VaultProcess, worker: VaultProcess, world: World, partner: str, superuser: asyncpg.Connection
) -> None:
    store(vault, world, partner)
    settings = {**KEYS, **world.rotator()}
    current = await asyncio.to_thread(world.run, "retire-salt", partner, "1", **settings)
    assert (current.returncode, "current one" in current.stderr) == (3, True)
    world.realm.new_salt(partner, 2)
    await asyncio.sleep(1.1)
    assert store(vault, world, partner, "newer").json()["key_version"] == 2
    held = await asyncio.to_thread(world.run, "retire-salt", partner, "1", **settings)
    assert (held.returncode, "1 rows" in held.stderr) == (3, True)
    assert "vault.salt.1" in world.realm.salts[partner]
    found = await asyncio.to_thread(rotated, vault, world, partners=[partner], stages=["100%"])
    assert found["state"] == "completed"
    await asyncio.sleep(1.0)
    for version in ("1", "2"):
        done = await asyncio.to_thread(world.run, "retire-salt", partner, version, **settings)
        assert done.returncode == 0, done.stderr
    assert sorted(world.realm.salts[partner]) == ["vault.salt.3", "vault.salt.current"]
    for connection in ("main", "newer"):
        assert release(vault, world, partner, connection).status_code == 200
