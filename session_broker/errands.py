"""What others have to be told after a logout was answered: tried in the background, for about two minutes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import structlog

from identity.audit.errors import AuditUnavailable
from identity.outbound import OutboundError
from identity.service_token import ServiceTokenUnavailable

_ATTEMPTS: Final = 8

_log = structlog.get_logger(__name__)


class Errands:
    """Errands of one kind; `name` is that of their line in the log where one fails, such as `leases.not_ended`.

    Each failed attempt is told to `failed`, for a metric.
    """

    def __init__(self, name: str, failed: Callable[[], None]) -> None:
        self._name = name
        self._failed = failed
        self.first_pause = 1.0
        """Seconds between the first two attempts; each pause after that is twice as long."""
        self.longest_pause = 30.0
        self._running: set[asyncio.Task[None]] = set()

    def run(
        self,
        attempt: Callable[[], Awaitable[None]],
        given_up: Callable[[], Awaitable[None]],
        about: Mapping[str, str | None],
    ) -> None:
        """Run one in the background until `attempt` raises no OutboundError and no ServiceTokenUnavailable.

        `given_up` then records that it never worked; `about` says in the log whom it was about.
        """
        task = asyncio.create_task(self._run(attempt, given_up, about))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def close(self) -> None:
        """Stop trying; what was not confirmed has a line in the log."""
        for task in self._running:
            task.cancel()
        if self._running:
            await asyncio.wait(self._running)

    async def _run(
        self,
        attempt: Callable[[], Awaitable[None]],
        given_up: Callable[[], Awaitable[None]],
        about: Mapping[str, str | None],
    ) -> None:
        try:
            if not await self._done(attempt):
                await given_up()
        except asyncio.CancelledError:
            _log.error(self._name, stopped=True, **about)
            raise
        except AuditUnavailable:
            _log.error(self._name, attempts=_ATTEMPTS, **about)

    async def _done(self, attempt: Callable[[], Awaitable[None]]) -> bool:
        pause = self.first_pause
        for number in range(1, _ATTEMPTS + 1):
            try:
                await attempt()
                return True
            except (OutboundError, ServiceTokenUnavailable) as error:
                self._failed()
                _log.warning(self._name, attempt=number, problem=str(error))
                await asyncio.sleep(pause)
                pause = min(2 * pause, self.longest_pause)
        return False
