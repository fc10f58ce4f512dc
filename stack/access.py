"""The access service as the stack runs it: people's requests, and PostgreSQL `access`."""

from __future__ import annotations

from collections.abc import Mapping

from stack.files import digest
from stack.layout import Layout
from stack.service import Service
from stack.steps import Commands


def migrate(layout: Layout, commands: Commands, environment: Mapping[str, str]) -> None:
    """Bring the schema of requests to the revision of the code."""
    commands.run(
        [layout.python, "-m", "admin_sync.access", "migrate"],
        log=layout.logs / "access-migrate.log",
        environment=environment,
        cwd=layout.checkout,
    )


def service(layout: Layout, ports: Mapping[str, int], environment: Mapping[str, str]) -> Service:
    """Requests over HTTP. It gets no access to Keycloak's administration, to the bundle's key, or as the reconciler."""
    url = f"http://127.0.0.1:{ports['access']}"
    others = ("VAULT_", "SESSION_BROKER_", "PROXY_", "ADMIN_SYNC_", "ACCESS_OWNER_", "ACCESS_RECONCILER_")
    needed = {"ADMIN_SYNC_CONFIG", "SESSION_BROKER_URL"}
    sources = [layout.checkout / package for package in ("admin_sync", "identity")]
    return Service(
        name="access",
        command=(str(layout.python), "-m", "admin_sync.access"),
        url=url,
        health=f"{url}/access/v1/health/ready",
        cwd=str(layout.checkout),
        environment={
            name: value for name, value in environment.items() if name in needed or not name.startswith(others)
        },
        death=15,
        # Requests in flight get twenty seconds to end.
        stop_seconds=25.0,
        revision=digest(sources),
    )
