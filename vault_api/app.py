"""The application: routes and middleware over an open vault."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.types import ASGIApp

from identity import problem
from identity.body import BodyLimit
from identity.observed import HEADERS, Observed
from identity.trace import TraceMiddleware
from vault_api import openapi
from vault_api.alerts import endpoints as alerts
from vault_api.break_glass import endpoints as break_glass
from vault_api.brokers import endpoints as brokers
from vault_api.compliance import endpoints as compliance
from vault_api.connections import endpoints as connections
from vault_api.fast_lane import FastLane
from vault_api.health import endpoints as health
from vault_api.health.checks import Readiness
from vault_api.leases import endpoints as leases
from vault_api.legacy import endpoints as legacy
from vault_api.linking import endpoints as linking
from vault_api.members import endpoints as members
from vault_api.members import joining
from vault_api.rotation import endpoints as rotation
from vault_api.simulation import endpoints as simulation
from vault_api.trail import endpoints as trail
from vault_api.vault import Vault


def create_app(vault: Vault) -> FastAPI:
    """The application over an open vault, which has to stay open for as long as it serves."""
    app = FastAPI(
        title="TradePulse vault",
        version="1",
        description="Partners' broker tokens, sealed under keys that three independent holders have to agree on.",
        docs_url=None,
        redoc_url=None,
        # A path with a slash too many is not there; a redirect would send the bearer token around.
        redirect_slashes=False,
        # FastAPI would hand exceptions, message and all, to whatever telemetry is installed in the process.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.vault = vault
    app.state.readiness = Readiness(vault)
    app.router.routes.append(connections.release_route)
    app.include_router(connections.router)
    app.include_router(leases.router)
    app.include_router(legacy.router)
    app.include_router(break_glass.router)
    app.include_router(compliance.router)
    app.include_router(rotation.router)
    app.include_router(brokers.router)
    app.include_router(linking.router)
    app.include_router(members.router)
    app.include_router(joining.router)
    app.include_router(alerts.router)
    app.include_router(trail.router)
    app.include_router(simulation.router)
    app.include_router(health.router)
    openapi.describe(app, {connections.RELEASE_PATH: connections.RELEASE_OPENAPI})
    # The last one added is the outermost: observed, then traced, then errors answered, then the body read.
    app.add_middleware(BodyLimit)
    problem.install(app)
    app.add_middleware(TraceMiddleware)
    app.add_middleware(Observed, answered=vault.metrics.answered)
    return app


def create_server(vault: Vault) -> ASGIApp:
    """What is served: the application, with the calls of a trading day ahead of it."""
    lanes = {
        ("POST", "credential/release"): connections.release,
        ("PUT", "credential"): connections.store,
        ("GET", "credential"): connections.describe,
    }
    return FastLane(create_app(vault), lanes, vault.metrics, HEADERS)
