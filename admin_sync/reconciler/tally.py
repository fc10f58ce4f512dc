"""What the reconciler counts and whether it is ready, for Prometheus and for whoever starts it."""

from __future__ import annotations

import time
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from admin_sync.reconciler.applying import Outcome
from admin_sync.reconciler.report import Report

_SECONDS: Final = (0.5, 1, 2, 3, 5, 8, 13, 30, 60, 300, 3600)


class Tally:
    """The metrics of one reconciler, and what keeps it from being ready."""

    def __init__(self, *, every: float) -> None:
        self._every = every
        self._last: float | None = None
        self._problems: list[str] = []
        self.registry = registry = CollectorRegistry()
        self.turns = Counter("tradepulse_reconciler_turns", "Turns made.", ("outcome",), registry=registry)
        self.seconds = Histogram(
            "tradepulse_reconciler_turn_seconds", "How long a turn took.", buckets=_SECONDS, registry=registry
        )
        self.last = Gauge(
            "tradepulse_reconciler_last_turn_seconds", "Unix time at which the last turn ended.", registry=registry
        )
        self.failing = Gauge(
            "tradepulse_reconciler_problems", "What the last turn left to be tried again.", registry=registry
        )
        self.realms = Gauge(
            "tradepulse_reconciler_realm",
            "1 for how each realm stood when it was last read.",
            ("environment", "outcome"),
            registry=registry,
        )
        self.pending = Gauge(
            "tradepulse_reconciler_pending_grants",
            "Grants that wait for their person, when the realm was last read.",
            ("environment",),
            registry=registry,
        )
        self.granted = Counter("tradepulse_reconciler_grants", "Requests that became a commit.", registry=registry)
        self.fulfilled = Counter("tradepulse_reconciler_fulfilled", "Requests that took effect.", registry=registry)
        self.usable = Histogram(
            "tradepulse_reconciler_usable_seconds",
            "From the last approval, or the start that was asked for, to a grant in force.",
            buckets=_SECONDS,
            registry=registry,
        )

    def turn(self, report: Report) -> None:
        """Count a turn."""
        self._last = time.monotonic()
        self._problems = list(report.problems)
        self.turns.labels("well" if report.well else "refused" if report.refused else "failed").inc()
        self.seconds.observe(report.seconds)
        self.last.set(time.time())
        self.failing.set(len(report.problems))
        self.granted.inc(len(report.committed))
        self.fulfilled.inc(len(report.fulfilled))
        for waited in report.usable_after:
            self.usable.observe(waited)
        for one in report.realms:
            for outcome in Outcome:
                self.realms.labels(one.environment, outcome).set(one.outcome is outcome)
            if one.well:
                self.pending.labels(one.environment).set(len(one.pending))

    def missing(self) -> list[str]:
        """Why the reconciler is not ready; empty if it is."""
        if self._last is None:
            return ["the first turn has not ended"]
        if time.monotonic() - self._last > 2 * self._every + 60:
            return ["no turn has ended for a long time"]
        return self._problems
