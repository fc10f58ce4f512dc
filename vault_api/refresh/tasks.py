"""The worker's tasks that keep connections alive."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from identity.audit.event import AuditEvent
from vault_api.metrics import Metrics
from vault_api.refresh.refresher import ACTOR, Refresher
from vault_api.refresh.repository import RefreshRepository
from vault_api.store.database import DatabaseUnavailable
from vault_api.trail.record import Trail
from vault_api.worker.claims import Claims

AT_ONCE = 10
"""Refreshes that one worker has under way; a claim is taken only when it can be worked on at once."""

RELINK_WARNING = timedelta(days=1)


class RefreshDue:
    """Task: every token whose time has come."""

    name = "refresh"
    every = 1.0

    def __init__(self, claims: Claims, refresher: Refresher, repository: RefreshRepository, metrics: Metrics) -> None:
        self._claims = claims
        self._refresher = refresher
        self._repository = repository
        self._metrics = metrics

    async def run_once(self) -> None:
        """Refreshes until nothing is due. Raises DatabaseUnavailable."""
        await self._refresh_all()
        try:
            census = await self._repository.census()
        except DatabaseUnavailable:
            return
        self._metrics.refresh_overdue.set(census.oldest_overdue_seconds)
        self._metrics.refresh_failing.set(census.failing)
        self._metrics.circuits_open.set(census.circuits_open)

    async def _refresh_all(self) -> None:
        running: set[asyncio.Task[str]] = set()
        try:
            while True:
                # Whoever is through makes room at once: a slow broker holds up its own connections and no others.
                claimed = await self._claims.due("refresh", limit=AT_ONCE - len(running))
                running |= {asyncio.create_task(self._refresher.refresh(claim)) for claim in claimed}
                if not running:
                    return
                full = len(running) == AT_ONCE
                done, running = await asyncio.wait(
                    running, timeout=None if full else self.every, return_when=asyncio.FIRST_COMPLETED
                )
                for each in done:
                    each.result()
        finally:
            # What was sent goes on all the same (`Refresher.refresh`); only nobody waits for it here.
            for each in running:
                each.cancel()


class RelinkDue:
    """Task: brokers that want the person again every so often, told of in time and ended when it is over."""

    name = "relink"
    every = 30.0

    def __init__(self, claims: Claims, repository: RefreshRepository, trail: Trail) -> None:
        self._claims = claims
        self._repository = repository
        self._trail = trail

    async def run_once(self) -> None:
        """Looks after everything that is due. Raises DatabaseUnavailable."""
        for claim in await self._claims.due("relink", limit=100):
            event = AuditEvent(
                event="connection.relink",
                outcome="failure",
                actor=ACTOR,
                partner=claim.partner,
                action="connection:relink",
                resource=f"partners/{claim.partner}/connections/{claim.connection}",
            )
            due = await self._repository.relink(claim, RELINK_WARNING, self._trail.line(event))
            await self._claims.give_back(claim, due=due, attempts=0)
