"""The application: routes and middleware over the open service."""

from __future__ import annotations

from fastapi import FastAPI, Request
from starlette.responses import Response

from admin_sync.access.api import catalogue, health, openapi, requests
from admin_sync.access.campaigns.endpoints import router as campaigns
from admin_sync.access.configured import NotConfigured
from admin_sync.access.service import Access
from admin_sync.access.store.database import BrokenRule, DatabaseUnavailable
from admin_sync.auth_health.endpoints import router as auth_health
from admin_sync.break_glass.endpoints import router as break_glass
from identity import problem
from identity.body import BodyLimit
from identity.observed import Observed
from identity.simulation import NoSimulation
from identity.trace import TraceMiddleware

ROUTERS = (requests.router, catalogue.router, campaigns, break_glass, auth_health, health.router)
"""What is served. Bypasses add theirs here."""


def create_app(access: Access) -> FastAPI:
    """The application over an open service, which has to stay open for as long as it serves."""
    app = FastAPI(
        title="TradePulse access",
        version="1",
        description="Requests for access: who asks for what, who has to agree, until when.",
        docs_url=None,
        redoc_url=None,
        # A path with a slash too many is not there; a redirect would send the bearer token around.
        redirect_slashes=False,
        openapi_url="/access/v1/openapi.json",
        # FastAPI would hand exceptions, message and all, to whatever telemetry is installed in the process.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.access = access
    for router in ROUTERS:
        app.include_router(router)
    openapi.describe(app)
    app.add_exception_handler(NotConfigured, _not_configured)
    app.add_exception_handler(DatabaseUnavailable, _database_away)
    app.add_exception_handler(BrokenRule, _broken_rule)
    # The last one added is the outermost: observed, then traced, then errors answered, then the body read.
    app.add_middleware(BodyLimit)
    problem.install(app)
    app.add_middleware(NoSimulation)
    app.add_middleware(TraceMiddleware)
    app.add_middleware(Observed, answered=access.metrics.answered)
    return app


async def _not_configured(_: Request, error: Exception) -> Response:
    detail = f"Nothing can be judged right now: {error}. Repeat the request later."
    return problem.unavailable("not-configured", detail, retry_after=2).response()


async def _database_away(_: Request, __: Exception) -> Response:
    detail = "Nothing was decided, or nobody knows: read the request again before you repeat this."
    return problem.unavailable("database-unavailable", detail, retry_after=2).response()


async def _broken_rule(_: Request, __: Exception) -> Response:
    return problem.Problem(
        409,
        "conflict",
        "Somebody else decided at the same time",
        "Read the request again, and repeat this if it is still wanted.",
    ).response()
