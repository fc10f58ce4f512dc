"""The application: routes and middleware over an open broker, with `/authorize` ahead of the layers.

    request ─ GET /authorize? ─ yes ─▶ trace, endpoint, problem ─▶ one answer
                               └ no ──▶ FastAPI

Every request of every service behind the proxy passes `/authorize`, and FastAPI's layers around an
endpoint cost several times what a remembered grant does. The lane does what they do for it.
"""

from __future__ import annotations

import time

from fastapi import FastAPI
from starlette.requests import Request
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from identity import problem
from identity.body import BodyLimit
from identity.observed import HEADERS, Observed
from identity.trace import TraceMiddleware, traced
from session_broker import health
from session_broker.authorize import authorize
from session_broker.broker import Broker
from session_broker.logout import backchannel_logout
from session_broker.metrics import Metrics
from session_broker.migration.endpoint import bridge_keys
from session_broker.token_endpoint import token

_AUTHORIZE = "/authorize"


def create_app(broker: Broker) -> FastAPI:
    """The application over an open broker, which has to stay open for as long as it serves."""
    app = FastAPI(
        title="TradePulse session broker",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        # FastAPI would hand exceptions, message and all, to whatever telemetry is installed in the process.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.broker = broker
    app.router.routes.extend(
        [
            Route(_AUTHORIZE, authorize, methods=["GET"]),
            Route("/token", token, methods=["POST"]),
            Route("/backchannel-logout", backchannel_logout, methods=["POST"]),
            Route("/health/live", health.live, methods=["GET"]),
            Route("/health/ready", health.ready, methods=["GET"]),
            Route("/metrics", health.metrics, methods=["GET"]),
        ]
    )
    if broker.migration is not None:
        app.router.routes.append(Route("/migration/jwks", bridge_keys, methods=["GET"]))
    # The last one added is the outermost: observed, then traced, then errors answered, then the body read.
    app.add_middleware(BodyLimit)
    problem.install(app)
    app.add_middleware(TraceMiddleware)
    app.add_middleware(Observed, answered=broker.metrics.answered)
    return app


def create_server(broker: Broker) -> ASGIApp:
    """What is served: the application, with the check of every request ahead of it."""
    return AuthorizeLane(create_app(broker), broker.metrics)


class AuthorizeLane:
    """Answers `GET /authorize`, and hands on everything else (pure ASGI).

    No body is read: nginx sends none with this request, and what a client sent is none of our business.
    """

    def __init__(self, app: FastAPI, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != _AUTHORIZE or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        scope["app"] = self._app
        request = Request(scope, receive)
        with traced(scope):
            try:
                response = await authorize(request)
            except Exception as error:  # noqa: BLE001 - the last one before the server, which would print it
                response = await problem.answer(request, error)
        headers = [*response.raw_headers, HEADERS[1]]
        await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": response.body})
        self._metrics.answered("authorize", "GET", response.status_code, time.perf_counter() - started)
