"""From the earlier row format to the present one: frozen vectors, four phases, and readers that never fail."""

from __future__ import annotations

import asyncio
import json
import secrets
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from lease_world import OPERATOR
from vault_world import FIRST, VaultProcess, World, credential_url, new_database, private_file

from identity.audit.event import AuditEvent
from identity.secret import Secret
from vault_api.legacy.format import LegacyKey, LegacyTokens, LegacyUnreadable
from vault_api.tokens import AccessToken
from vault_api.trail.line import pieces

VECTORS = json.loads((Path(__file__).parent / "vectors" / "legacy.json").read_text())
PHASES = ("legacy", "both", "new_preferred", "new_only")


@pytest.mark.parametrize("case", VECTORS["valid"], ids=lambda case: case["access"])
def test_frozen_payloads_open_here_and_in_a_second_implementation(case: dict[str, Any]) -> None:
    payload, key = bytes.fromhex(case["payload"]), bytes.fromhex(VECTORS["key"])
    found = LegacyKey(Secret(key)).open(payload)
    assert found.access.text() == case["access"]
    assert (None if found.refresh is None else found.refresh.text()) == case["refresh"]
    document = json.loads(AESGCM(key).decrypt(payload[1:13], payload[13:], b""))
    assert document == {"access_token": case["access"], "refresh_token": case["refresh"]}


@pytest.mark.parametrize("name", sorted(VECTORS["invalid"]))
def test_frozen_payloads_that_are_not_right_do_not_open(name: str) -> None:
    with pytest.raises(LegacyUnreadable):
        LegacyKey(Secret(bytes.fromhex(VECTORS["key"]))).open(bytes.fromhex(VECTORS["invalid"][name]))


def test_what_is_sealed_is_opened_and_its_parts_show_themselves_nowhere() -> None:
    key = LegacyKey(Secret(secrets.token_bytes(32)))
    tokens = LegacyTokens(AccessToken("a-secret"), None)
    assert key.open(key.seal(tokens)) == tokens
    assert "a-secret" not in repr((key, tokens))


@pytest.fixture(scope="module")
def settings(world: World, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    home = tmp_path_factory.mktemp("legacy")
    return {
        **asyncio.run(new_database(world)),
        "TRADEPULSE_AUDIT_DIR": str(home / "audit"),
        "VAULT_LEGACY_KEY_FILE": str(private_file(home / "legacy.key", secrets.token_hex(32))),
        "VAULT_LEGACY_DWELL_SECONDS": "1",
    }


@pytest.fixture(scope="module")
def moving(world: World, settings: dict[str, str]) -> Iterator[list[VaultProcess]]:
    """Two processes, which learn of a switch at different moments."""
    running = [world.start(**settings) for _ in range(2)]
    yield running
    for one in running:
        one.end()


class Reader:
    """Releases one connection again and again, from both processes in turn."""

    def __init__(self, vaults: list[VaultProcess], world: World, partner: str, connection: str) -> None:
        self._stop = threading.Event()
        self.wrong: list[str] = []
        self.reads = 0
        self._headers = world.realm.bearer(partner)
        self._vaults, self._url = vaults, f"{credential_url(partner, connection)}/release"
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            answer = self._vaults[self.reads % 2].http.post(self._url, headers=self._headers, timeout=30)
            if answer.status_code != 200:
                self.wrong.append(answer.text)
            self.reads += 1
            time.sleep(0.01)

    def end(self) -> None:
        self._stop.set()
        self._thread.join()


def command(world: World, settings: dict[str, str], name: str) -> subprocess.CompletedProcess[str]:
    return world.run(f"legacy-{name}", **settings)


def put(vault: VaultProcess, world: World, partner: str, connection: str, token: str, version: int) -> Any:
    condition = FIRST if version == 0 else {"If-Match": f'"{version}"'}
    return vault.http.put(
        credential_url(partner, connection),
        headers={**world.realm.bearer(partner), **condition},
        json={"broker": "paper", "access_token": token, "refresh_token": f"r-{token}", "scopes": ["trade"]},
    )


def released(vault: VaultProcess, world: World, partner: str, connection: str) -> str:
    url = f"{credential_url(partner, connection)}/release"
    answer = vault.http.post(url, headers=world.realm.bearer(partner))
    assert answer.status_code == 200, answer.text
    return str(answer.json()["access_token"])


def test_there_and_back_with_readers_and_writers_that_never_fail(
    moving: list[VaultProcess], world: World, partner: str, settings: dict[str, str]
) -> None:
    a, b = moving
    assert put(a, world, partner, "old", "stored-in-legacy", 0).status_code == 201
    assert put(a, world, partner, "busy", "first", 0).status_code == 201
    reader = Reader(moving, world, partner, "old")
    version = 1
    try:
        for step, phase in (("forward", "both"), ("forward", "new_preferred"), ("forward", "new_only")):
            if phase == "new_only":
                # Not before the present table has everything.
                refused = command(world, settings, step)
                assert (refused.returncode, "legacy-backfill" in refused.stderr) == (5, True), refused.stderr
                assert json.loads(command(world, settings, "report").stdout)["legacy_only"] == 1
                filled = command(world, settings, "backfill")
                assert json.loads(filled.stdout)["written"] == 1, filled.stderr
                assert json.loads(command(world, settings, "report").stdout)["complete"]
            version = switch_and_use(moving, world, partner, settings, step, phase, version)
        for step, phase in (("back", "new_preferred"), ("back", "both"), ("back", "legacy")):
            version = switch_and_use(moving, world, partner, settings, step, phase, version)
    finally:
        reader.end()
    assert reader.wrong == []
    assert reader.reads > 50
    assert released(b, world, partner, "old") == "stored-in-legacy"
    assert command(world, settings, "back").returncode == 5
    trail = asyncio.run(switches(world, settings))
    assert trail == ["phase_0_to_1", "phase_1_to_2", "phase_2_to_3", "phase_3_to_2", "phase_2_to_1", "phase_1_to_0"]


def switch_and_use(
    moving: list[VaultProcess],
    world: World,
    partner: str,
    settings: dict[str, str],
    step: str,
    phase: str,
    version: int,
) -> int:
    """One switch, and at once a store and a release by each process, which may not have seen it yet."""
    switched = command(world, settings, step)
    assert switched.returncode == 0, switched.stderr
    assert json.loads(switched.stdout)["to"] == phase
    for number, vault in enumerate(moving):
        token = f"{phase}-{number}"
        assert put(vault, world, partner, "busy", token, version).status_code == 200
        version += 1
        assert [released(each, world, partner, "busy") for each in moving] == [token, token]
        stale = put(vault, world, partner, "busy", "never", version - 1)
        assert stale.status_code == 412, stale.text
        facts = vault.http.get(credential_url(partner, "busy"), headers=world.realm.bearer(partner)).json()
        assert (facts["version"], facts["state"]) == (version, "active")
    return version


async def switches(world: World, settings: dict[str, str]) -> list[str]:
    connection = await asyncpg.connect(
        world.postgres.dsn("postgres", settings["VAULT_DATABASE_URL"].rpartition("/")[2])
    )
    try:
        found = await connection.fetch(
            "SELECT line::json->>'reason' AS r FROM vault.audit "
            "WHERE event = 'legacy.switch' AND outcome = 'success' ORDER BY seq"
        )
        return [row["r"] for row in found]
    finally:
        await connection.close()


def test_a_switch_comes_too_soon_or_says_who_asked(
    moving: list[VaultProcess], world: World, partner: str, settings: dict[str, str]
) -> None:
    assert command(world, settings, "forward").returncode == 0
    slow = {**settings, "VAULT_LEGACY_DWELL_SECONDS": "600"}
    refused = command(world, slow, "back")
    assert (refused.returncode, "less than 600 s ago" in refused.stderr) == (5, True)
    time.sleep(1)
    assert command(world, settings, "back").returncode == 0
    root = world.realm.bearer(None, **OPERATOR)
    shown = moving[0].http.get("/v1/legacy/status", headers=root)
    assert (shown.json()["in_use"], shown.json()["phase"]) == (True, "legacy")
    assert moving[0].http.get("/v1/legacy/status", headers=world.realm.bearer(partner)).status_code == 403


def test_a_repeated_store_is_one_store_and_a_damaged_row_is_no_token(
    moving: list[VaultProcess], world: World, partner: str, settings: dict[str, str]
) -> None:
    headers = {**world.realm.bearer(partner), **FIRST, "Idempotency-Key": "once"}
    body = {"broker": "paper", "access_token": "a-token"}
    first = moving[0].http.put(credential_url(partner, "main"), headers=headers, json=body)
    again = moving[1].http.put(credential_url(partner, "main"), headers=headers, json=body)
    assert (first.status_code, again.status_code, again.headers["idempotency-replayed"]) == (201, 201, "true")
    other = moving[1].http.put(credential_url(partner, "main"), headers=headers, json={**body, "access_token": "b"})
    assert other.status_code == 422
    asyncio.run(damage(world, settings, partner))
    url = f"{credential_url(partner, 'main')}/release"
    damaged = moving[0].http.post(url, headers=world.realm.bearer(partner))
    assert (damaged.status_code, damaged.json()["type"]) == (500, "urn:tradepulse:problem:integrity-error")
    report = json.loads(command(world, settings, "report").stdout)
    assert (report["complete"], report["legacy_only"] > 0) == (False, True)
    assert command(world, settings, "backfill").returncode == 1


async def damage(world: World, settings: dict[str, str], partner: str) -> None:
    connection = await asyncpg.connect(
        world.postgres.dsn("postgres", settings["VAULT_DATABASE_URL"].rpartition("/")[2])
    )
    try:
        await connection.execute(
            "UPDATE vault.legacy_credential SET payload = set_byte(payload, 20, get_byte(payload, 20) # 1) "
            "WHERE partner = $1",
            partner,
        )
    finally:
        await connection.close()


def test_without_the_key_there_is_one_format_and_no_command(world: World) -> None:
    refused = world.run("legacy-status")
    assert (refused.returncode, "VAULT_LEGACY_KEY_FILE" in refused.stderr) == (3, True)


async def test_linking_and_revoking_count_over_both_formats(
    moving: list[VaultProcess], world: World, partner: str, settings: dict[str, str]
) -> None:
    vault = moving[0]
    assert put(vault, world, partner, "main", "kept", 0).status_code == 201
    database = await asyncpg.connect(world.postgres.dsn("postgres", settings["VAULT_DATABASE_URL"].rpartition("/")[2]))
    try:
        # What there is goes on working while somebody begins to link the broker anew.
        state_hash, sealed = secrets.token_bytes(32), secrets.token_bytes(100)
        await database.fetchval(
            "SELECT vault.link_start($1, 'main', 'paper', 's', 'sid', $2, NULL, 1, $3, 'http://127.0.0.1/', "
            "'{trade}', now() + interval '1 minute', $4)",
            partner, state_hash, sealed, line(partner, "connection.link"),
        )  # fmt: skip
        assert released(vault, world, partner, "main") == "kept"
        taken = await database.fetchrow(
            "SELECT * FROM vault.link_take($1, $2, 's', 'sid', $3)", partner, state_hash,
            line(partner, "connection.callback"),
        )  # fmt: skip
        assert (taken["outcome"], taken["next_version"]) == ("taken", 2)
        linked = await database.fetchrow(
            "SELECT * FROM vault.link_finish($1, 'main', 's', 2, 1, $2, NULL, NULL, NULL, NULL, '{trade}', NULL, $3)",
            partner, sealed, line(partner, "connection.linked"),
        )  # fmt: skip
        assert tuple(linked) == ("active", 2)
        assert await heads(database, partner) == (1, 2)
        # And a store in this phase, which writes the earlier format alone, wins over what was linked before it.
        assert put(vault, world, partner, "main", "newer", 2).status_code == 200
        assert await heads(database, partner) == (3, 2)
        assert released(vault, world, partner, "main") == "newer"
        assert await database.fetchval(
            "SELECT vault.revoke($1, 'main', $2)", partner, line(partner, "connection.revoke")
        ) == "revoked"  # fmt: skip
        # Revoked is revoked, also after a back-fill.
        await asyncio.to_thread(command, world, settings, "backfill")
        url = f"{credential_url(partner, 'main')}/release"
        assert vault.http.post(url, headers=world.realm.bearer(partner)).status_code == 404
        assert await database.fetchval(
            "SELECT access_sealed IS NULL AND version = 4 FROM vault.credential WHERE partner = $1", partner
        )
        assert put(vault, world, partner, "main", "again", 4).status_code == 200
        assert released(vault, world, partner, "main") == "again"
    finally:
        await database.close()


async def test_what_the_earlier_format_has_a_newer_version_of_is_not_refreshed(
    moving: list[VaultProcess], world: World, partner: str, settings: dict[str, str]
) -> None:
    assert put(moving[0], world, partner, "main", "first", 0).status_code == 201
    database = await asyncpg.connect(world.postgres.dsn("postgres", settings["VAULT_DATABASE_URL"].rpartition("/")[2]))
    try:
        await database.execute(
            "INSERT INTO vault.credential (partner, connection, version, key_version, access_sealed, refresh_sealed, "
            "access_expires_at, scopes, stored_by) VALUES ($1, 'main', 1, 1, $2, $2, now(), '{}', 's')",
            partner, secrets.token_bytes(100),
        )  # fmt: skip
        taken = await database.fetchrow("SELECT * FROM vault.claim_refresh($1, 'main', 1, '45 s')", partner)
        begin = "SELECT outcome FROM vault.refresh_begin($1, 'main', $2)"
        assert await database.fetchval(begin, partner, taken["fence"]) == "go"
        assert put(moving[0], world, partner, "main", "second", 1).status_code == 200
        assert await database.fetchval(
            "SELECT vault.refresh_commit($1, 'main', $2, 1, 1, $3, $3, now(), NULL, '{}', NULL, NULL, $4)",
            partner, taken["fence"], secrets.token_bytes(100), line(partner, "credential.refresh"),
        ) == "superseded"  # fmt: skip
        assert await database.fetchval(begin, partner, taken["fence"]) == "gone"
        assert released(moving[0], world, partner, "main") == "second"
    finally:
        await database.close()


async def heads(database: asyncpg.Connection, partner: str) -> tuple[int, int]:
    """The versions of `main` in the earlier and in the present format."""
    row = await database.fetchrow("SELECT legacy, present FROM vault.legacy_heads($1, '{main}')", partner)
    return row["legacy"], row["present"]


def line(partner: str, event: str) -> Any:
    """An audit line for a function that is called past the vault."""
    return pieces(AuditEvent(event=event, outcome="success", actor="test", partner=partner), node="test")
