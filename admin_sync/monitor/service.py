"""The loop: read what is new, detect, write down, deliver."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from prometheus_client import start_http_server

from admin_sync.monitor import state as kept
from admin_sync.monitor.alert import Alert, raised
from admin_sync.monitor.deliver import Delivery
from admin_sync.monitor.detect import Limits, detect
from admin_sync.monitor.follow import Follower
from admin_sync.monitor.line import Line, parsed
from admin_sync.monitor.settings import MonitorSettings
from admin_sync.monitor.state import State, Waiting
from admin_sync.monitor.tally import Tally

_EVERY: Final = 1.0
"""Seconds between two looks at the file."""

_AT_ONCE: Final = 5_000
"""Lines after which the state is written, so that a long way to catch up is not walked twice."""


_MOST_WAITING: Final = 10_000
"""Alerts that wait for their receiver at most."""


class Monitor:
    """One monitor over one audit file. Use it under `state.held`.

    `show` gets every alert once, `note` lines for whoever runs it.
    """

    def __init__(
        self,
        path: Path,
        settings: MonitorSettings,
        limits: Limits,
        show: Callable[[Alert], None],
        note: Callable[[str], None],
        *,
        from_start: bool = False,
    ) -> None:
        """Raises Misconfigured where the state cannot be read."""
        found = kept.load(settings.state_dir)
        self.state = State() if found is None else found
        self.tally = Tally()
        self._settings = settings
        self._limits = limits
        self._show = show
        self._note = note
        self._fresh = found is None
        newest = max((at for _, at in self.state.heads.values()), default=0.0)
        # Whoever has seen lines goes on, also where there was no file when it was stopped.
        self._follower = Follower(path, self.state.position, from_start=from_start or bool(newest), seen=newest)
        self._lost = 0
        self._delivery = Delivery(settings, self.state, note)

    def run(self, stop: threading.Event) -> None:
        """Go on until `stop` is set. Raises OSError."""
        if self._settings.port:
            start_http_server(self._settings.port, self._settings.host, self.tally.registry)
            self._note(f"metrics are served at http://{self._settings.host}:{self._settings.port}/metrics")
        while not stop.is_set():
            self.once()
            stop.wait(_EVERY)
        self._follower.close()

    def once(self) -> None:
        """Read what is there and deliver what is due. Raises OSError."""
        before = self._follower.position
        read = 0
        for text in self._follower.new():
            self._line(text)
            read += 1
            if read % _AT_ONCE == 0:
                self._save()
        if self._follower.lost > self._lost:
            self._lost = self._follower.lost
            self._note("the file that was being read is gone: lines between then and the oldest there is were not seen")
        if read or self._fresh or self._follower.position != before:
            self._save()
            self._fresh = False
        if self._delivery.round():
            self._save()
        self.tally.waiting.set(len(self.state.outbox))

    def _line(self, text: bytes) -> None:
        line = parsed(text)
        if line is None:
            self.tally.unreadable.inc()
            return
        alerts = self._place(line)
        if alerts is None:
            return
        self.tally.line(line)
        for alert in (*alerts, *detect(line, self.state.memory, self._limits)):
            self.tally.alert(alert)
            self._show(alert)
            if self._settings.webhook is not None:
                self._post(alert)

    def _post(self, alert: Alert) -> None:
        outbox = self.state.outbox
        outbox[alert.id] = Waiting(alert)
        if len(outbox) > _MOST_WAITING:
            # Whoever can cause alerts must not fill memory and disk while nobody takes them; nor push out what counts.
            lesser = (one for one, waits in outbox.items() if waits.alert.severity != "critical")
            gone = outbox.pop(next(lesser, next(iter(outbox))))
            self.state.given_up += 1
            self._note(f"alert {gone.alert.id} ({gone.alert.kind}) is given up: {_MOST_WAITING} others are waiting")

    def _place(self, line: Line) -> list[Alert] | None:
        """What is wrong with a line's place in its chain; None for a copy of one that was seen."""
        chain, at = f"{line.source}/{line.node}", line.time.timestamp()
        last, then = self.state.heads.get(chain, (line.seq - 1, at))
        if line.seq <= last and at <= then:
            # A file that was emptied in place after it was copied, or put back.
            return None
        self.state.heads[chain] = (line.seq, at)
        if line.seq <= last:
            what = f"the chain {chain} goes on with number {line.seq} after number {last}: it was begun anew or cut off"
            return [raised(line, "audit.chain_restarted", "critical", what, after=last)]
        missing = line.seq - last - 1
        if not missing:
            return []
        self.tally.missing.labels(line.source).inc(missing)
        what = f"{missing} lines of the chain {chain} before number {line.seq} are not in the audit file"
        return [raised(line, "audit.lines_missing", "critical", what, missing=missing)]

    def _save(self) -> None:
        self.state.position = self._follower.position
        if self.state.given_up:
            self.tally.given_up.inc(max(0.0, self.state.given_up - self.tally.given_up._value.get()))
        kept.save(self._settings.state_dir, self.state)
