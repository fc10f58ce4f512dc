"""An issuer's public keys, fetched rarely and kept through its outages (RFC 7517).

- Keys are refetched in the background of a request once they are `refresh` seconds old; if that
  fails, the old ones serve until they are `max_age` seconds old. After that there is no answer
  about any token: `KeysUnavailable` (503), never open and never 401.
- A key id that we do not know refetches at once, because keys rotate, but at most once per
  `cooldown`, because key ids are the caller's choice. Fetches are shared by all who wait.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping

import httpx
import structlog

from identity.key_set import MAX_BYTES, SigningKey, parse_key_set
from identity.outbound import OutboundError, exchange
from identity.reject import RejectReason, TokenRejected
from identity.strict_json import StrictJsonError

_log = structlog.get_logger(__name__)


class KeysUnavailable(Exception):
    """No keys that may still be trusted. `retry_after` is in seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__("the issuer's keys cannot be had; see that the identity provider answers")
        self.retry_after = retry_after


class JwksCache:
    """The keys behind one JWKS URL.

    `max_age`, `cooldown` and `refresh` are in seconds; `clock` returns unix seconds.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        url: str,
        *,
        max_age: float = 3600.0,
        cooldown: float = 10.0,
        refresh: float = 300.0,
        timeout: float = 5.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._http = http
        self._url = url
        self._max_age = max_age
        self._cooldown = cooldown
        self._refresh = min(refresh, max_age)
        self._timeout = timeout
        self._clock = clock
        self._keys: Mapping[str, SigningKey] = {}
        self._fetched_at: float | None = None
        self._tried_at: float | None = None
        self._asked_at: float | None = None
        self._last_try_failed = False
        self._flight: asyncio.Task[None] | None = None
        self.fetches = 0
        """Requests made so far; a metric."""

    async def find(self, key_id: str) -> SigningKey:
        """The key of that id.

        Raises `TokenRejected` when the issuer has no such key, `KeysUnavailable` when we cannot know.
        """
        if not self._within(self._fetched_at, self._refresh):
            await self._renew()
        key = self._live().get(key_id)
        if key is None and self._flight is not None:
            await asyncio.shield(self._flight)
            key = self._live().get(key_id)
        if key is not None:
            return key
        # The cool-down is counted between fetches that an unknown id caused, apart from the regular
        # ones: a rotation just after a regular refresh is noticed at once, a flood still costs one.
        if not self._within(self._asked_at, self._cooldown):
            self._asked_at = self._clock()
            await self._fetch()
            key = self._live().get(key_id)
        if key is not None:
            return key
        if self._last_try_failed:
            # The key may have come into use while the issuer was away; 401 would be a guess.
            raise KeysUnavailable(self._retry_after())
        raise TokenRejected(RejectReason.KEY_UNKNOWN)

    def age(self) -> float | None:
        """Seconds since the keys were fetched, None before the first time; a metric and readiness."""
        return None if self._fetched_at is None else max(0.0, self._clock() - self._fetched_at)

    async def ready(self) -> bool:
        """Whether any keys may be trusted now; fetches them if there are none."""
        if not self._within(self._fetched_at, self._refresh):
            await self._renew()
        return self._within(self._fetched_at, self._max_age)

    async def close(self) -> None:
        """End a fetch that is still running in the background."""
        if self._flight is not None:
            self._flight.cancel()
            await asyncio.wait([self._flight])

    def _live(self) -> Mapping[str, SigningKey]:
        if not self._within(self._fetched_at, self._max_age):
            raise KeysUnavailable(self._retry_after())
        return self._keys

    async def _renew(self) -> None:
        # While the issuer is away every request comes here; only one per cool-down tries, and only
        # those without any usable keys wait for it.
        usable = self._within(self._fetched_at, self._max_age)
        if self._flight is None and self._within(self._tried_at, self._cooldown):
            return
        if usable:
            self._start()
        else:
            self._asked_at = self._clock()
            await self._fetch()

    async def _fetch(self) -> None:
        # Shielded: the one who started a fetch may be cancelled while others wait for it.
        await asyncio.shield(self._start())

    def _start(self) -> asyncio.Task[None]:
        if self._flight is None:
            self._tried_at = self._clock()
            self._flight = asyncio.create_task(self._load())
            self._flight.add_done_callback(self._landed)
        return self._flight

    def _landed(self, _: asyncio.Task[None]) -> None:
        self._flight = None

    async def _load(self) -> None:
        self.fetches += 1
        try:
            reply = await exchange(self._http, "GET", self._url, max_bytes=MAX_BYTES, timeout=self._timeout)
            if reply.status != 200:
                raise OutboundError(f"the key set was answered with status {reply.status}")
            keys = parse_key_set(reply.body)
        except (OutboundError, StrictJsonError) as error:
            self._last_try_failed = True
            _log.warning("jwks.fetch_failed", url=self._url, problem=str(error), age=self.age())
            return
        # A key that stayed the same stays the same object, which is how others see that it did.
        self._keys = {key_id: self._kept(key) for key_id, key in keys.items()}
        self._fetched_at = self._clock()
        self._last_try_failed = False

    def _kept(self, key: SigningKey) -> SigningKey:
        old = self._keys.get(key.key_id)
        same = old is not None and old.algorithms == key.algorithms and old.key.thumbprint() == key.key.thumbprint()
        return old if old is not None and same else key

    def _within(self, moment: float | None, seconds: float) -> bool:
        # A clock set back makes the difference negative; then the moment cannot be trusted.
        return moment is not None and 0 <= self._clock() - moment < seconds

    def _retry_after(self) -> int:
        return max(1, int(self._cooldown))
