"""`kill -9` at every step of a rotation: nothing is lost, every row opens at any time, and a resume finishes."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import warnings
from collections.abc import Callable
from typing import Any

import asyncpg
import pytest
from rotation_world import ROTATIONS, begin, census, many_rows, operator, release, store
from vault_world import VaultProcess, World

from vault_api.rotation.salt_writer import SaltWriter
from vault_api.rotation.store import RotationStore
from vault_api.rotation.task import RotationTask
from vault_api.settings import VaultSettings
from vault_api.vault import open_vault
from vault_api.worker.tasks import tasks_of

SOAK = int(os.environ.get("TRADEPULSE_SOAK", "1"))
KEYS = {"VAULT_KEY_SECONDS": "0.4"}


@pytest.fixture(scope="module")
def vault(start_vault: Callable[..., VaultProcess]) -> VaultProcess:
    return start_vault(**KEYS)


class Moments:
    """Counts the moments before and after each thing that a turn does to another holder, and ends at one of them."""

    def __init__(self, left: int) -> None:
        self.left = left

    def pass_one(self) -> None:
        self.left -= 1
        if self.left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(self, holder: type, name: str) -> None:
        inner = getattr(holder, name)

        async def watched(*args: Any, **kwargs: Any) -> Any:
            self.pass_one()
            answer = await inner(*args, **kwargs)
            self.pass_one()
            return answer

        setattr(holder, name, watched)


def work(environment: dict[str, str], moments: int) -> None:
    """A worker that rotates and is killed at that moment, or ends when there is nothing left to do."""
    os.environ.clear()
    os.environ.update(environment)
    counted = Moments(moments)
    for name in ("save", "write", "record"):
        counted.watch(RotationStore, name)
    for name in ("add", "make_current"):
        counted.watch(SaltWriter, name)

    async def rotate() -> None:
        async with open_vault(VaultSettings()) as opened:
            task = next(task for task in tasks_of(opened) if isinstance(task, RotationTask))
            while await task._store.running():
                await task.run_once()
                await asyncio.sleep(0.05)

    asyncio.run(rotate())
    os._exit(0)


def killed(world: World, moments: int) -> int:
    """Runs such a worker; its exit code."""
    environment = world.environment(**KEYS, **world.rotator())
    with warnings.catch_warnings():
        # A fork of a process with threads: the child begins anew with all that matters to it.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = multiprocessing.get_context("fork").Process(target=work, args=(environment, moments))
        child.start()
    child.join(timeout=60)
    assert child.exitcode is not None
    return child.exitcode


async def test_killed_at_every_step_a_rotation_is_resumed_and_every_row_opens_all_the_time(
    world: World, vault: VaultProcess, superuser: asyncpg.Connection, partner: str
) -> None:
    store(vault, world, partner)
    await many_rows(world, superuser, partner, 700)
    for round_ in range(SOAK):
        begun = begin(vault, world, partners=[partner], stages=["100%"]).json()
        kills, ended = 0, False
        while not ended:
            # One to five moments further each time: before, after and between all that a turn does.
            code = killed(world, 1 + (kills + round_) % 5)
            assert code in (0, -signal.SIGKILL)
            ended = code == 0
            kills += not ended
            assert kills < 60
            # The claim of the dead one would lapse after a minute; nobody waits for that here.
            await superuser.execute(
                "UPDATE vault.rotation_partner SET claimed_until = NULL WHERE rotation = $1", begun["id"]
            )
            for name in ("main", "many-000000", "many-000399", "many-000699"):
                assert release(vault, world, partner, name).status_code == 200
            assert sum((await census(superuser, partner)).values()) == 701
        found = vault.http.get(f"{ROTATIONS}/{begun['id']}", headers=operator(world)).json()
        assert (found["state"], found["trouble"]) == ("completed", [])
        assert kills >= 8
        # Killed as often as that, there is one new salt and not one for each attempt.
        assert await census(superuser, partner) == {round_ + 2: 701}
        assert world.realm.salts[partner]["vault.salt.current"] == [str(round_ + 2)]
        assert len(world.realm.salts[partner]) == round_ + 3
