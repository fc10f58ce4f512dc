"""Steps that depend on each other, run side by side where they can, with a line and a time for each.

Every step is a function that returns a short remark (None for none). It starts when the steps it
needs are done. The first failure ends the other steps' commands and is the one that is reported.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

REMIND_AFTER = 10.0
"""Seconds without any news after which the steps still running are named."""


class StepFailed(Exception):
    """A step could not do its work; the text says what happened and the next step for a person."""


@dataclass(frozen=True)
class Step:
    """One thing to do, named for a person, after the steps it `needs`."""

    title: str
    action: Callable[[], str | None]
    needs: tuple[str, ...] = ()


class Commands:
    """Child processes of the steps: their output goes to log files, and all of them end when one step fails."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._ended = False

    def run(
        self,
        command: Sequence[str | Path],
        *,
        log: Path,
        environment: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        accept: Iterable[int] = (0,),
    ) -> int:
        """Run a command to its end. Raises StepFailed with the end of its log unless its exit code is accepted."""
        words = [str(word) for word in command]
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as output:
            with self._lock:
                if self._ended:
                    raise StepFailed("stopped because another step failed")
                child = subprocess.Popen(
                    words,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, **(environment or {})},
                    cwd=cwd,
                    start_new_session=True,
                )
                self._running.add(child)
            code = child.wait()
        with self._lock:
            self._running.discard(child)
        if code not in tuple(accept):
            tail = "\n".join(log.read_text(errors="replace").strip().splitlines()[-15:])
            raise StepFailed(f"{Path(words[0]).name} ended with {code}; the end of {log}:\n{tail}")
        return code

    def end(self) -> None:
        """End every command that still runs, with its children, and start no more."""
        with self._lock:
            self._ended = True
            for child in self._running:
                os.killpg(child.pid, signal.SIGTERM)


UNCHANGED = "unchanged"
"""The remark of a step that found its work done."""


def run(steps: Mapping[str, Step], commands: Commands, *, started: float | None = None, terse: bool = False) -> None:
    """Run all steps in an order that respects their needs; print a line for each. Raises StepFailed.

    started: time.monotonic() from which the left column counts
    terse:   say nothing of steps that had nothing to do
    """
    begin = time.monotonic() if started is None else started
    waiting = dict(steps)
    done: set[str] = set()
    running: dict[Future[str | None], tuple[str, float]] = {}
    failure: BaseException | None = None
    width = max(len(step.title) for step in steps.values())
    with ThreadPoolExecutor(max_workers=len(steps)) as pool:
        try:
            while running or (waiting and failure is None):
                for name in [name for name, step in waiting.items() if done.issuperset(step.needs)]:
                    if failure is None:
                        running[pool.submit(waiting.pop(name).action)] = (name, time.monotonic())
                if not running:
                    raise StepFailed(f"steps that need something nobody does: {', '.join(waiting)}")
                finished, _ = wait(running, timeout=REMIND_AFTER, return_when=FIRST_COMPLETED)
                now = time.monotonic()
                if not finished:
                    still = ", ".join(f"{steps[name].title} ({now - since:.0f} s)" for name, since in running.values())
                    say(f"{now - begin:6.1f} s  ... {still}")
                for future in finished:
                    name, since = running.pop(future)
                    problem = future.exception()
                    if problem is None:
                        done.add(name)
                        remark = f"  {future.result()}" if future.result() else ""
                        if terse and future.result() == UNCHANGED:
                            continue
                        say(f"{now - begin:6.1f} s  {steps[name].title:<{width}} {now - since:6.1f} s{remark}")
                    elif failure is None:
                        failure = problem
                        say(f"{now - begin:6.1f} s  {steps[name].title:<{width}} FAILED after {now - since:.1f} s")
                        commands.end()
        except BaseException:
            commands.end()
            raise
    if failure is not None:
        raise failure


def say(text: str) -> None:
    """One line for the person who waits."""
    print(text, flush=True, file=sys.stdout)
