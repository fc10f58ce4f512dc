"""A worker's refreshing in a process of its own that kills itself with SIGKILL at a named step.

    python refresh_child.py claimed | begun | sending | answered | committed
    python refresh_child.py obey          (survives: a round for every line it reads, and a line when it is done)

The step is where the process dies: after the claim, after the intent, before the broker is called, with
the broker's answer in hand, after the commit. Everything it runs is the product's own.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from identity import logs
from vault_api.refresh.tasks import RefreshDue
from vault_api.settings import VaultSettings
from vault_api.vault import open_vault


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def dying_after(call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    async def wrapped(*arguments: Any, **named: Any) -> Any:
        await call(*arguments, **named)
        die()

    return wrapped


async def main(step: str) -> None:
    async with open_vault(VaultSettings()) as vault:
        task = next(one for one in vault.brokers.tasks if isinstance(one, RefreshDue))
        refresher = task._refresher
        if step == "claimed":
            task._claims.due = dying_after(task._claims.due)
        for name, owner, method in (
            ("begun", refresher._repository, "begin"),
            ("sending", refresher._repository, "sending"),
            ("answered", refresher._client, "refresh"),
            ("committed", refresher._repository, "commit"),
        ):
            if step == name:
                setattr(owner, method, dying_after(getattr(owner, method)))
        if step != "obey":
            await task.run_once()
            return
        while await asyncio.to_thread(sys.stdin.readline):
            await task.run_once()
            print("done", flush=True)


if __name__ == "__main__":
    # What it says belongs on stderr: stdout is its answer.
    logs.configure("refresh-child")
    asyncio.run(main(sys.argv[1]))
