"""The workspace as the stack runs it: pages for people, and PostgreSQL `workspace`."""

from __future__ import annotations

from collections.abc import Mapping

from stack.files import digest
from stack.layout import Layout
from stack.service import Service
from stack.steps import Commands


def migrate(layout: Layout, commands: Commands, environment: Mapping[str, str]) -> None:
    """Bring the schema of sessions to the revision of the code."""
    commands.run(
        [layout.python, "-m", "workspace", "migrate"],
        log=layout.logs / "workspace-migrate.log",
        environment=environment,
        cwd=layout.checkout,
    )


def service(layout: Layout, ports: Mapping[str, int], environment: Mapping[str, str]) -> Service:
    """The web application. It gets no setting of any other service, nor its own schema owner's."""
    address = f"http://127.0.0.1:{ports['workspace']}"
    others = ("VAULT_", "SESSION_BROKER_", "PROXY_", "ADMIN_SYNC_", "ACCESS_", "WORKSPACE_OWNER_")
    return Service(
        name="workspace",
        command=(str(layout.python), "-m", "workspace"),
        url=environment["WORKSPACE_URL"],
        health=f"{address}/health/ready",
        cwd=str(layout.checkout),
        environment={name: value for name, value in environment.items() if not name.startswith(others)},
        death=15,
        stop_seconds=25.0,
        revision=digest([layout.checkout / package for package in ("workspace", "identity")]),
    )
