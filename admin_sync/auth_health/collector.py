"""The loop that feeds the figures: the audit file every few seconds, services' metrics every minute.

Of several processes that read one file the first to write counts it; the others find that somebody was there, and go
on from where that one is. What cannot be read is said on the dashboard and stops nothing else.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final

import httpx
import structlog

from admin_sync.access.store.database import BrokenRule, DatabaseUnavailable
from admin_sync.auth_health import lines, scraped
from admin_sync.auth_health.daily import DailyReport
from admin_sync.auth_health.figures import KEPT_DAYS, Count, Key, Level, step_of, summed
from admin_sync.auth_health.store import Figures
from admin_sync.monitor.follow import Follower, Position
from identity.outbound import OutboundError, exchange

Waiting = Callable[[], Awaitable[tuple[int, int, int]]]
"""Openings of emergency accounts: not closed, not reviewed, overdue."""

READ_SECONDS: Final = 5.0
_SCRAPE_SECONDS: Final = 60.0
_PRUNE_SECONDS: Final = 3600.0
_AT_ONCE: Final = 50_000
"""Lines of one turn."""
_MOST: Final = 8 * 1024 * 1024
_PATIENCE: Final = 5.0
_ASKED: Final = {"Accept": "text/plain"}
"""Keycloak gives its metrics to nobody who asks for another kind."""
_PROBLEM: Final = "does not answer"

_log = structlog.get_logger("admin_sync.auth_health")


class Collector:
    """Reads `audit` and the pages of metrics `pages` (address by name), about the services of one environment."""

    def __init__(
        self,
        figures: Figures,
        http: httpx.AsyncClient,
        *,
        audit: Path,
        pages: Mapping[str, str],
        environment: str,
        node: str,
        emergencies: Waiting,
        daily: DailyReport | None = None,
    ) -> None:
        self._figures = figures
        self._http = http
        self._audit = audit
        self._pages = pages
        self._environment = environment
        self._emergencies = emergencies
        self._daily = daily
        self._file = f"iam_events.jsonl of {node}"
        self._follower: Follower | None = None
        self._coming: Iterator[bytes] | None = None
        self._marks = lines.Marks()
        self._read_to: Mapping[str, Any] | None = None
        self._standing: dict[str, Mapping[tuple[str, str], float]] = {}

    async def run(self) -> None:
        """Until it is cancelled. What goes wrong is logged, and tried again in the next turn."""
        scraped_at = pruned_at = float("-inf")
        while True:
            with suppress(DatabaseUnavailable, BrokenRule):
                # The log has why the database does not answer.
                await self.catch_up()
                now = time.monotonic()
                if now - scraped_at >= _SCRAPE_SECONDS:
                    scraped_at = now
                    await self.look()
                if now - pruned_at >= _PRUNE_SECONDS:
                    await self._figures.prune(datetime.now(UTC))
                    if self._daily is not None:
                        await self._daily.written(datetime.now(UTC))
                    pruned_at = now
            await asyncio.sleep(READ_SECONDS)

    async def catch_up(self) -> None:
        """Counts everything that is in the audit file by now. Raises DatabaseUnavailable."""
        more = True
        while more:
            more = await self.read()

    async def read(self) -> bool:
        """Counts new lines of the audit file; whether there may be more of them. Raises DatabaseUnavailable."""
        if self._follower is None:
            source = await self._figures.source(self._file)
            self._read_to = None if source is None else source.position
            known = self._read_to or {}
            position = None if known.get("file") is None else Position(**known["file"])
            self._follower = Follower(self._audit, position, from_start=True)
            self._marks = lines.Marks(known.get("marks"))
        if self._coming is None:
            self._coming = self._follower.new()
        try:
            number, counts = await asyncio.to_thread(self._lines, self._coming, self._marks)
        except OSError as problem:
            _log.warning("auth_health.unread", source=self._file, problem=type(problem).__name__)
            self.close()
            await self._figures.missed(self._file, f"cannot be read ({type(problem).__name__})")
            return False
        if number < _AT_ONCE:
            self._coming = None
        if number == 0:
            return False
        position = self._follower.position
        reached = {"file": None if position is None else asdict(position), "marks": self._marks.record()}
        try:
            written = await self._figures.advance(self._file, reached, self._read_to, counts)
        except BaseException:
            # Nobody knows whether it was counted; the table does.
            self.close()
            raise
        if not written:
            self.close()
            return True
        self._read_to = reached
        return number == _AT_ONCE

    async def look(self) -> None:
        """Looks at every page of metrics, and at what the database says. Raises DatabaseUnavailable."""
        now = step_of(time.time())
        for name, url in self._pages.items():
            try:
                reply = await exchange(self._http, "GET", url, headers=_ASKED, max_bytes=_MOST, timeout=_PATIENCE)
                problem = None if reply.status == 200 else f"answers {reply.status}"
            except (OutboundError, httpx.InvalidURL):
                problem = _PROBLEM
            if problem is not None:
                await self._figures.missed(name, problem)
                continue
            found = await asyncio.to_thread(
                lambda text: list(scraped.samples(text)), reply.body.decode(errors="replace")
            )
            standing = scraped.totals(found)
            before, self._standing[name] = self._standing.get(name), standing
            added: list[tuple[Key, Count]] = []
            if before is not None:
                added = list(scraped.grown(before, standing, step=now, environment=self._environment))
            told = scraped.levels(found, step=now, environment=self._environment)
            await self._figures.note(name, summed(added), told)
        open_now, unreviewed, overdue = await self._emergencies()
        told = [
            Level(now, self._environment, series, float(value))
            for series, value in (
                ("emergencies.open", open_now),
                ("emergencies.unreviewed", unreviewed),
                ("emergencies.overdue", overdue),
            )
        ]
        await self._figures.note("requests and emergencies", {}, told)

    def close(self) -> None:
        """Lets go of the file; what was read and not counted is read again."""
        if self._follower is not None:
            self._follower.close()
        self._follower = self._coming = None

    @staticmethod
    def _lines(coming: Iterator[bytes], marks: lines.Marks) -> tuple[int, Mapping[Key, Count]]:
        texts = list(islice(coming, _AT_ONCE))
        since = int(time.time()) - KEPT_DAYS * 86_400
        return len(texts), summed(lines.counts(texts, marks, since=since))
