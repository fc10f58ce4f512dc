"""Refused tokens in the trail: a line each, until there are more than anybody sends by mistake.

Whoever sends a bad token needs no login, so without a bound anybody who reaches the port could fill
the database and the audit file. What is beyond the bound is counted, and the count is a line.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

import structlog

from identity.audit.errors import AuditUnavailable
from identity.audit.event import AuditEvent

_log = structlog.get_logger(__name__)


class Recorder(Protocol):
    """What writes an event down; the trail of a service."""

    async def record(self, event: AuditEvent) -> None:
        """Raises AuditUnavailable."""


class RejectedTokens:
    """Records refused tokens, one line each up to a rate, and one line for all the others of a while.

    counted:    called for each one that gets no line of its own; a metric
    burst:      how many get a line each at once, after a quiet time
    per_second: how many more of them for each second
    every:      seconds that one summary speaks for at least
    clock:      seconds that never go back

    One instance serves one process and one event loop.
    """

    def __init__(
        self,
        trail: Recorder,
        counted: Callable[[], object],
        *,
        burst: int = 50,
        per_second: float = 10.0,
        every: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._trail = trail
        self._counted = counted
        self._burst = burst
        self._per_second = per_second
        self._every = every
        self._clock = clock
        self._tokens = float(burst)
        self._filled_at = clock()
        # Refused tokens that no line speaks of yet, and since when there are any.
        self._unsaid = 0
        self._since = 0.0

    async def record(self, event: AuditEvent) -> None:
        """Writes the event down, or counts it. Raises AuditUnavailable when this was its turn to write."""
        now = self._clock()
        alone = self._take(now)
        if not alone:
            self._counted()
            if self._unsaid == 0:
                self._since = now
            self._unsaid += 1
        if self._unsaid and now - self._since >= self._every:
            await self._summarise()
        if alone:
            await self._trail.record(event)

    async def close(self) -> None:
        """Writes down what was only counted so far, at an orderly end."""
        if self._unsaid:
            try:
                await self._summarise()
            except AuditUnavailable:
                _log.error("audit.summary_lost", count=self._unsaid)

    def _take(self, now: float) -> bool:
        self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._per_second)
        self._filled_at = now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True

    async def _summarise(self) -> None:
        # Taken before the wait: those who come meanwhile belong into the next summary.
        count, self._unsaid = self._unsaid, 0
        try:
            await self._trail.record(
                AuditEvent(event="token.rejected.summary", outcome="denied", reason=f"rate_limited:{count}")
            )
        except BaseException:
            # Not lost, and not tried again by every request of the flood: the next attempt is a summary later.
            self._unsaid += count
            self._since = self._clock()
            raise
