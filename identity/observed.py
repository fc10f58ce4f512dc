"""Every answer counted, timed, and said to be nobody's to keep (pure ASGI)."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS: Final = [
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
]
"""What an answer has that says nothing else about it: two people and one URL must never meet in a cache."""

Answered = Callable[[str, str, int, float], None]
"""Told of each answer: endpoint by name, method, status (0 if there was none), seconds that it took."""


class Observed:
    """Watches an application."""

    def __init__(self, app: ASGIApp, answered: Answered) -> None:
        self._app = app
        self._answered = answered

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 0

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                names = {name for name, _ in message["headers"]}
                message = {**message, "headers": [*message["headers"], *(h for h in HEADERS if h[0] not in names)]}
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            # The endpoint's own name: a path could be chosen by the caller and would make a label each.
            endpoint = getattr(scope.get("endpoint"), "__name__", "none")
            self._answered(endpoint, scope["method"], status, time.perf_counter() - started)
