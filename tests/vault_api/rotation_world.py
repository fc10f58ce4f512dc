"""What tests of rotation share: many rows, a worker, and somebody who may rotate."""

from __future__ import annotations

import time
from typing import Any

import asyncpg
import httpx
from vault_world import FIRST, TOKENS, VaultProcess, World, credential_url

from vault_api.kms.file import FileKms
from vault_api.salts import salts_of
from vault_api.sealing.envelope import Place, seal
from vault_api.sealing.keys import PartnerKey, mac_message

ROTATIONS = "/v1/keys/rotations"


def operator(world: World, **claims: Any) -> dict[str, str]:
    """Somebody who may rotate keys."""
    return world.realm.bearer(None, **{"email": "root@example.test", "groups": ["super_admin"], **claims})


def begin(vault: VaultProcess, world: World, **body: Any) -> httpx.Response:
    return vault.http.post(ROTATIONS, headers=operator(world), json=body)


def ended(vault: VaultProcess, world: World, rotation: str, *, seconds: float = 60) -> dict[str, Any]:
    """The rotation once it is not running any more."""
    until = time.monotonic() + seconds
    while True:
        found: dict[str, Any] = vault.http.get(f"{ROTATIONS}/{rotation}", headers=operator(world)).json()
        if found["state"] != "running":
            return found
        assert time.monotonic() < until, found
        time.sleep(0.1)


def rotated(vault: VaultProcess, world: World, *, seconds: float = 60, **body: Any) -> dict[str, Any]:
    """A rotation from its beginning to its end."""
    answer = begin(vault, world, **body)
    assert answer.status_code == 202, answer.text
    return ended(vault, world, answer.json()["id"], seconds=seconds)


def store(vault: VaultProcess, world: World, partner: str, connection: str = "main", **more: Any) -> httpx.Response:
    return vault.http.put(
        credential_url(partner, connection),
        headers={**world.realm.bearer(partner), **FIRST},
        json={**TOKENS, "access_token": f"token-of-{partner}-{connection}", **more},
    )


def release(vault: VaultProcess, world: World, partner: str, connection: str = "main") -> httpx.Response:
    return vault.http.post(f"{credential_url(partner, connection)}/release", headers=world.realm.bearer(partner))


async def many_rows(
    world: World, database: asyncpg.Connection, partner: str, count: int, *, size: int = 100
) -> PartnerKey:
    """Rows of one partner, put there past the vault: sealed as it seals them. Some row of theirs must be there."""
    salts = salts_of(world.realm.salts[partner])
    kms = FileKms.from_file(world.home / "root-key.json")
    version = salts.current
    root = await database.fetchval(
        "SELECT root_version FROM vault.key_context WHERE partner = $1 AND key_version = $2", partner, version
    )
    key = PartnerKey.from_mac(
        partner, version, await kms.mac(root, mac_message(partner, version, salts.versions[version]))
    )
    names = [f"many-{number:06d}" for number in range(count)]
    sealed = [
        [seal(key, Place(partner, name, kind, 1), f"token-of-{name}".ljust(size, "x").encode()) for name in names]
        for kind in ("access_token", "refresh_token")
    ]
    await database.execute("SELECT set_config('vault.partner', $1, false)", partner)
    await database.execute(
        "INSERT INTO vault.connection (partner, connection, broker, created_by, created_at) "
        "SELECT $1, u.name, 'paper', 'test', now() - n * interval '1 second' "
        "FROM unnest($2::text[]) WITH ORDINALITY u (name, n)",
        partner, names,
    )  # fmt: skip
    await database.execute(
        "INSERT INTO vault.credential (partner, connection, version, key_version, access_sealed, refresh_sealed, "
        "access_expires_at, scopes, stored_by) SELECT $1, u.name, 1, $2, u.access, u.refresh, "
        "now() + interval '1 year', '{}', 'test' "
        "FROM unnest($3::text[], $4::bytea[], $5::bytea[]) u (name, access, refresh)",
        partner, version, names, *sealed,
    )  # fmt: skip
    return key


async def census(database: asyncpg.Connection, partner: str) -> dict[int, int]:
    """Rows by key version, of the versions that have any."""
    rows = await database.fetch("SELECT * FROM vault.census($1)", partner)
    return {row["key_version"]: row["held"] for row in rows if row["held"]}
