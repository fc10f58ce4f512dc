"""Request bodies under a cap and a deadline, and JSON that means one thing (pure ASGI).

The whole body is read here, at most `max_bytes`, before the application sees the request: a slow or
endless sender occupies a coroutine and a few kilobytes, never a handler with a database connection.
"""

from __future__ import annotations

import asyncio

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from identity.problem import Problem
from identity.strict_json import MAX_DEPTH, StrictJsonError, loads

MAX_BODY = 65_536


class Disconnected(Exception):
    """The sender went away before the body was complete; nobody is left to answer."""


class BodyLimit:
    """Answers 413 for a body over `max_bytes`, 408 for one not complete within `timeout` seconds, and
    422 for a JSON body with duplicate keys, NaN, invalid UTF-8 or deep nesting."""

    def __init__(self, app: ASGIApp, *, max_bytes: int = MAX_BODY, timeout: float = 10.0) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._timeout = timeout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            body = await read_body(scope, receive, max_bytes=self._max_bytes, timeout=self._timeout)
        except Problem as problem:
            await problem.response()(scope, receive, send)
        except Disconnected:
            return
        else:
            await self._app(scope, replayed(body, receive), send)


async def read_body(
    scope: Scope,
    receive: Receive,
    *,
    max_bytes: int = MAX_BODY,
    timeout: float = 10.0,  # noqa: ASYNC109 - the deadline of the sender, not of the caller
) -> bytes:
    """The whole body of an HTTP request. Raises Problem (400, 408, 413, 422) and Disconnected."""
    headers = Headers(scope=scope)
    _check_declared(headers, max_bytes)
    try:
        async with asyncio.timeout(timeout):
            body = await _read(receive, max_bytes)
    except TimeoutError:
        raise _too_slow(timeout) from None
    _check_json(headers, body)
    return body


def _check_declared(headers: Headers, max_bytes: int) -> None:
    declared = headers.get("content-length", "0")
    if not declared.isascii() or not declared.isdigit():
        raise Problem(400, "bad-content-length", "Content-Length is no number", "Send the body's size in bytes.")
    # The length of the digits first: converting a very long number is work by itself.
    if len(declared) > 18 or int(declared) > max_bytes:
        raise _too_large(max_bytes)


async def _read(receive: Receive, max_bytes: int) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        body += message.get("body", b"")
        if len(body) > max_bytes:
            raise _too_large(max_bytes)
        if not message.get("more_body", False):
            return bytes(body)


def _check_json(headers: Headers, body: bytes) -> None:
    media_type = headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if not body or not (media_type.endswith("/json") or media_type.endswith("+json")):
        return
    try:
        loads(body, max_bytes=len(body), max_depth=MAX_DEPTH)
    except StrictJsonError as error:
        raise Problem(
            422, "malformed-json", "The body is not JSON that means one thing", f"Correct the body: {error}."
        ) from None


def replayed(body: bytes, receive: Receive) -> Receive:
    """A `receive` that hands out the body once and then tells of the connection."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


def _too_large(limit: int) -> Problem:
    return Problem(
        413,
        "body-too-large",
        "The body is too large",
        f"Send at most {limit} bytes.",
        headers={"Connection": "close"},
    )


def _too_slow(limit: float) -> Problem:
    return Problem(
        408,
        "body-too-slow",
        "The body did not arrive in time",
        f"Send the whole body within {limit:g} seconds.",
        headers={"Connection": "close"},
    )
