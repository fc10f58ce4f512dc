"""The trace id that ties a request's log lines, audit lines and answers together (W3C Trace Context)."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from starlette.types import ASGIApp, Receive, Scope, Send

_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?\Z")

_trace_id: ContextVar[str | None] = ContextVar("tradepulse_trace_id", default=None)


def trace_id() -> str:
    """The current trace id, 32 hex digits; a new one is started where there is none."""
    current = _trace_id.get()
    if current is None:
        current = secrets.token_hex(16)
        _trace_id.set(current)
    return current


def current_trace_id() -> str | None:
    """The current trace id, None outside of any request."""
    return _trace_id.get()


def outgoing_headers() -> dict[str, str]:
    """Headers that carry the trace on to another server of ours."""
    return {"traceparent": f"00-{trace_id()}-{secrets.token_hex(8)}-01"}


def parse_traceparent(value: str) -> str | None:
    """The trace id of a `traceparent` header, None if it is not a valid one."""
    match = _TRACEPARENT.match(value)
    return match.group(1) if match else None


class TraceMiddleware:
    """Takes over the caller's trace id, or starts one, for the time of a request (pure ASGI).

    A caller can choose its id, so it is a label to search by and nothing is decided on it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        with traced(scope):
            await self._app(scope, receive, send)


@contextmanager
def traced(scope: Scope) -> Iterator[None]:
    """The request's own trace id, or a new one, for as long as the block lasts."""
    given = [value for name, value in scope["headers"] if name == b"traceparent"]
    known = parse_traceparent(given[0].decode("latin-1")) if len(given) == 1 else None
    token = _trace_id.set(known or secrets.token_hex(16))
    try:
        yield
    finally:
        _trace_id.reset(token)
