"""Delivering alerts by webhook, after the Standard Webhooks specification."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import httpx

from admin_sync.errors import Misconfigured
from admin_sync.monitor.settings import MonitorSettings
from admin_sync.monitor.state import State, Waiting
from identity.outbound import OutboundError, client, exchange
from identity.webhook import headers

_SECONDS = 10.0
_LONGEST_PAUSE = 300.0
_GIVE_UP_AFTER = 2 * 86_400.0
_IN_A_ROUND = 20
_GONE = 410
"""How a receiver says that it takes no more."""


class Delivery:
    """Sends what is in the outbox of a state. `note` is told of what failed, without the address."""

    def __init__(self, settings: MonitorSettings, state: State, note: Callable[[str], None]) -> None:
        self._settings = settings
        self._state = state
        self._note = note

    def round(self, *, now: float | None = None) -> bool:
        """Try what is due, oldest first; whether anything of the state changed."""
        now = time.time() if now is None else now
        # No pause is longer than the longest: what is due later than that was put off by a clock that was set back.
        due = [one for one in self._state.outbox.values() if not now < one.due <= now + _LONGEST_PAUSE][:_IN_A_ROUND]
        if not due or self._settings.webhook is None:
            return False
        asyncio.run(self._all(due, self._settings.webhook, now))
        return True

    async def _all(self, due: list[Waiting], url: str, now: float) -> None:
        async with client(timeout=_SECONDS, max_connections=1) as http:
            for one in due:
                reason, final = await self._once(http, url, one)
                one.since = one.since or now
                if reason is None:
                    del self._state.outbox[one.alert.id]
                    self._state.delivered += 1
                    continue
                if final or now - one.since > _GIVE_UP_AFTER:
                    del self._state.outbox[one.alert.id]
                    self._state.given_up += 1
                    self._note(f"alert {one.alert.id} ({one.alert.kind}) is given up: {reason}")
                    continue
                one.attempts += 1
                one.due = now + min(2.0**one.attempts, _LONGEST_PAUSE)
                self._note(f"alert {one.alert.id} ({one.alert.kind}) is not delivered yet: {reason}")
                # Last from now on: if it is this one that is not taken, the others must not wait behind it.
                self._state.outbox[one.alert.id] = self._state.outbox.pop(one.alert.id)
                # A receiver that does not answer is not asked with every alert.
                for other in due[due.index(one) + 1 :]:
                    other.due = max(other.due, one.due)
                return

    async def _once(self, http: httpx.AsyncClient, url: str, waiting: Waiting) -> tuple[str | None, bool]:
        """Why it was not taken (None: it was), and whether asking again is of no use."""
        content = waiting.alert.body()
        try:
            signed = headers(self._settings.secret(), f"msg_{waiting.alert.id}", int(time.time()), content)
            reply = await exchange(
                http,
                "POST",
                url,
                content=content,
                headers={"Content-Type": "application/json", **signed},
                max_bytes=65_536,
                timeout=_SECONDS,
            )
        except Misconfigured as problem:
            return str(problem), False
        except OutboundError as problem:
            return f"the receiver gave no answer ({problem.kind or 'late or unusable'})", False
        if 200 <= reply.status < 300:
            return None, False
        return f"the receiver answered {reply.status}", reply.status == _GONE
