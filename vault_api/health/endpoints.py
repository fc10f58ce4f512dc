"""Health and metrics over HTTP. They ask for no token and say nothing about any partner."""

from __future__ import annotations

from typing import Any

import orjson
from fastapi import APIRouter, Request, Response

from vault_api.health.checks import Readiness
from vault_api.store.database import DatabaseUnavailable
from vault_api.vault import Vault, vault_of

router = APIRouter(tags=["health"])


@router.get("/health/live", summary="Is the process alive")
async def live() -> Response:
    """Answers as long as the event loop turns; depends on nothing."""
    return _json({"status": "alive"})


@router.get("/health/ready", summary="Can it serve requests, and if not, what is missing")
async def ready(request: Request) -> Response:
    """200 when everything required answers, else 503 with what does not."""
    readiness: Readiness = request.app.state.readiness
    checks = await readiness.checks()
    missing = sorted(name for name, check in checks.items() if check.required and not check.ok)
    states = {name: {"ok": check.ok, "detail": check.detail} for name, check in checks.items()}
    return _json(
        {"status": "not ready" if missing else "ready", "missing": missing, "checks": states},
        status=503 if missing else 200,
    )


@router.get("/health/auth", summary="Do callers get through: tokens accepted and refused, issuer keys, policy")
async def auth(request: Request) -> Response:
    """What this worker saw of authentication since it started; 503 when nobody could be let in now."""
    vault = vault_of(request)
    checks = await request.app.state.readiness.checks()
    tokens = vault.metrics.bearer_tokens()
    accepted, seen = tokens.get("accepted", 0), sum(tokens.values())
    able = checks["issuer_keys"].ok and checks["policy"].ok
    return _json(
        {
            "status": "ok" if able else "nobody can be let in",
            "bearer_tokens": {"seen": seen, "accepted": accepted, "by_result": tokens},
            "acceptance": None if seen == 0 else round(accepted / seen, 4),
            "issuer_keys": {"ok": checks["issuer_keys"].ok, "age_seconds": vault.jwks.age()},
            "policy": {"ok": checks["policy"].ok, "revision": vault.policy.revision},
            "broker_tokens": await _broker_tokens(vault),
        },
        status=200 if able else 503,
    )


async def _broker_tokens(vault: Vault) -> dict[str, Any] | None:
    """How refreshing goes, over all partners and processes; null when PostgreSQL does not say."""
    try:
        census = await vault.brokers.refresh.census()
    except DatabaseUnavailable:
        return None
    return {
        "scheduled": census.scheduled,
        "overdue": census.overdue,
        "oldest_overdue_seconds": round(census.oldest_overdue_seconds, 1),
        "failing": census.failing,
        "circuits_open": census.circuits_open,
    }


@router.get("/metrics", summary="Prometheus metrics")
async def metrics(request: Request) -> Response:
    """Counters and histograms of this worker."""
    vault = vault_of(request)
    vault.metrics.keys.set(len(vault.keyring))
    return Response(vault.metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")


def _json(answer: dict[str, Any], *, status: int = 200) -> Response:
    return Response(orjson.dumps(answer), status, media_type="application/json")
