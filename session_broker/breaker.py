"""A circuit breaker: a server that has failed several times in a row is left alone for a while.

closed ─ n failures in a row ─▶ open ─ after the pause ─▶ one trial ─ success ─▶ closed, failure ─▶ open

While it is open callers have their answer at once instead of waiting for a timeout each.
"""

from __future__ import annotations

import time
from collections.abc import Callable


class CircuitOpen(Exception):
    """The server is left alone now. `retry_after` is in seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__("the identity provider failed several times in a row and is left alone for a moment")
        self.retry_after = retry_after


class CircuitBreaker:
    """`failures` in a row open it for `pause` seconds. `clock` returns seconds that never go back."""

    def __init__(self, *, failures: int, pause: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._failures = failures
        self._pause = pause
        self._clock = clock
        self._in_a_row = 0
        self._causes: set[str] = set()
        self._open_until: float | None = None

    @property
    def is_open(self) -> bool:
        """Whether callers are turned away now; a metric, and readiness. Not after the pause: a balancer that sends
        nobody to who is not ready would keep the trial from ever being made."""
        return self._open_until is not None and self._clock() < self._open_until

    def enter(self) -> None:
        """Say that a call is about to be made. Raises `CircuitOpen` if it must not be."""
        if self._open_until is None:
            return
        now = self._clock()
        if now < self._open_until:
            raise CircuitOpen(max(1, round(self._open_until - now)))
        # This caller is the trial; the others stay out until it is over, or until a pause has passed
        # in case it never says how it ended.
        self._open_until = now + self._pause

    def succeeded(self) -> None:
        """The server answered; also with a refusal, which is an answer."""
        self._in_a_row = 0
        self._causes.clear()
        self._open_until = None

    def failed(self, cause: str | None = None) -> None:
        """The server gave no usable answer. Failures in a row of one `cause`, at which it may lie, count as one."""
        trial = self._open_until is not None
        if cause is None:
            self._in_a_row += 1
        elif len(self._causes) < self._failures:
            self._causes.add(cause)
        if trial or self._in_a_row + len(self._causes) >= self._failures:
            self._open_until = self._clock() + self._pause
