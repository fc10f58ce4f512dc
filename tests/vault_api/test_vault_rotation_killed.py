"""`kill -9` at every step of a rotation: nothing is lost, every row opens at any time, and a resume finishes."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress

import asyncpg
import pytest
from rotation_world import ROTATIONS, begin, census, many_rows, operator, release, store
from vault_world import CHECKOUT, VaultProcess, World

SOAK = int(os.environ.get("TRADEPULSE_SOAK", "1"))
KEYS = {"VAULT_KEY_SECONDS": "1"}


@pytest.fixture(scope="module")
def vault(start_vault: Callable[..., VaultProcess]) -> VaultProcess:
    return start_vault(**KEYS)


def killed(world: World, after: float) -> None:
    """A worker that is killed a moment after it began to work."""
    environment = world.environment(VAULT_WORKER_BIND="127.0.0.1:0", **KEYS, **world.rotator())
    with subprocess.Popen(
        [sys.executable, "-c", KILLED.format(after=after), "worker"], env=environment,
        cwd=CHECKOUT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=40)
        process.kill()
        assert process.wait() == -signal.SIGKILL


KILLED = """
import os, signal, sys
from vault_api.rotation import store, salt_writer
from vault_api import __main__ as program

left = {after}

def counted(holder, name):
    # Before and after each thing that a turn does to another holder: the process ends at the n-th of these moments.
    inner = getattr(holder, name)
    async def dies(*args, **kwargs):
        global left
        left -= 1
        if left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)
        answer = await inner(*args, **kwargs)
        left -= 1
        if left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer
    setattr(holder, name, dies)

for name in ("save", "write", "record"):
    counted(store.RotationStore, name)
for name in ("add", "make_current"):
    counted(salt_writer.SaltWriter, name)
sys.exit(program.main(["worker"]))
"""


async def test_killed_at_every_step_a_rotation_is_resumed_and_every_row_opens_all_the_time(
    world: World, vault: VaultProcess, superuser: asyncpg.Connection, partner: str
) -> None:
    store(vault, world, partner)
    await many_rows(world, superuser, partner, 700)
    for _ in range(SOAK):
        begun = begin(vault, world, partners=[partner], stages=["100%"]).json()
        step, state = 0, "running"
        while state == "running":
            step += 1
            assert step < 40
            await asyncio.to_thread(killed, world, 1 + step % 3)
            # Its claim would lapse after a minute; here nobody waits for that.
            await superuser.execute(
                "UPDATE vault.rotation_partner SET claimed_until = NULL WHERE rotation = $1", begun["id"]
            )
            for name in ("main", "many-000000", "many-000399", "many-000699"):
                assert release(vault, world, partner, name).status_code == 200
            assert sum((await census(superuser, partner)).values()) == 701
            found = vault.http.get(f"{ROTATIONS}/{begun['id']}", headers=operator(world)).json()
            state = found["state"]
            if all(row["state"] in ("done", "failed") for row in await superuser.fetch(
                "SELECT state FROM vault.rotation_partner WHERE rotation = $1", begun["id"]
            )):  # fmt: skip
                break
        assert step > 5
        counts = await census(superuser, partner)
        assert len(counts) == 1
        # Killed as often as that, there is one new salt and not one for each attempt.
        assert sorted(world.realm.salts[partner]) == ["vault.salt.1", "vault.salt.2", "vault.salt.current"]
