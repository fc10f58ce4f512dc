"""What the monitor counts, for Prometheus. Labels come from fixed sets and from the realms that there are."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

from admin_sync.measures.sessions import HARDWARE, SECOND
from admin_sync.monitor.alert import KINDS, SEVERITIES, Alert
from admin_sync.monitor.detect import FACTORS, failed_factor
from admin_sync.monitor.line import Line

_SESSIONS: Final = 50_000
"""Sessions remembered, so that a step-up does not count as another session."""


class Tally:
    """The counters of one monitor, in a registry of their own. They start at zero with the process."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.lines = Counter("tradepulse_monitor_lines", "Audit lines read.", registry=registry)
        self.unreadable = Counter(
            "tradepulse_monitor_unreadable_lines", "Whole lines that are no audit lines.", registry=registry
        )
        self.missing = Counter(
            "tradepulse_monitor_missing_lines", "Audit lines that a chain skips.", ("source",), registry=registry
        )
        self.newest = Gauge(
            "tradepulse_monitor_newest_line_seconds", "Unix time of the newest line read.", registry=registry
        )
        self.sessions = Counter(
            "tradepulse_interactive_sessions", "Sessions that somebody logged in to.", ("realm",), registry=registry
        )
        self.hardware = Counter(
            "tradepulse_interactive_sessions_hardware",
            "Of those, the ones that proved a hardware factor.",
            ("realm",),
            registry=registry,
        )
        self.second = Counter(
            "tradepulse_interactive_sessions_second_factor",
            "Of those, the ones that proved any second factor.",
            ("realm",),
            registry=registry,
        )
        self.failures = Counter(
            "tradepulse_mfa_failures", "Wrong second factors.", ("realm", "factor"), registry=registry
        )
        self.alerts = Counter("tradepulse_alerts", "Alerts raised.", ("kind", "severity"), registry=registry)
        # Prometheus sees no increase in a series that begins at one, and the first alert of a kind may be the only one.
        for kind in KINDS:
            for severity in SEVERITIES:
                self.alerts.labels(kind, severity)
        self.waiting = Gauge("tradepulse_alerts_undelivered", "Alerts not delivered yet.", registry=registry)
        self.given_up = Counter("tradepulse_alerts_given_up", "Alerts that nobody took.", registry=registry)
        self._seen: dict[str, set[str]] = {}

    def line(self, line: Line) -> None:
        """Count a line."""
        self.lines.inc()
        self.newest.set(max(line.time.timestamp(), self.newest._value.get()))
        if failed_factor(line):
            factor = line.about.get("credential_type", "")
            self.failures.labels(line.realm, factor if factor in FACTORS else "other").inc()
        if line.event == "login" and line.success and line.session:
            self._login(line, line.session)

    def alert(self, alert: Alert) -> None:
        """Count an alert."""
        self.alerts.labels(alert.kind, alert.severity).inc()

    def _login(self, line: Line, session: str) -> None:
        counted = self._seen.pop(session, None)
        if counted is None:
            counted = set()
            self.sessions.labels(line.realm).inc()
        for name, methods, counter in (("hardware", {HARDWARE}, self.hardware), ("second", SECOND, self.second)):
            if name not in counted and methods & set(line.amr):
                counted.add(name)
                counter.labels(line.realm).inc()
        self._seen[session] = counted
        if len(self._seen) > _SESSIONS:
            del self._seen[next(iter(self._seen))]
