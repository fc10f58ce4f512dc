"""What tells the loop that there is something to do, and how long it sleeps otherwise."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final

from admin_sync.errors import AdminSyncError
from admin_sync.monitor.follow import Follower
from admin_sync.monitor.line import parsed
from admin_sync.repository import Repository

LOOK: Final = 1.0
"""Seconds between two looks at the head and at the audit file."""

REMOTE_LOOK: Final = 30.0
"""Seconds between two fetches where the head is at a remote."""

PAUSES: Final = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
"""Seconds before a turn that left something undone is made again, longer each time."""

_ARRIVALS: Final = frozenset(
    {"credential.registered", "register", "broker.login.first", "identity.linked", "verify_email", "update_profile"}
)
"""Events after which a grant that waited for its person may take effect."""


class Wake:
    """A bell with a note of which realms it was rung for. Any thread may ring it."""

    def __init__(self) -> None:
        self._rung = threading.Event()
        self._mutex = threading.Lock()
        self._realms: set[str] = set()

    def ring(self, realm: str | None = None) -> None:
        """Let the loop make a turn; for a realm, one that reads it."""
        with self._mutex:
            if realm is not None:
                self._realms.add(realm)
        self._rung.set()

    def wait(self, seconds: float) -> frozenset[str]:
        """Sleep until somebody rings or the time is over; the realms to be read."""
        self._rung.wait(max(0.0, seconds))
        with self._mutex:
            self._rung.clear()
            realms, self._realms = frozenset(self._realms), set()
        return realms


class Lookout(threading.Thread):
    """Rings when the head moves and when somebody registers a factor or arrives."""

    def __init__(
        self, repository: Repository, audit: Path, wake: Wake, stop: threading.Event, note: Callable[[str], None]
    ) -> None:
        super().__init__(name="lookout", daemon=True)
        self._repository = repository
        self._follower = Follower(audit)
        self._wake = wake
        self._stopping = stop
        self._note = note
        self._head: str | None = None
        self._problem: str | None = None
        self._passed = REMOTE_LOOK

    def run(self) -> None:
        """Look until the program ends. What fails is said once, and looked at again."""
        while not self._stopping.wait(LOOK):
            try:
                self._look()
                self._problem = None
            except (AdminSyncError, OSError) as problem:
                if str(problem) != self._problem:
                    self._problem = str(problem)
                    self._note(f"the lookout: {problem}")
        self._follower.close()

    def _look(self) -> None:
        for text in self._follower.new():
            line = parsed(text)
            if line is not None and line.success and line.event in _ARRIVALS:
                self._wake.ring(line.realm)
        self._passed += LOOK
        if self._repository.settings.remote is not None and self._passed < REMOTE_LOOK:
            return
        self._passed = 0.0
        head = self._repository.head()
        if self._head is not None and head != self._head:
            self._wake.ring()
        self._head = head


def sleep(*, failures: int, ends: datetime | None, now: datetime, every: float) -> float:
    """Seconds until the next turn if nobody rings: at the next end, or earlier to try again what failed."""
    until = every if ends is None else min(every, max(0.0, (ends - now).total_seconds()) + 0.05)
    return min(until, PAUSES[min(failures, len(PAUSES)) - 1]) if failures else until
