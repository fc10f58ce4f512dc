"""Health and metrics over HTTP. They ask for no token and say nothing about anybody."""

from __future__ import annotations

from typing import Annotated, Any

import httpx
import orjson
from fastapi import APIRouter, Depends, Response

from admin_sync.access.configured import NotConfigured
from admin_sync.access.service import Access, access_of
from admin_sync.access.store.database import DatabaseUnavailable
from admin_sync.access.store.waiting import decided, standing
from identity.outbound import OutboundError, exchange

router = APIRouter(prefix="/access/v1", tags=["health"])

Service = Annotated[Access, Depends(access_of)]
_SECONDS = 2.0


@router.get("/health/live", summary="Is the process alive")
async def live() -> Response:
    """Answers as long as the event loop turns; depends on nothing."""
    return _json({"status": "alive"})


@router.get("/health/ready", summary="Can it serve requests, and if not, what is missing")
async def ready(access: Service) -> Response:
    """200 when everything required answers, else 503 with what does not."""
    checks = {
        "database": await _database(access),
        "configuration": await _configuration(access),
        "policy": await _policy(access),
        "issuer_keys": "answers" if await access.jwks.ready() else None,
        "audit_file": _audit_file(access),
    }
    missing = sorted(name for name, detail in checks.items() if detail is None)
    return _json(
        {"status": "not ready" if missing else "ready", "missing": missing, "checks": checks},
        status=503 if missing else 200,
    )


@router.get("/metrics", summary="Prometheus metrics")
async def metrics(access: Service) -> Response:
    """Counters of this process, and what PostgreSQL says about requests."""
    access.metrics.told(await standing(access.database), await decided(access.database))
    access.metrics.emergencies(*await access.emergencies.figures())
    return Response(access.metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")


async def _database(access: Access) -> str | None:
    try:
        await access.database.rows("SELECT 1")
    except DatabaseUnavailable:
        return None
    return "answers"


async def _configuration(access: Access) -> str | None:
    try:
        known = await access.desk.configured.known()
    except NotConfigured:
        return None
    people = "no roster, so nobody approves" if known.roster is None else f"{len(known.roster)} people in the roster"
    return f"{len(known.document.bindings.bindings)} bindings, {people}"


async def _policy(access: Access) -> str | None:
    try:
        url = f"{access.settings.opa_url}/health?bundles"
        reply = await exchange(access.http, "GET", url, max_bytes=4096, timeout=_SECONDS)
    except (OutboundError, httpx.InvalidURL):
        return None
    return "answers" if reply.status == 200 else None


def _audit_file(access: Access) -> str | None:
    behind = access.shipper.behind_seconds
    late = access.shipper.failing or behind > access.settings.audit_lag_seconds
    return None if late else f"{behind:.0f} s behind"


def _json(answer: dict[str, Any], *, status: int = 200) -> Response:
    return Response(orjson.dumps(answer), status, media_type="application/json")
