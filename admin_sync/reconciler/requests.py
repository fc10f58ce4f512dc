"""The database of requests for a program without an event loop: one thread has the loop and the connections.

A turn runs in the main thread, because an apply that a signal interrupts ends in order only there.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Mapping
from datetime import datetime
from typing import Any, Final, TypeVar

from admin_sync.access.request import Record
from admin_sync.access.settings import DatabaseSettings
from admin_sync.access.store.database import DatabaseUnavailable
from admin_sync.access.store.handover import Handover
from admin_sync.errors import AdminSyncError

Result = TypeVar("Result")

_ANSWER: Final = 30.0
"""Seconds that a call may take in all; PostgreSQL itself gives a statement up long before."""


class RequestsUnavailable(AdminSyncError):
    """The database does not answer; nothing was decided about any request, and the next turn asks again."""


class Requests:
    """Approved requests and what becomes of them. Every call raises RequestsUnavailable."""

    def __init__(self, settings: DatabaseSettings, *, node: str) -> None:
        self._settings = settings
        self._node = node
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="requests", daemon=True)
        self._thread.start()
        self._handover: Handover | None = None
        self._watching: asyncio.Task[None] | None = None

    def watch(self, seconds: float, wake: Callable[[], None]) -> None:
        """Call `wake` whenever a request changes, and every so many seconds. Returns at once."""

        async def watching() -> None:
            while True:
                try:
                    async for _ in (await self._opened()).changes(seconds):
                        wake()
                except DatabaseUnavailable:
                    await asyncio.sleep(min(seconds, 5.0))

        async def begin() -> None:
            self._watching = asyncio.create_task(watching())

        self._call(begin)

    def now(self) -> datetime:
        """What time it is for requests: never before what the trail has said."""
        return self._with(lambda handover: handover.now())

    def due(self, *kinds: str) -> list[Record]:
        """Approved requests of some kinds whose start has come."""
        return self._with(lambda handover: handover.due(*kinds))

    def of_person(self, person: str) -> list[Record]:
        """The open and approved requests for one person."""
        return self._with(lambda handover: handover.of_person(person))

    def take(self, number: int) -> Record | None:
        """The request, from now on ours; None where it is not approved any more."""
        return self._with(lambda handover: handover.take(number))

    def fulfilled(self, number: int, result: Mapping[str, Any]) -> bool:
        """Say that it took effect; False where it ended otherwise meanwhile."""
        return self._with(lambda handover: handover.fulfilled(number, result))

    def failed(self, number: int, reason: str, result: Mapping[str, Any] | None = None) -> bool:
        """Say that it can never take effect."""
        return self._with(lambda handover: handover.failed(number, reason, result))

    def expired(self, number: int) -> bool:
        """Say that its end came first."""
        return self._with(lambda handover: handover.expired(number))

    def close(self) -> None:
        """Give the connections back."""

        async def end() -> None:
            if self._watching is not None:
                self._watching.cancel()
            if self._handover is not None:
                await self._handover.close()

        try:
            self._call(end)
        except RequestsUnavailable:
            pass
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(5)

    def _with(self, work: Callable[[Handover], Coroutine[Any, Any, Result]]) -> Result:
        async def done() -> Result:
            return await work(await self._opened())

        return self._call(done)

    def _call(self, work: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
        future = asyncio.run_coroutine_threadsafe(work(), self._loop)
        try:
            return future.result(_ANSWER)
        except TimeoutError:
            future.cancel()
            raise RequestsUnavailable("the database of requests does not answer; it is asked again") from None
        except DatabaseUnavailable as problem:
            raise RequestsUnavailable(f"the database of requests: {problem}; it is asked again") from None

    async def _opened(self) -> Handover:
        if self._handover is None:
            self._handover = await Handover.open(self._settings, node=self._node)
        return self._handover
