"""How `make` talks to the supervisor: start it, tell it what should run, wait, stop it, clear up after a dead one."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from typing import Any

from stack import process
from stack.files import Busy, locked, read_json, write_json
from stack.layout import STATE_VARIABLE, Layout
from stack.process import Known
from stack.service import Service, healthy
from stack.steps import StepFailed

STOP_SECONDS = 60.0


def state(layout: Layout) -> dict[str, Any]:
    """What the supervisor said last; empty if there never was one."""
    return read_json(layout.run / "state.json")


def supervisor(layout: Layout) -> Known | None:
    """The living supervisor of this layout, None if there is none."""
    facts = state(layout).get("supervisor") or {}
    if facts.get("pid") is None or facts.get("started") is None:
        return None
    found = Known(facts["pid"], facts["started"])
    return found if found.alive else None


def ensure(layout: Layout, *, owner: Known | None = None) -> None:
    """Have a living supervisor, after ending whatever a dead one left behind. Raises StepFailed.

    A new one stops by itself when its `owner` is gone.
    """
    if supervisor(layout) is not None:
        return
    clear(layout)
    # What the last one was told is history: services start in the order in which they are told anew.
    (layout.run / "services.json").unlink(missing_ok=True)
    log = layout.logs / "supervisor.log"
    with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as output:
        child = subprocess.Popen(
            [sys.executable, "-m", "stack.supervisor", *([f"{owner.pid}", f"{owner.started}"] if owner else [])],
            cwd=layout.checkout,
            env={**os.environ, STATE_VARIABLE: str(layout.state)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    until = time.monotonic() + 10.0
    while (found := supervisor(layout)) is None or found.pid != child.pid:
        if child.poll() is not None or time.monotonic() > until:
            raise StepFailed(f"the supervisor did not start; see {log}")
        time.sleep(0.02)


def mark(layout: Layout) -> str:
    """The mark that this layout's processes carry, made once."""
    path = layout.run / "mark"
    if not path.exists():
        write_json(path, {"mark": secrets.token_hex(16)})
    return str(read_json(path)["mark"])


class Roster:
    """The services that the supervisor has been told to run; grows while the steps of `make up` go on."""

    def __init__(self, layout: Layout, *, ports: Mapping[str, int]) -> None:
        self._layout = layout
        self._ports = dict(ports)
        self._lock = threading.Lock()
        told = read_json(layout.run / "services.json").get("services", [])
        self._services = {entry["name"]: Service.from_json(entry) for entry in told}

    def start(self, service: Service, *, seconds: float) -> str | None:
        """Have `service` running as described and well. Raises StepFailed if it fails or takes longer than `seconds`.

        One that runs like that already is left alone.
        """
        with self._lock:
            unchanged = self._services.get(service.name) == service
            self._services[service.name] = service
            write_json(self._layout.run / "services.json", self._wanted())
        await_health(self._layout, service, seconds=seconds)
        return "running already" if unchanged else None

    def _wanted(self) -> dict[str, Any]:
        return {
            # The supervisor repeats this, so that whoever waits knows that it has read the file.
            "told": secrets.token_hex(8),
            "mark": mark(self._layout),
            "ports": self._ports,
            "urls": {name: service.url for name, service in self._services.items()},
            "services": [service.as_json() for service in self._services.values()],
        }


def await_health(layout: Layout, service: Service, *, seconds: float) -> None:
    """Return when `service` runs as described and is well. Raises StepFailed if it fails or takes longer."""
    until = time.monotonic() + seconds
    log = layout.logs / f"{service.name}.log"
    while True:
        # Another step may have told more meanwhile: what counts is that the newest is known.
        told = read_json(layout.run / "services.json").get("told")
        now = state(layout)
        facts = now.get("services", {}).get(service.name, {}) if now.get("told") == told else {}
        if facts.get("status") == "running" and healthy(service.health):
            return
        if supervisor(layout) is None:
            raise StepFailed(f"the supervisor is gone; see {layout.logs / 'supervisor.log'}")
        if facts.get("status") == "failed":
            tail = "\n".join(log.read_text(errors="replace").strip().splitlines()[-15:])
            raise StepFailed(f"{service.name} does not stay up; the end of {log}:\n{tail}")
        if time.monotonic() > until:
            raise StepFailed(f"{service.name} was not well after {seconds:.0f} s; see {log}")
        time.sleep(0.1)


def stop(layout: Layout) -> list[Known]:
    """Stop the supervisor and everything it runs. Returns what had to be killed because it did not stop in order."""
    found = supervisor(layout)
    if found is not None:
        process.end([found], seconds=STOP_SECONDS)
    return clear(layout)


def clear(layout: Layout) -> list[Known]:
    """End the processes of this layout that have no supervisor any more. Returns those that had to be killed."""
    try:
        # A supervisor that holds the lock but has not written its state yet is not dead.
        with locked(layout.supervisor_lock, wait=False):
            return process.end(_left_behind(layout), first=signal.SIGINT, seconds=10.0)
    except Busy:
        return []


def _left_behind(layout: Layout) -> set[Known]:
    """Children recorded in state.json that are still those, and all who carry this layout's mark."""
    entries = state(layout).get("services", {}).values()
    recorded = {Known(entry["pid"], entry["started"]) for entry in entries if entry.get("pid") and entry.get("started")}
    found = {child for child in recorded if child.alive}
    if (layout.run / "mark").exists():
        found.update(process.marked(mark(layout)))
    return found
