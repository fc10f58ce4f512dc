"""Three holders: any two open nothing, all three open everything, by the procedure of docs/disaster_recovery.md."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from rotation_world import many_rows, store
from vault_world import CHECKOUT, VaultProcess, World, open_world, private_file

from stack import postgres as embedded
from tests.conftest import Postgres, running_postgres
from vault_api.kms.file import FileKms, create_root_key_file
from vault_api.salts import salts_of
from vault_api.sealing.envelope import Place, SealError, open_sealed
from vault_api.sealing.keys import PartnerKey, mac_message

PAGE = CHECKOUT / "docs" / "disaster_recovery.md"
CANARY = "canary-3f0c9d-of-three-holders"


def procedure(name: str) -> str:
    """The commands of the page, exactly as they are written."""
    found = re.search(rf"^```sh {name}\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


class Drill:
    """A place with backups in it, in which the procedure is run."""

    def __init__(self, world: World, home: Path) -> None:
        self.world, self.home = world, home
        self.root = world.home / "root-key.json"
        home.mkdir(parents=True)

    def run(self, name: str) -> subprocess.CompletedProcess[str]:
        postgres = self.world.postgres
        environment = {
            **self.world.environment(VAULT_KMS_FILE=str(self.root)),
            "PATH": f"{embedded.embedded_binaries()}/bin:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(CHECKOUT),
            "PGHOST": postgres.host,
            "PGPORT": str(postgres.port),
            "PGUSER": embedded.SUPERUSER,
            "PGPASSWORD": postgres.passwords[embedded.SUPERUSER],
        }
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", procedure(name)],
            cwd=self.home, env=environment, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip

    def dump_as_text(self) -> bytes:
        command = [f"{embedded.embedded_binaries()}/bin/pg_restore", "--file=-", str(self.home / "vault.dump")]
        return subprocess.run(command, capture_output=True, check=True).stdout

    def export(self, salts: dict[str, dict[str, list[str]]]) -> None:
        organizations = [{"alias": alias, "attributes": attributes} for alias, attributes in salts.items()]
        private_file(self.home / "realm.json", json.dumps({"realm": "tradepulse-dev", "organizations": organizations}))

    def recovered(self) -> tuple[int, dict[str, Any]]:
        done = self.run("recover")
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode, json.loads(done.stdout)


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    """A server of this module's own: what other tests broke on purpose would be counted here."""
    with running_postgres() as running:
        yield running


@pytest.fixture(scope="module")
def world(postgres: Postgres, vault_opa: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world of this module's own on that server."""
    with open_world(vault_opa, postgres, tmp_path_factory.mktemp("holders")) as made:
        yield made


@pytest.fixture
async def drill(world: World, tmp_path: Path, superuser: asyncpg.Connection) -> Any:
    await superuser.execute("DROP DATABASE IF EXISTS vault_restored WITH (FORCE)")
    yield Drill(world, tmp_path / "drill")
    await superuser.execute("DROP DATABASE IF EXISTS vault_restored WITH (FORCE)")


@pytest.fixture(scope="module")
def vault(world: World) -> Iterator[VaultProcess]:
    running = world.start()
    yield running
    running.end()


@pytest.fixture
async def kept(
    vault: VaultProcess, world: World, partner: str, other_partner: str, superuser: asyncpg.Connection
) -> Any:
    """Two partners with rows."""
    for name in (partner, other_partner):
        store(vault, world, name, access_token=CANARY)
    await many_rows(world, superuser, partner, 50)
    return partner, other_partner


async def test_all_three_open_everything_by_the_procedure_as_it_is_written(
    kept: tuple[str, str], drill: Drill, world: World, superuser: asyncpg.Connection
) -> None:
    done = drill.run("backup")
    assert done.returncode == 0, done.stderr
    rows = await superuser.fetchval("SELECT count(*) FROM vault.credential WHERE access_sealed IS NOT NULL")
    pins = await superuser.fetch("SELECT * FROM vault.key_context ORDER BY partner, key_version")
    drill.export(world.realm.salts)
    code, report = drill.recovered()
    assert (code, report["opened"], report["failed"]) == (0, rows, 0)
    assert {one["partner"]: one["opened"] for one in report["partners"]}[kept[0]] == 51
    assert CANARY not in json.dumps(report)
    # Looking changed nothing, neither here nor in what was restored.
    assert await superuser.fetch("SELECT * FROM vault.key_context ORDER BY partner, key_version") == pins


async def test_the_database_and_the_salts_open_nothing_without_the_root_key(
    kept: tuple[str, str], drill: Drill, world: World
) -> None:
    assert drill.run("backup").returncode == 0
    drill.export(world.realm.salts)
    drill.root = drill.home / "another-root.json"
    create_root_key_file(drill.root)
    code, report = drill.recovered()
    assert (code, report["opened"]) == (1, 0)
    assert {reason for one in report["partners"] for reason in one["reasons"].values()} == {"fingerprint_differs"}


async def test_the_database_and_the_root_key_open_nothing_without_the_salts(
    kept: tuple[str, str], drill: Drill, world: World
) -> None:
    assert drill.run("backup").returncode == 0
    # Everything that an export says about the partners but the salts themselves.
    drill.export({alias: {"vault.salt.current": ["1"]} for alias in world.realm.salts})
    code, report = drill.recovered()
    assert (code, report["opened"]) == (1, 0)
    assert {reason for one in report["partners"] for reason in one["reasons"].values()} == {"salt_missing"}


async def test_the_salts_and_the_root_key_hold_nothing_of_what_the_database_holds(
    kept: tuple[str, str], drill: Drill, world: World, superuser: asyncpg.Connection
) -> None:
    assert drill.run("backup").returncode == 0
    drill.export(world.realm.salts)
    # The dump is not readable by itself either: no token is in any of the three.
    for holder in (drill.home / "realm.json", drill.root, drill.home / "vault.dump"):
        assert CANARY.encode() not in holder.read_bytes()
    text = drill.dump_as_text()
    assert b"credential" in text
    assert CANARY.encode() not in text
    assert CANARY.encode().hex().encode() not in text


async def test_whoever_does_not_ask_the_pins_opens_nothing_with_two_holders_either(
    kept: tuple[str, str], world: World, superuser: asyncpg.Connection
) -> None:
    partner = kept[0]
    row = await superuser.fetchrow("SELECT * FROM vault.credential WHERE partner = $1 AND connection = 'main'", partner)
    salts = salts_of(world.realm.salts[partner])
    version = row["key_version"]
    place = Place(partner, "main", "access_token", row["version"])
    genuine = FileKms.from_file(world.home / "root-key.json")
    root = await superuser.fetchval(
        "SELECT root_version FROM vault.key_context WHERE partner = $1 AND key_version = $2", partner, version
    )

    async def tried(kms: FileKms, root: int, salt: bytes) -> bytes:
        key = PartnerKey.from_mac(partner, version, await kms.mac(root, mac_message(partner, version, salt)))
        return open_sealed(key, place, row["access_sealed"])

    assert await tried(genuine, root, salts.versions[version]) == CANARY.encode()
    other = salts_of(world.realm.salts[kept[1]]).versions[1]
    for salt in (bytes(32), other, salts.versions[version][::-1]):
        with pytest.raises(SealError):
            await tried(genuine, root, salt)
    for guess in (bytes(32), salts.versions[version]):
        with pytest.raises(SealError):
            await tried(FileKms({1: guess}, 1), 1, salts.versions[version])


def test_a_recovery_that_cannot_be_tried_says_why_in_one_line(world: World, tmp_path: Path) -> None:
    nothing = private_file(tmp_path / "export.json", '{"realm": "x"}')
    open_to_all = private_file(tmp_path / "open.json", '{"organizations": []}')
    open_to_all.chmod(0o644)
    for path, said in (
        (nothing, "holds no organizations"),
        (open_to_all, "others can read"),
        ("/nonexistent", "--salts"),
    ):
        done = world.run("recover", "--salts", str(path))
        assert done.returncode == 3
        assert said in done.stderr.splitlines()[-1]
        assert "Traceback" not in done.stderr
