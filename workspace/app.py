"""The application: pages and middleware over an open workspace, and what becomes of everything that goes wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from fastapi import FastAPI
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from identity import problem
from identity.body import BodyLimit
from identity.observed import Observed
from identity.trace import TraceMiddleware
from workspace import health
from workspace.failures import FAILURES, fail
from workspace.guard import Guard
from workspace.login import endpoints as login
from workspace.pages import PAGES
from workspace.service import Workspace

_STATIC: Final = Path(__file__).resolve().parent / "static"
_DAY: Final = 86_400


class Assets(StaticFiles):
    """Style sheets, scripts and pictures of ours. They are the same for everybody, so browsers may keep them a day."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file, with how long it may be kept."""
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = f"public, max-age={_DAY}"
        return response


def create_app(workspace: Workspace) -> FastAPI:
    """The application over an open workspace, which has to stay open for as long as it serves."""
    app = FastAPI(
        title="TradePulse workspace",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        # FastAPI would hand exceptions, message and all, to whatever telemetry is installed in the process.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.workspace = workspace
    for router in (login.router, health.router, *PAGES):
        app.include_router(router)
    # Only what is the same for everybody is compressed: with a page's own secrets its length would tell of them.
    app.mount("/static", GZipMiddleware(Assets(directory=_STATIC), minimum_size=1024), name="static")
    # The last one added is the outermost: observed, traced, guarded, then errors answered, then the body read.
    app.add_middleware(BodyLimit)
    problem.install(app)
    for kind in FAILURES:
        app.add_exception_handler(kind, _failed)
    app.add_middleware(Guard, origin=workspace.settings.url, issuer=workspace.settings.issuer)
    app.add_middleware(TraceMiddleware)
    app.add_middleware(Observed, answered=workspace.metrics.answered)
    return app


async def _failed(request: Request, error: Exception) -> Response:
    return fail(request, error)
