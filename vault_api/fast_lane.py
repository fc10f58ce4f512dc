"""The calls that a trading desk makes all day, served ahead of FastAPI's layers.

    request ─ release, store or describe? ─ yes ─▶ body read, trace, endpoint, problem, headers ─▶ one answer
                                          └ no ──▶ the application

FastAPI and Starlette put nine layers around an endpoint, which together cost more than the release itself.
The lane does what the application's own middleware does (`app.create_app`), with the same functions and in
the same order, for the few paths it knows; everything else it hands on. The routes stay in the application
too: they are its documentation, and its answer to a wrong method.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from identity.body import Disconnected, read_body, replayed
from identity.problem import answer
from identity.trace import traced
from vault_api.metrics import Metrics

Endpoint = Callable[[Request], Awaitable[Response]]

Lanes = Mapping[tuple[str, str], Endpoint]
"""Endpoints by method and by what follows `/v1/partners/{partner}/connections/{connection}/`."""

_PARTS = 7
"""Pieces of `/v1/partners/{partner}/connections/{connection}/credential`, the empty one in front included."""


class FastLane:
    """An ASGI application in front of `app` (pure ASGI).

    headers: what every answer says in addition, unless the endpoint said it itself
    """

    def __init__(self, app: FastAPI, lanes: Lanes, metrics: Metrics, headers: Sequence[tuple[bytes, bytes]]) -> None:
        self._app = app
        self._lanes = lanes
        self._metrics = metrics
        self._headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        endpoint = self._endpoint(scope) if scope["type"] == "http" else None
        if endpoint is None:
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 0
        scope["app"] = self._app
        try:
            with traced(scope):
                try:
                    response = await self._response(endpoint, scope, receive)
                except Disconnected:
                    return
                status = response.status_code
                given = {name for name, _ in response.raw_headers}
                headers = [*response.raw_headers, *(header for header in self._headers if header[0] not in given)]
                await send({"type": "http.response.start", "status": status, "headers": headers})
                await send({"type": "http.response.body", "body": response.body})
        finally:
            self._metrics.answered(endpoint.__name__, scope["method"], status, time.perf_counter() - started)

    def _endpoint(self, scope: Scope) -> Endpoint | None:
        parts = scope["path"].split("/", _PARTS)
        if len(parts) < _PARTS or parts[1] != "v1" or parts[2] != "partners" or parts[4] != "connections":
            return None
        endpoint = self._lanes.get((scope["method"], "/".join(parts[6:])))
        if endpoint is None or not parts[3] or not parts[5]:
            return None
        scope["path_params"] = {"partner": parts[3], "connection": parts[5]}
        return endpoint

    async def _response(self, endpoint: Endpoint, scope: Scope, receive: Receive) -> Response:
        request = Request(scope, receive)
        try:
            body = await read_body(scope, receive)
            request = Request(scope, replayed(body, receive))
            return await endpoint(request)
        except Disconnected:
            raise
        except Exception as error:  # noqa: BLE001 - the last one before the server, which would print it
            return await answer(request, error)
