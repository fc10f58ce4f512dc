"""The phases of the move, and who knows which one it is now."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from enum import IntEnum

from vault_api.store.database import Database

BELIEVED_SECONDS = 0.5
"""For how long a process believes what it read."""


class Phase(IntEnum):
    """In their order; one step at a time, forward or back."""

    LEGACY = 0
    BOTH = 1
    NEW_PREFERRED = 2
    NEW_ONLY = 3

    @property
    def prefers_legacy(self) -> bool:
        """Which format a tie is read from."""
        return self <= Phase.BOTH

    @property
    def label(self) -> str:
        """As it is shown."""
        return self.name.lower()


class Phases:
    """The phase as the database has it, believed for a moment."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._clock = clock
        self._read_at = float("-inf")
        self._phase = Phase.LEGACY

    async def now(self, *, fresh: bool = False) -> Phase:
        """The phase. `fresh` believes nothing. Raises DatabaseUnavailable."""
        # The time before the question: the answer is at least that old.
        asked = self._clock()
        if fresh or asked - self._read_at >= BELIEVED_SECONDS:
            self._phase = (await self.state())[0]
            self._read_at = asked
        return self._phase

    async def state(self) -> tuple[Phase, datetime | None]:
        """The phase and since when; None if it has always been that one."""
        row = await self._database.row("SELECT phase, nullif(since, '-infinity') AS since FROM vault.legacy_phase")
        return Phase(row["phase"]), row["since"]
