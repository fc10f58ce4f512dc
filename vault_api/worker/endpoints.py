"""The worker over HTTP: health and metrics, for whoever watches it. It serves nothing else."""

from __future__ import annotations

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from vault_api.health.checks import Readiness
from vault_api.vault import Vault
from vault_api.worker.runner import Runner

FAILING_AFTER = 3
"""Failed rounds in a row after which a task makes the worker not ready."""


def create_worker_app(vault: Vault, runner: Runner) -> Starlette:
    """The application over an open vault and its runner."""
    readiness = Readiness(vault)

    async def live(_: Request) -> Response:
        return _json({"status": "alive"})

    async def ready(_: Request) -> Response:
        checks = await readiness.checks()
        missing = sorted(name for name, check in checks.items() if check.required and not check.ok)
        failing = sorted(name for name, state in runner.states.items() if state.failures >= FAILING_AFTER)
        return _json(
            {
                "status": "not ready" if missing or failing else "ready",
                "missing": missing,
                "failing": failing,
                "tasks": {name: state.facts() for name, state in runner.states.items()},
            },
            status=503 if missing or failing else 200,
        )

    async def metrics(_: Request) -> Response:
        return Response(vault.metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return Starlette(
        routes=[
            Route("/health/live", live),
            Route("/health/ready", ready),
            Route("/metrics", metrics),
        ]
    )


def _json(answer: dict[str, object], *, status: int = 200) -> Response:
    return Response(orjson.dumps(answer), status, {"Cache-Control": "no-store"}, media_type="application/json")
