"""Runs tasks side by side; one that fails is tried again later and disturbs no other.

a share of `every` ─▶ run_once ─ fine ─▶ every, ± jitter
                          └─ failed ─▶ every · 2^failures (at most `longest`), ± jitter
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import structlog

from vault_api.metrics import Metrics
from vault_api.worker.task import Task

_log = structlog.get_logger("vault_api.worker")

_FIRST_WITHIN = 2.0
"""Seconds within which every task has its first round, whatever its rhythm."""


@dataclass(slots=True)
class TaskState:
    """How a task has been doing since the worker started."""

    name: str
    rounds: int = 0
    failures: int = 0
    """Failed rounds since the last good one."""
    last_problem: str | None = None
    succeeded_at: float | None = field(default=None, repr=False)
    running_since: float | None = field(default=None, repr=False)

    def facts(self) -> dict[str, object]:
        """This state as JSON values; times as seconds ago."""
        now = time.monotonic()
        return {
            "rounds": self.rounds,
            "failures_in_a_row": self.failures,
            "last_problem": self.last_problem,
            "seconds_since_success": None if self.succeeded_at is None else round(now - self.succeeded_at, 1),
            "running_for_seconds": None if self.running_since is None else round(now - self.running_since, 1),
        }


class Runner:
    """The tasks of one worker, between `start` and `stop`.

    jitter:  the share by which every pause is made longer or shorter, so that workers that started
             together do not stay together
    longest: seconds of the longest pause after failures, unless the task's own rhythm is slower
    draw:    numbers from [0, 1)
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        metrics: Metrics,
        *,
        jitter: float = 0.1,
        longest: float = 300.0,
        draw: Callable[[], float] = random.random,
    ) -> None:
        names = [task.name for task in tasks]
        if len(set(names)) != len(names):
            raise ValueError("two tasks have the same name")
        self._tasks = tasks
        self._metrics = metrics
        self._jitter = jitter
        self._longest = longest
        self._draw = draw
        self._stopping = asyncio.Event()
        self._loops: list[asyncio.Task[None]] = []
        self.states = {name: TaskState(name) for name in names}

    def start(self) -> None:
        """Begins every task's loop."""
        self._loops = [asyncio.create_task(self._loop(task), name=task.name) for task in self._tasks]

    async def stop(self, *, grace: float = 20.0) -> None:
        """Lets rounds that are under way end, for at most `grace` seconds, and then cancels them."""
        self._stopping.set()
        if not self._loops:
            return
        _, late = await asyncio.wait(self._loops, timeout=grace)
        for loop in late:
            _log.warning("task.cancelled", task=loop.get_name())
            loop.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    def pause_after(self, task: Task, failures: int) -> float:
        """Seconds to wait before the next round, after so many failures in a row."""
        longest = max(task.every, self._longest)
        pause = min(task.every * 2.0 ** min(failures, 30), longest)
        return pause * (1.0 + self._jitter * (2.0 * self._draw() - 1.0))

    async def _loop(self, task: Task) -> None:
        await self._rest(self._draw() * min(task.every, _FIRST_WITHIN))
        while not self._stopping.is_set():
            await self._round(task)
            await self._rest(self.pause_after(task, self.states[task.name].failures))

    async def _round(self, task: Task) -> None:
        state = self.states[task.name]
        state.running_since = started = time.monotonic()
        try:
            await task.run_once()
        except Exception as error:  # noqa: BLE001 - whatever a task raises, the other tasks and its own next round go on
            state.failures += 1
            state.last_problem = type(error).__name__
            _log.error("task.failed", task=task.name, failures=state.failures, exc_info=True)
            self._metrics.task_rounds.labels(task.name, "failed").inc()
        else:
            state.failures, state.last_problem = 0, None
            state.succeeded_at = time.monotonic()
            self._metrics.task_rounds.labels(task.name, "fine").inc()
        finally:
            state.rounds += 1
            state.running_since = None
            self._metrics.task_failing.labels(task.name).set(state.failures)
            self._metrics.task_seconds.labels(task.name).observe(time.monotonic() - started)

    async def _rest(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
