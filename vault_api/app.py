"""The application: routes, middleware, and the vault that lives as long as it does."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from identity import problem
from identity.body import BodyLimit
from identity.trace import TraceMiddleware
from vault_api import openapi
from vault_api.connections import endpoints as connections
from vault_api.health import endpoints as health
from vault_api.health.checks import Readiness
from vault_api.settings import VaultSettings
from vault_api.trail import endpoints as trail
from vault_api.vault import open_vault

_HEADERS = [
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
]


def create_app(settings: VaultSettings) -> FastAPI:
    """The application. It opens the vault when it starts, which raises StartRefused where that cannot be."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_vault(settings) as vault:
            app.state.vault = vault
            app.state.readiness = Readiness(vault)
            yield

    app = FastAPI(
        title="TradePulse vault",
        version="1",
        description="Partners' broker tokens, sealed under keys that three independent holders have to agree on.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        # A path with a slash too many is not there; a redirect would send the bearer token around.
        redirect_slashes=False,
        # FastAPI would hand exceptions, message and all, to whatever telemetry is installed in the process.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.router.routes.append(connections.release_route)
    app.include_router(connections.router)
    app.include_router(trail.router)
    app.include_router(health.router)
    openapi.describe(app, {connections.RELEASE_PATH: connections.RELEASE_OPENAPI})
    # The last one added is the outermost: observed, then traced, then errors answered, then the body read.
    app.add_middleware(BodyLimit)
    problem.install(app)
    app.add_middleware(TraceMiddleware)
    app.add_middleware(Observed, app=app)
    return app


class Observed:
    """Counts and times every answer and says that it is nobody's to cache (pure ASGI)."""

    def __init__(self, inner: ASGIApp, app: FastAPI) -> None:
        self._inner = inner
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        started, status = time.perf_counter(), 0

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                names = {name for name, _ in message["headers"]}
                message = {**message, "headers": [*message["headers"], *(h for h in _HEADERS if h[0] not in names)]}
            await send(message)

        try:
            await self._inner(scope, receive, watched)
        finally:
            # The endpoint's own name: a path could be chosen by the caller and would make a label each.
            endpoint = getattr(scope.get("endpoint"), "__name__", "none")
            metrics = self._app.state.vault.metrics
            metrics.requests.labels(endpoint, _method(scope["method"]), str(status)).inc()
            metrics.seconds.labels(endpoint).observe(time.perf_counter() - started)


def _method(method: str) -> str:
    return method if method in ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS") else "other"
