"""Rotation on a real Keycloak: the worker's account changes salts, admin-sync lives with it, the holders fit."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from identity.outbound import client
from identity.secret import read_secret
from identity.service_token import ServiceToken
from stack.vault import service as serving_program
from stack.vault import worker as worker_program
from tests.conftest import Stack
from vault_api.kms.file import FileKms
from vault_api.rotation.salt_writer import SaltWriter
from vault_api.salts import KeycloakSalts, SaltsUnavailable
from vault_api.sealing.envelope import Place, seal
from vault_api.sealing.keys import PartnerKey, mac_message

pytestmark = pytest.mark.integration

PARTNER, OTHER = "acme-capital", "birch-research"


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with client() as opened:
        yield opened


def token(stack: Stack, http: httpx.AsyncClient, name: str) -> ServiceToken:
    setting = {"vault-api": "VAULT_CLIENT_KEY_FILE", "vault-rotator": "VAULT_ROTATOR_CLIENT_KEY_FILE"}[name]
    key = read_secret(Path(stack.env[setting]), name=setting)
    return ServiceToken(http, stack.env["VAULT_TOKEN_URL"], name, key)


@pytest.fixture
def writer(stack: Stack, http: httpx.AsyncClient) -> SaltWriter:
    return SaltWriter(http, stack.env["VAULT_KEYCLOAK_ADMIN_URL"], token(stack, http, "vault-rotator"))


@pytest.fixture
def plan(stack: Stack) -> Callable[[], subprocess.CompletedProcess[str]]:
    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "admin_sync", "plan", "--env", "dev", "--detailed-exitcode"],
            cwd=stack.layout.checkout, env={**os.environ, **stack.env}, capture_output=True, text=True, check=False,
        )  # fmt: skip

    return run


def organization(stack: Stack, alias: str) -> dict[str, Any]:
    path = "/tradepulse-dev/organizations"
    listed = stack.admin.get(path, briefRepresentation="false")
    found = next(one for one in listed if one["alias"] == alias)
    full: dict[str, Any] = stack.admin.get(f"{path}/{found['id']}")
    return full


async def test_a_rotated_salt_is_no_drift_and_a_removed_one_is_said_aloud(
    stack: Stack, http: httpx.AsyncClient, writer: SaltWriter, plan: Any
) -> None:
    reader = KeycloakSalts(http, stack.env["VAULT_KEYCLOAK_ADMIN_URL"], token(stack, http, "vault-api"))
    before, others = organization(stack, OTHER), await reader.read(PARTNER)
    await writer.add(OTHER, 2)
    # Once more changes nothing: the salt that is there stays.
    made = (await writer.read(OTHER)).versions[2]
    await writer.add(OTHER, 2)
    await writer.make_current(OTHER, 2)
    salts = await reader.read(OTHER)
    assert (salts.current, sorted(salts.versions), salts.versions[2]) == (2, [1, 2], made)
    assert salts.versions[1] != made
    after = organization(stack, OTHER)
    changed = {name for name in after["attributes"] if after["attributes"][name] != before["attributes"].get(name)}
    assert changed == {"vault.salt.2", "vault.salt.current"}
    assert {**after, "attributes": None} == {**before, "attributes": None}
    assert (await reader.read(PARTNER)).versions == others.versions
    done = await asyncio.to_thread(plan)
    assert f"organization {OTHER}" not in done.stdout
    # Without its current salt the partner is stopped, which is a warning, and nothing makes it a new one.
    path = f"/tradepulse-dev/organizations/{after['id']}"
    crippled = {name: values for name, values in after["attributes"].items() if name != "vault.salt.2"}
    stack.admin.put(path, {**after, "attributes": crippled})
    done = await asyncio.to_thread(plan)
    assert "current salt is missing" in done.stderr + done.stdout
    stack.admin.put(path, before)
    assert (await reader.read(OTHER)).current == 1


async def test_the_rotators_account_can_touch_organizations_and_nothing_else(
    stack: Stack, http: httpx.AsyncClient
) -> None:
    admin = stack.env["VAULT_KEYCLOAK_ADMIN_URL"]
    headers = {"Authorization": f"Bearer {await token(stack, http, 'vault-rotator').get()}"}
    for place in ("users", "clients", "roles", "events", "identity-provider/instances"):
        assert (await http.get(f"{admin}/{place}", headers=headers)).status_code == 403, place
    serving = SaltWriter(http, admin, token(stack, http, "vault-api"))
    with pytest.raises(SaltsUnavailable, match="403"):
        await serving.add(PARTNER, 9)
    # Its secrets are the worker's alone.
    ports = {"vault": 1, "vault-worker": 2}
    given = [
        {name for name in made.environment if name.startswith("VAULT_ROTATOR_")}
        for made in (serving_program(stack.layout, ports, stack.env), worker_program(stack.layout, ports, stack.env))
    ]
    assert given[0] == set()
    assert len(given[1]) == 4


async def test_the_stacks_worker_rotates_and_what_it_sealed_opens_from_an_export_of_the_realm(
    stack: Stack, http: httpx.AsyncClient, tmp_path: Path
) -> None:
    password = stack.layout.secret("postgres-postgres").read_text().strip()
    address = stack.env["VAULT_DATABASE_URL"].replace("vault_app@", "postgres@")
    database = await asyncpg.connect(address, password=password)
    try:
        await sealed_row(stack, http, database)
        before = await versions(database)
        rotation = await database.fetchval(
            "INSERT INTO vault.rotation (kind, dry_run, stages, requested_by) "
            "VALUES ('partner', false, '{100%}', 'test') RETURNING rotation"
        )
        await database.execute(
            "INSERT INTO vault.rotation_partner (rotation, partner, stage) VALUES ($1, $2, 1)", rotation, PARTNER
        )
        until, turn = time.monotonic() + 120, None
        while turn is None or turn["state"] not in ("draining", "done", "failed"):
            assert time.monotonic() < until, turn
            await asyncio.sleep(0.2)
            turn = await database.fetchrow("SELECT * FROM vault.rotation_partner WHERE rotation = $1", rotation)
        assert (turn["state"], turn["failed"], turn["problem"]) == ("draining", 0, None)
        after = await versions(database)
        # What the worker refreshed meanwhile was sealed by the refresh, and may or may not be among what was moved.
        stayed = [name for name, (version, _) in after.items() if before[name][0] == version]
        assert "rotated" in stayed
        assert len(stayed) <= turn["moved"] <= len(before)
        assert {after[name][1] for name in stayed} == {turn["target"]}
        done = await asyncio.to_thread(recover, stack, tmp_path)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["opened"] == len(before)
    finally:
        # Keys live for minutes in this stack; nobody waits for the drain.
        await database.execute("UPDATE vault.rotation SET state = 'aborted' WHERE requested_by = 'test'")
        await database.execute("DELETE FROM vault.credential WHERE partner = $1 AND connection = 'rotated'", PARTNER)
        await database.execute("DELETE FROM vault.connection WHERE partner = $1 AND connection = 'rotated'", PARTNER)
        await database.close()


def recover(stack: Stack, folder: Path) -> subprocess.CompletedProcess[str]:
    """Open what is in the database with the salts of an export of the realm."""
    export = folder / "realm.json"
    export.touch(0o600)
    export.write_text(json.dumps({"organizations": [organization(stack, alias) for alias in (PARTNER, OTHER)]}))
    return subprocess.run(
        [sys.executable, "-m", "vault_api", "recover", "--salts", str(export), "--partner", PARTNER],
        cwd=stack.layout.checkout, env={**os.environ, **stack.env}, capture_output=True, text=True, check=False,
    )  # fmt: skip


async def versions(database: asyncpg.Connection) -> dict[str, tuple[int, int]]:
    """Connection -> version of its credential, and of the key that it is sealed under."""
    rows = await database.fetch(
        "SELECT connection, version, key_version FROM vault.credential WHERE partner = $1", PARTNER
    )
    return {row["connection"]: (row["version"], row["key_version"]) for row in rows}


async def sealed_row(stack: Stack, http: httpx.AsyncClient, database: asyncpg.Connection) -> None:
    """A credential as the vault seals it, under the partner's present key."""
    reader = KeycloakSalts(http, stack.env["VAULT_KEYCLOAK_ADMIN_URL"], token(stack, http, "vault-api"))
    kms = FileKms.from_file(Path(stack.env["VAULT_KMS_FILE"]))
    salts = await reader.read(PARTNER)
    message = mac_message(PARTNER, salts.current, salts.versions[salts.current])
    key = PartnerKey.from_mac(PARTNER, salts.current, await kms.mac(kms.current_version, message))
    await database.execute(
        "INSERT INTO vault.key_context VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
        PARTNER, salts.current, kms.current_version, key.fingerprint(),
    )  # fmt: skip
    await database.execute("SELECT set_config('vault.partner', $1, false)", PARTNER)
    await database.execute(
        "INSERT INTO vault.connection (partner, connection, broker, created_by) "
        "VALUES ($1, 'rotated', 'paper', 'test')",
        PARTNER,
    )
    await database.execute(
        "INSERT INTO vault.credential (partner, connection, version, key_version, access_sealed, scopes, stored_by) "
        "VALUES ($1, 'rotated', 1, $2, $3, '{}', 'test')",
        PARTNER, salts.current, seal(key, Place(PARTNER, "rotated", "access_token", 1), b"a token of this test"),
    )  # fmt: skip
