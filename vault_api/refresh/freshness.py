"""What a release waits for when its token is near the end: one refresh for all who wait, in all processes.

Within a process the callers share one flight; between processes a claim on the schedule decides who
flies, and the others look until the version has moved on.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta

from vault_api.refresh.refresher import Refresher
from vault_api.refresh.repository import RefreshRepository
from vault_api.worker.claims import Claim, Claims

WAIT = 10.0
"""Seconds that a release waits for a refresh, its own or somebody else's, before it makes do with what there is."""

_LOOK = 0.1
_PUT_OFF = timedelta(seconds=5)


class ReleaseFreshness:
    """Refreshes before a release."""

    def __init__(self, claims: Claims, repository: RefreshRepository, refresher: Refresher) -> None:
        self._claims = claims
        self._repository = repository
        self._refresher = refresher
        self._flights: dict[tuple[str, str, int], asyncio.Task[bool]] = {}

    async def freshen(self, partner: str, connection: str, version: int) -> bool:
        """Returns when that version was refreshed, or when a release is to make do; see `connections.service`.

        Raises DatabaseUnavailable.
        """
        key = (partner, connection, version)
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = asyncio.create_task(self._fly(partner, connection, version))
            flight.add_done_callback(lambda _: self._flights.pop(key, None))
        return await asyncio.shield(flight)

    async def _fly(self, partner: str, connection: str, version: int) -> bool:
        until = time.monotonic() + WAIT
        while True:
            outcome, claim = await self._claims.of(partner, connection, version)
            if claim is not None:
                return await self._refreshed(claim, until)
            if outcome == "done":
                return True
            if outcome in ("none", "later") or time.monotonic() > until:
                await self._repository.put_off(partner, connection, datetime.now(UTC) + _PUT_OFF)
                return outcome != "none"
            await asyncio.sleep(_LOOK)

    async def _refreshed(self, claim: Claim, until: float) -> bool:
        try:
            async with asyncio.timeout(until - time.monotonic()):
                outcome = await self._refresher.refresh(claim, early=False)
        except TimeoutError:
            # It goes on by itself; what there is may still be good, and nobody waits longer for it than for others'.
            await self._repository.put_off(claim.partner, claim.connection, datetime.now(UTC) + _PUT_OFF)
            return True
        return outcome not in ("reconnect_needed", "gone", "needless")
