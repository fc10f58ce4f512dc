"""Health and metrics over HTTP. They ask for no token; the proxy leads nobody here."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from identity.audit.errors import AuditUnavailable
from session_broker.access import INTERNAL
from session_broker.broker import Broker, broker_of
from session_broker.requests import json_answer


async def live(_: Request) -> Response:
    """Answers as long as the event loop turns; depends on nothing."""
    return json_answer({"status": "alive"})


async def ready(request: Request) -> Response:
    """200 when everything that every request needs answers, else 503 with what does not.

    A provider whose keys are away makes only its own tokens wait, so it is told and is not missing.
    """
    broker = broker_of(request)
    checks = {
        "issuer_keys": await broker.keys[INTERNAL].ready(),
        "identity_provider": not broker.breaker.is_open,
        "audit": await _audit_writes(broker),
    }
    providers = {name: await keys.ready() for name, keys in broker.keys.items() if name != INTERNAL}
    missing = sorted(name for name, ok in checks.items() if not ok)
    return json_answer(
        {
            "status": "not ready" if missing else "ready",
            "missing": missing,
            "checks": checks,
            "providers": providers,
            "revocation_seconds": broker.settings.revocation_seconds,
        },
        503 if missing else 200,
    )


async def metrics(request: Request) -> Response:
    """Prometheus' text format, for all processes behind this address."""
    broker = broker_of(request)
    broker.metrics.circuit_open.set(1 if broker.breaker.is_open else 0)
    return Response(broker.metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")


async def _audit_writes(broker: Broker) -> bool:
    try:
        await broker.audit.check()
    except AuditUnavailable:
        return False
    return True
