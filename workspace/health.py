"""Whether the workspace lives, whether it can serve, and its metrics."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import JSONResponse, Response

from workspace.service import Workspace, workspace_of
from workspace.session.store import StoreUnavailable

router = APIRouter(include_in_schema=False)

Here = Annotated[Workspace, Depends(workspace_of)]


@router.get("/health/live")
async def live() -> Response:
    """The process answers."""
    return JSONResponse({"status": "live"})


@router.get("/health/ready")
async def ready(here: Here) -> Response:
    """People can log in and stay: the database answers and the realm's keys are known."""
    missing = []
    try:
        await here.store.revision()
    except StoreUnavailable:
        missing.append("database")
    if not await here.keys.ready():
        missing.append("keycloak")
    return JSONResponse({"status": "degraded" if missing else "ready", "missing": missing}, 503 if missing else 200)


@router.get("/metrics")
async def metrics(here: Here) -> Response:
    """Prometheus' text format."""
    return Response(here.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")
