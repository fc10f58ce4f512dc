"""Run after run until told to stop: a service that does what anybody can do by hand."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, start_http_server

from admin_sync.audit_reconcile.run import Outcome
from admin_sync.errors import AdminSyncError, Misconfigured
from admin_sync.keycloak.connection import KeycloakProblem
from admin_sync.lock import LockHeld

DEFAULT_LISTEN: Final = "127.0.0.1:8311"


class Tally:
    """What the service shows at /metrics."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._runs = Counter(
            "tradepulse_audit_reconcile_runs", "Runs by what came of them.", ["outcome"], registry=self.registry
        )
        self._missing = Counter(
            "tradepulse_audit_reconcile_missing", "Events that had no line.", registry=self.registry
        )
        self._newest = Gauge(
            "tradepulse_audit_reconcile_newest_seconds",
            "Unix time of the last run that found every event in the file, or put it there.",
            registry=self.registry,
        )
        for outcome in ("whole", "mended", "not_whole", "failed"):
            self._runs.labels(outcome)

    def ran(self, outcome: Outcome | None) -> None:
        """Count a run; None for one that failed."""
        if outcome is None:
            self._runs.labels("failed").inc()
            return
        self._runs.labels("not_whole" if not outcome.ok else "mended" if outcome.missing else "whole").inc()
        self._missing.inc(outcome.missing)
        if outcome.ok:
            self._newest.set(time.time())


def repeat(
    run: Callable[[], Outcome],
    every: float,
    listen: str,
    stop: threading.Event,
    note: Callable[[str], None],
) -> None:
    """A run now and one every so many seconds after the last ended, until `stop` is set.

    A run that fails is said, and the next one looks at what it did not. Raises Misconfigured and OSError where the
    address cannot be listened at.
    """
    host, _, port = listen.rpartition(":")
    if not host or not (port.isascii() and port.isdigit() and int(port) < 65536):
        raise Misconfigured("ADMIN_SYNC_AUDIT_LISTEN: write an address and a port, such as 127.0.0.1:8311")
    tally = Tally()
    if int(port):
        start_http_server(int(port), host, tally.registry)
        note(f"metrics are served at http://{host}:{port}/metrics")
    while not stop.is_set():
        try:
            tally.ran(run())
        except (AdminSyncError, KeycloakProblem, LockHeld, OSError) as problem:
            tally.ran(None)
            note(f"this run failed: {problem}")
        stop.wait(every)
