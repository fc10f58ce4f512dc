"""What a session borrowed ends with it: the vault is told of a logout, for about two minutes until it says yes.

Without an answer the leases still end by themselves; until then they are what a logout should have
taken away, so a failure is counted, and one that lasts is an audit line.
"""

from __future__ import annotations

from collections.abc import Mapping

import httpx
import orjson

from identity.outbound import OutboundError, exchange
from identity.service_token import ServiceToken
from identity.trace import outgoing_headers
from session_broker.access import INTERNAL
from session_broker.errands import Errands
from session_broker.metrics import Metrics
from session_broker.trail import Trail

_PATH = "/v1/leases/revocations"
_MAX_BYTES = 65_536
_TIMEOUT = 10.0


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
        self.errands = Errands("leases.not_ended", metrics.lease_failures.inc)

    def end_soon(self, *, session: str | None, subject: str | None) -> None:
        """Have the leases of a session, or else of a subject, ended in the background."""
        whose: Mapping[str, str | None] = {"session": session} if session is not None else {"subject": subject}

        async def ask() -> None:
            await self._ask({**whose, "reason": "logout"})

        async def given_up() -> None:
            await self._trail.ended(
                INTERNAL, "failure", reason="leases_not_ended", session=session, subject=subject, ip=None
            )

        self.errands.run(ask, given_up, whose)

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
