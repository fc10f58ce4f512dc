"""Refusals of the exchange, remembered for a moment: a client that keeps trying must not cost Keycloak two
requests each time. Short, because an account may be set up meanwhile."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

from session_broker.cache import Key


class Refusals:
    """At most `size` refusals for `seconds` each. One event loop only."""

    def __init__(self, *, size: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._size = size
        self._seconds = seconds
        self._clock = clock
        self._known: OrderedDict[Key, tuple[float, str]] = OrderedDict()

    def find(self, key: Key) -> str | None:
        """Why the token was refused a moment ago, None if it was not."""
        entry = self._known.get(key)
        if entry is None:
            return None
        if self._clock() >= entry[0]:
            del self._known[key]
            return None
        return entry[1]

    def keep(self, key: Key, reason: str) -> None:
        """Remember a refusal for a moment."""
        if self._seconds > 0:
            self._known[key] = (self._clock() + self._seconds, reason)
            self._known.move_to_end(key)
            while len(self._known) > self._size:
                self._known.popitem(last=False)
