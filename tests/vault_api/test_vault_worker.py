"""The worker: tasks in their own rhythm, a failure that stays its own, and an orderly end."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import httpx
import pytest
from vault_world import CHECKOUT, World, unused_port

from vault_api.metrics import Metrics
from vault_api.worker.runner import Runner


class Recorded:
    """A task that says when it ran."""

    def __init__(self, name: str, every: float, act: Callable[[], None] = lambda: None) -> None:
        self.name = name
        self.every = every
        self.rounds = 0
        self.three = asyncio.Event()
        self._act = act

    async def run_once(self) -> None:
        self.rounds += 1
        if self.rounds >= 3:
            self.three.set()
        self._act()


def broken() -> None:
    raise RuntimeError("the other side is away")


async def test_a_task_that_always_fails_is_counted_and_disturbs_no_other() -> None:
    good, bad = Recorded("good", 0.001), Recorded("bad", 0.001, broken)
    metrics = Metrics()
    runner = Runner([bad, good], metrics, longest=0.002)
    runner.start()
    async with asyncio.timeout(20):
        await good.three.wait()
        await bad.three.wait()
    await runner.stop()
    assert runner.states["bad"].failures == bad.rounds >= 3
    assert runner.states["bad"].last_problem == "RuntimeError"
    assert runner.states["good"].failures == 0
    assert f'vault_task_rounds_total{{result="failed",task="bad"}} {bad.rounds}.0' in metrics.render().decode()


def test_failures_make_the_pauses_longer_up_to_a_bound_and_jitter_spreads_them() -> None:
    task = Recorded("slow", 10.0)
    middle = Runner([task], Metrics(), draw=lambda: 0.5)
    assert [middle.pause_after(task, failures) for failures in (0, 1, 2, 4, 5, 40)] == [10, 20, 40, 160, 300, 300]
    assert Runner([task], Metrics(), draw=lambda: 0.0).pause_after(task, 0) == pytest.approx(9.0)
    hourly = Recorded("hourly", 3600.0)
    assert Runner([hourly], Metrics(), draw=lambda: 0.5).pause_after(hourly, 3) == 3600


async def test_a_round_under_way_ends_before_the_worker_does_and_one_that_hangs_is_cancelled() -> None:
    ended: list[str] = []

    class Long:
        name, every = "long", 0.001

        def __init__(self, name: str, release: asyncio.Event) -> None:
            self.name = name
            self.begun = asyncio.Event()
            self._release = release

        async def run_once(self) -> None:
            self.begun.set()
            await self._release.wait()
            ended.append(self.name)

    release, never = asyncio.Event(), asyncio.Event()
    orderly, hung = Long("orderly", release), Long("hung", never)
    runner = Runner([orderly, hung], Metrics())
    runner.start()
    async with asyncio.timeout(20):
        await orderly.begun.wait()
        await hung.begun.wait()
        asyncio.get_running_loop().call_later(0.05, release.set)
        await runner.stop(grace=0.5)
    assert ended == ["orderly"]


async def test_two_tasks_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="same name"):
        Runner([Recorded("a", 1.0), Recorded("a", 1.0)], Metrics())


def test_the_worker_is_a_process_with_health_and_metrics_that_ends_in_order(world: World) -> None:
    port = unused_port()
    worker = subprocess.Popen(
        [sys.executable, "-m", "vault_api", "worker"],
        cwd=CHECKOUT,
        env=world.environment(VAULT_WORKER_BIND=f"127.0.0.1:{port}"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + 30
        while True:
            try:
                ready = httpx.get(f"{url}/health/ready", trust_env=False).json()
                if ready["status"] == "ready":
                    break
            except httpx.TransportError:
                pass
            assert time.monotonic() < until
            time.sleep(0.05)
        assert ready["failing"] == []
        assert "vault_task_rounds" in httpx.get(f"{url}/metrics", trust_env=False).text
        assert httpx.post(f"{url}/v1/partners/acme/connections", trust_env=False).status_code == 404
    finally:
        worker.send_signal(signal.SIGTERM)
        output, _ = worker.communicate(timeout=30)
    assert worker.returncode == 0, output
    assert b"Traceback" not in output
