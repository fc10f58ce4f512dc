"""The daemon that owns the stack's long-running programs.

It is told what should run by `run/services.json` and says what does run in `run/state.json`; both are
replaced atomically. A program that ends on its own is started again, later each time, until it has
failed too often. SIGTERM stops everything, the database last. When the supervisor itself is killed,
the kernel ends its children (stack.process), and the next `make up` or `make down` looks for any that
are left.

It has one thread on purpose: Linux ties the signal that a child gets on its parent's death to the
thread that started the child.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from stack.files import Busy, locked, read_json, write_json
from stack.layout import Layout
from stack.process import MARK, Known, known, spawn
from stack.service import Service

TICK = 0.2
KEPT_LOGS = 3
BACKOFF = (0.5, 1.0, 2.0, 5.0, 10.0)
"""Seconds before the first, second, … restart; one more crash than this and we give up."""
STEADY = 60.0
"""Seconds after which a program that ran counts as recovered."""


@dataclass
class Child:
    """A service and its current process, if it has one."""

    service: Service
    process: subprocess.Popen[bytes] | None = None
    identity: Known | None = None
    crashes: int = 0
    started: float = 0.0
    retry_at: float = 0.0
    status: str = "starting"

    def facts(self) -> dict[str, Any]:
        """This child's entry in state.json."""
        identity = self.identity
        return {
            "status": self.status,
            "pid": identity.pid if identity else None,
            "started": identity.started if identity else None,
            "restarts": self.crashes,
            "url": self.service.url,
            "health": self.service.health,
        }


class Supervisor:
    """Runs what `services.json` of one layout asks for until told to stop."""

    def __init__(self, layout: Layout, owner: Known | None = None) -> None:
        self._layout = layout
        self._owner = owner
        self._children: dict[str, Child] = {}
        self._desired: dict[str, Any] = {}
        self._seen: tuple[int, int] | None = None
        self._stopping = False
        self._reported: dict[str, Any] = {}

    def stop(self, _number: int, _frame: FrameType | None) -> None:
        """Signal handler: leave the loop at the next tick."""
        self._stopping = True

    def loop(self, wake: int) -> None:
        """Run until told to stop; `wake` is a file descriptor that becomes readable on a signal."""
        self._report()
        while not self._stopping and (self._owner is None or self._owner.alive):
            self._follow()
            for child in self._children.values():
                self._tend(child)
            self._report()
            ready, _, _ = select.select([wake], [], [], TICK)
            if ready:
                os.read(wake, 1024)
        self._end(list(self._children.values()))
        self._children.clear()
        self._report()

    def _follow(self) -> None:
        """Take over a changed services.json: end what is gone or different, begin what is new."""
        path = self._layout.run / "services.json"
        try:
            facts = path.stat()
        except FileNotFoundError:
            return
        if self._seen == (facts.st_mtime_ns, facts.st_ino):
            return
        self._seen = (facts.st_mtime_ns, facts.st_ino)
        self._desired = read_json(path)
        wanted = {entry["name"]: Service.from_json(entry) for entry in self._desired["services"]}
        self._end([child for name, child in self._children.items() if wanted.get(name) != child.service])
        kept = {name: child for name, child in self._children.items() if wanted.get(name) == child.service}
        self._children = {name: kept.get(name) or Child(service) for name, service in wanted.items()}
        for child in self._children.values():
            if child.status == "failed":
                # Whoever writes the file again asks for another try.
                child.status, child.crashes, child.retry_at = "starting", 0, 0.0

    def _tend(self, child: Child) -> None:
        now = time.monotonic()
        if child.process is not None:
            code = child.process.poll()
            if code is None:
                if child.crashes and now - child.started > STEADY:
                    child.crashes = 0
                return
            self._log(f"{child.service.name} ended with {code}")
            # Workers of a program that was killed would keep its port. Its session is its own, as in `_await`.
            with suppress(ProcessLookupError):
                os.killpg(child.process.pid, signal.SIGKILL)
            child.process = child.identity = None
            self._failed_once(child, now)
        if child.status != "failed" and now >= child.retry_at:
            try:
                self._start(child)
            except OSError as problem:
                # A program or a secret that is not there (yet) counts like one that ends at once.
                self._log(f"{child.service.name} cannot start: {problem}")
                self._failed_once(child, now)

    def _failed_once(self, child: Child, now: float) -> None:
        if child.crashes >= len(BACKOFF):
            child.status = "failed"
            self._log(f"{child.service.name} failed {child.crashes + 1} times in a row: given up, see its log")
            return
        child.retry_at = now + BACKOFF[child.crashes]
        child.crashes += 1
        child.status = "waiting"

    def _start(self, child: Child) -> None:
        service = child.service
        log = self._layout.logs / f"{service.name}.log"
        if child.crashes == 0:
            rotate(log)
        environment = {**service.full_environment(), MARK: self._desired["mark"]}
        with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "wb") as output:
            child.process = spawn(
                service.command,
                account=service.account,
                environment=environment,
                cwd=Path(service.cwd),
                output=output,
                death=signal.Signals(service.death),
            )
        child.identity = known(child.process.pid)
        child.started = time.monotonic()
        child.status = "running"
        self._log(f"{service.name} started as {child.process.pid}")

    def _end(self, children: list[Child]) -> None:
        """End these: the ones that others depend on after all others."""
        for last in (False, True):
            group = [child for child in children if child.service.last is last and child.process is not None]
            for child in group:
                child.process.send_signal(child.service.stop)  # type: ignore[union-attr]
            for child in group:
                self._await(child)

    def _await(self, child: Child) -> None:
        process = child.process
        if process is None:
            return
        try:
            process.wait(child.service.stop_seconds)
        except subprocess.TimeoutExpired:
            self._log(f"{child.service.name} did not stop within {child.service.stop_seconds:.0f} s: killed")
            # Its session is its own, so this reaches its children and nobody else's.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        child.process = child.identity = None
        child.status = "stopped"

    def _report(self) -> None:
        me = known(os.getpid())
        state = {
            "supervisor": {"pid": os.getpid(), "started": me.started if me else None},
            "told": self._desired.get("told"),
            "mark": self._desired.get("mark"),
            "ports": self._desired.get("ports", {}),
            "urls": self._desired.get("urls", {}),
            "pids": {name: child.identity.pid for name, child in self._children.items() if child.identity},
            "services": {name: child.facts() for name, child in self._children.items()},
        }
        if state != self._reported:
            write_json(self._layout.run / "state.json", state)
            self._reported = state

    def _log(self, text: str) -> None:
        print(f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} {text}", flush=True)


def rotate(log: Path) -> None:
    """Move `log` to log.1, log.1 to log.2 and so on; the oldest is dropped."""
    for number in range(KEPT_LOGS, 0, -1):
        older = log.with_name(f"{log.name}.{number - 1}") if number > 1 else log
        if older.exists():
            older.replace(log.with_name(f"{log.name}.{number}"))


def main() -> int:
    """Be the supervisor of the layout that the environment names. Exits 1 if it has one already.

    The arguments, if any, are the pid and the start time of the process that the stack must not outlive.
    """
    layout = Layout.here()
    owner = Known(int(sys.argv[1]), int(sys.argv[2])) if len(sys.argv) == 3 else None
    read, write = os.pipe()
    os.set_blocking(write, False)
    supervisor = Supervisor(layout, owner)
    try:
        with locked(layout.supervisor_lock, wait=False):
            signal.set_wakeup_fd(write)
            signal.signal(signal.SIGTERM, supervisor.stop)
            signal.signal(signal.SIGINT, supervisor.stop)
            signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            supervisor.loop(read)
    except Busy:
        print("this stack has a supervisor already", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
