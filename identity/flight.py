"""Fifty requests for the same are one piece of work: the first one asks, the others wait for its answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Result = TypeVar("Result")


class SingleFlight(Generic[Key, Result]):
    """Runs one piece of work per key at a time. One event loop only."""

    def __init__(self) -> None:
        self._running: dict[Key, asyncio.Task[Result]] = {}

    async def run(self, key: Key, work: Callable[[], Awaitable[Result]]) -> Result:
        """What `work` returns or raises, or what the work that runs for this key already does."""
        task = self._running.get(key)
        if task is None:
            task = asyncio.ensure_future(_started(work))
            self._running[key] = task
            task.add_done_callback(lambda done: self._landed(key, done))
        # Shielded: the one who came first may go away while others wait.
        return await asyncio.shield(task)

    async def close(self, *, patience: float = 0.0) -> None:
        """End what still runs, once it had `patience` seconds to land by itself."""
        if self._running and patience:
            await asyncio.wait(self._running.values(), timeout=patience)
        for task in self._running.values():
            task.cancel()
        if self._running:
            await asyncio.wait(self._running.values())

    def _landed(self, key: Key, task: asyncio.Task[Result]) -> None:
        self._running.pop(key, None)
        if not task.cancelled():
            # Looked at once, so that an error that nobody waited for is not reported as never retrieved.
            task.exception()


async def _started(work: Callable[[], Awaitable[Result]]) -> Result:
    return await work()
