"""A logout goes on to the applications behind the same client: Keycloak knows one address for each, and that is ours.

    logout token, verified and noted ─▶ the same token ─▶ every address that its client is given in the settings

They get the token itself and verify it themselves, so that who reaches their address without one ends nothing.
An application that is not told notices with its next refresh, minutes later; a failure is counted, and one that
lasts is an audit line.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode

import httpx

from identity.logout_token import LogoutToken
from identity.outbound import OutboundError, exchange
from identity.trace import outgoing_headers
from session_broker.access import INTERNAL
from session_broker.errands import Errands
from session_broker.metrics import Metrics
from session_broker.trail import Trail

_MAX_BYTES: Final = 65_536
_TIMEOUT: Final = 10.0


class Relays:
    """Where logouts go on to: by client of our realm, the addresses that take its logout tokens."""

    def __init__(
        self, http: httpx.AsyncClient, urls: Mapping[str, tuple[str, ...]], trail: Trail, metrics: Metrics
    ) -> None:
        self._http = http
        self._urls = urls
        self._trail = trail
        self.errands = Errands("logout.not_relayed", metrics.relay_failures.inc)

    def pass_on_soon(self, token: str, logout: LogoutToken) -> None:
        """Pass a token on in the background. One of another issuer than our realm goes nowhere."""
        if logout.provider != INTERNAL:
            return
        for url in self._urls.get(logout.client, ()):
            self._pass_on_soon(url, token, logout)

    def _pass_on_soon(self, url: str, token: str, logout: LogoutToken) -> None:
        async def tell() -> None:
            reply = await exchange(
                self._http,
                "POST",
                url,
                content=urlencode({"logout_token": token}).encode(),
                headers={"Content-Type": "application/x-www-form-urlencoded", **outgoing_headers()},
                max_bytes=_MAX_BYTES,
                timeout=_TIMEOUT,
            )
            if reply.status not in (200, 204):
                raise OutboundError(
                    f"{url} answered {reply.status}; see that it takes logout tokens of {logout.client}"
                )

        async def given_up() -> None:
            await self._trail.ended(
                INTERNAL, "failure", reason="not_relayed", session=logout.session, subject=logout.subject, ip=None
            )

        self.errands.run(tell, given_up, {"url": url, "session": logout.session})
