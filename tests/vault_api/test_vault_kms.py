"""The file provider's own rules, and no start without a KMS; the contract is in test_vault_kms_contract.py."""

from __future__ import annotations

import base64
import os
import stat
from pathlib import Path

import pytest
from vault_world import World, private_file

from vault_api.kms import KmsRefused, KmsUnavailable
from vault_api.kms.file import FileKms, create_root_key_file
from vault_api.kms.seam import KmsHealth, self_test


class Broken:
    """A provider that answers wrongly in a given way."""

    current_version = 1

    def __init__(self, answer: object) -> None:
        self._answer = answer

    async def mac(self, key_version: int, message: bytes) -> bytes:
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer(message) if callable(self._answer) else os.urandom(32)

    async def look(self) -> None:
        """It is there."""

    async def health(self) -> KmsHealth:
        return KmsHealth(True, "broken", 1)

    async def close(self) -> None:
        """Nothing is open."""


@pytest.mark.parametrize(
    "answer", [lambda _: b"short", lambda _: bytes(32), None, KmsRefused("never")],
    ids=["short", "the same for every message", "another every time", "refused"],
)  # fmt: skip
async def test_a_provider_that_does_not_mac_is_refused_at_start(answer: object) -> None:
    with pytest.raises(KmsRefused):
        await self_test(Broken(answer))


async def test_a_provider_that_only_is_away_may_be_waited_for() -> None:
    with pytest.raises(KmsUnavailable):
        await self_test(Broken(KmsUnavailable("away")))


async def test_a_root_key_file_that_was_replaced_is_read_again_unless_it_lost_a_key(tmp_path: Path) -> None:
    path = tmp_path / "root.json"
    create_root_key_file(path)
    older, operator = FileKms.from_file(path), FileKms.from_file(path)
    before = await older.mac(1, b"message")
    assert await operator.add_version() == 2
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600  # noqa: PTH116
    assert os.listdir(tmp_path) == ["root.json"]  # noqa: PTH208
    assert (await older.health()).current_version == 2
    assert await older.mac(1, b"message") == before
    path.unlink()
    assert (await older.health()).ok is False
    create_root_key_file(path)
    assert "lacks a root key" in (await older.health()).detail
    assert await older.mac(1, b"message") == before


def test_the_root_key_file_is_made_private_and_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "root.json"
    create_root_key_file(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.read_bytes()
    with pytest.raises(KmsRefused, match="left alone"):
        create_root_key_file(path)
    assert path.read_bytes() == before


GOOD = base64.b64encode(bytes(range(32))).decode()


@pytest.mark.parametrize(
    "content",
    [
        "", "{}", "[]", "not json", '{"versions": {}, "current": 1}', '{"versions": {"1": 7}, "current": 1}',
        f'{{"versions": {{"1": "{GOOD}"}}, "current": 2}}', f'{{"versions": {{"1": "{GOOD}"}}, "current": true}}',
        f'{{"versions": {{"1": "{GOOD}"}}, "current": "1"}}', f'{{"versions": {{"0": "{GOOD}"}}, "current": 0}}',
        f'{{"versions": {{"1": "{GOOD}", "1": "{GOOD}"}}, "current": 1}}',
        f'{{"versions": {{"1": "{base64.b64encode(bytes(31)).decode()}"}}, "current": 1}}',
        f'{{"versions": {{"1": "{base64.b64encode(bytes(33)).decode()}"}}, "current": 1}}',
    ],
)  # fmt: skip
def test_a_root_key_file_that_is_not_exactly_right_is_refused(content: str, tmp_path: Path) -> None:
    path = private_file(tmp_path / "root.json", content)
    with pytest.raises(KmsRefused) as refusal:
        FileKms.from_file(path)
    assert GOOD not in str(refusal.value)


def test_a_root_key_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "root.json"
    create_root_key_file(path)
    path.chmod(0o640)
    with pytest.raises(KmsRefused, match="others can read"):
        FileKms.from_file(path)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"VAULT_KMS": ""}, "no KMS is configured"),
        ({"VAULT_KMS": "nowhere"}, "no such provider"),
        ({"VAULT_KMS_FILE": "/nonexistent"}, "kms-init"),
        ({"VAULT_CLIENT_KEY_FILE": "/nonexistent"}, "VAULT_CLIENT_KEY_FILE"),
        ({"VAULT_DATABASE_URL": "postgresql://vault_app@127.0.0.1:1/vault"}, "PostgreSQL"),
        ({"VAULT_DATABASE_URL": "postgresql://vault_app:canary-word@127.0.0.1:1/vault"}, "must hold no password"),
        ({"VAULT_BIND": "8200"}, "VAULT_BIND"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_vault_that_cannot_do_its_work_does_not_start_and_says_why_in_one_line(
    setting: dict[str, str], said: str, world: World
) -> None:
    done = world.run("serve", **{"VAULT_BIND": "127.0.0.1:1", **setting})
    last = done.stderr.splitlines()[-1]
    assert done.returncode == 3
    assert last.startswith("vault-api: ")
    assert said in last
    assert "Traceback" not in done.stderr
    assert "canary-word" not in done.stderr


@pytest.mark.parametrize(
    "url", ["postgresql://vault_owner@127.0.0.1:1/vault", None], ids=["nobody there", "not let in"]
)
def test_a_migration_that_cannot_begin_says_so_in_one_line(url: str | None, world: World, tmp_path: Path) -> None:
    wrong = private_file(tmp_path / "password", "wrong-canary-word")
    setting = {} if url is None else {"VAULT_OWNER_DATABASE_URL": url}
    done = world.run("migrate", VAULT_OWNER_DATABASE_PASSWORD_FILE=str(wrong), **setting)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("vault-api: the database did not do its part")
    assert "Traceback" not in done.stderr
    assert "wrong-canary-word" not in done.stderr
