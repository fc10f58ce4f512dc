"""What a session borrowed ends with it: the vault is told of a logout, for about two minutes until it says yes.

Without an answer the leases still end by themselves; until then they are what a logout should have
taken away, so a failure is counted, and one that lasts is an audit line.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import httpx
import orjson
import structlog

from identity.audit.errors import AuditUnavailable
from identity.outbound import OutboundError, exchange
from identity.service_token import ServiceToken, ServiceTokenUnavailable
from identity.trace import outgoing_headers
from session_broker.access import INTERNAL
from session_broker.metrics import Metrics
from session_broker.trail import Trail

_PATH = "/v1/leases/revocations"
_MAX_BYTES = 65_536
_ATTEMPTS = 8
_TIMEOUT = 10.0

_log = structlog.get_logger(__name__)


class _NotEnded(Exception):
    """The vault did not confirm within the attempts that there are."""


class Leases:
    """Asks the vault at `url`, as this service's own account, which needs `lease:revoke`."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        url: str,
        token: ServiceToken,
        trail: Trail,
        metrics: Metrics,
    ) -> None:
        self._http = http
        self._url = f"{url}{_PATH}"
        self._token = token
        self._trail = trail
        self._metrics = metrics
        self.first_pause = 1.0
        """Seconds between the first two attempts; each pause after that is twice as long."""
        self.longest_pause = 30.0
        self._running: set[asyncio.Task[None]] = set()

    def end_soon(self, *, session: str | None, subject: str | None) -> None:
        """Have the leases of a session, or else of a subject, ended in the background."""
        task = asyncio.create_task(self._end(session, subject))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def close(self) -> None:
        """Stop trying; what was not confirmed has a line in the log."""
        for task in self._running:
            task.cancel()
        if self._running:
            await asyncio.wait(self._running)

    async def _end(self, session: str | None, subject: str | None) -> None:
        whose: Mapping[str, str | None] = {"session": session} if session is not None else {"subject": subject}
        try:
            await self._tried(whose)
        except asyncio.CancelledError:
            _log.error("leases.not_ended", stopped=True, **whose)
            raise
        except _NotEnded:
            await self._given_up(session, subject)

    async def _tried(self, whose: Mapping[str, str | None]) -> None:
        """Raises _NotEnded."""
        pause = self.first_pause
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                await self._ask({**whose, "reason": "logout"})
                return
            except (OutboundError, ServiceTokenUnavailable) as error:
                self._metrics.lease_failures.inc()
                _log.warning("leases.not_ended", attempt=attempt, problem=str(error))
                await asyncio.sleep(pause)
                pause = min(2 * pause, self.longest_pause)
        raise _NotEnded

    async def _given_up(self, session: str | None, subject: str | None) -> None:
        try:
            await self._trail.ended(
                INTERNAL, "failure", reason="leases_not_ended", session=session, subject=subject, ip=None
            )
        except AuditUnavailable:
            _log.error("leases.not_ended", attempts=_ATTEMPTS, session=session)

    async def _ask(self, body: Mapping[str, str | None]) -> None:
        headers = {
            "Authorization": f"Bearer {await self._token.get()}",
            "Content-Type": "application/json",
            **outgoing_headers(),
        }
        reply = await exchange(
            self._http,
            "POST",
            self._url,
            content=orjson.dumps(body),
            headers=headers,
            max_bytes=_MAX_BYTES,
            timeout=_TIMEOUT,
        )
        if reply.status == 401:
            self._token.invalidate()
        if reply.status != 200:
            raise OutboundError(f"the vault answered {reply.status}; see that this service's account has lease:revoke")
