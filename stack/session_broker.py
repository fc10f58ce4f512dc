"""session-broker as the stack runs it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from stack.files import digest
from stack.layout import Layout
from stack.service import Service


def service(layout: Layout, ports: Mapping[str, int], environment: Mapping[str, str]) -> Service:
    """The token exchange behind the proxy. What it remembers may be lost at any time."""
    url = f"http://127.0.0.1:{ports['session-broker']}"
    Path(environment["SESSION_BROKER_STATE_DIR"]).mkdir(mode=0o700, exist_ok=True)
    sources = [layout.checkout / package for package in ("session_broker", "identity")]
    # It gets no access to the vault's database or to Keycloak's administration.
    others = ("VAULT_", "ADMIN_SYNC_", "PROXY_")
    return Service(
        name="session-broker",
        command=(str(layout.python), "-m", "session_broker"),
        url=url,
        health=f"{url}/health/ready",
        cwd=str(layout.checkout),
        environment={key: value for key, value in environment.items() if not key.startswith(others)},
        death=15,
        stop_seconds=20.0,
        revision=digest([*sources, Path(environment["SESSION_BROKER_ACCESS_FILE"])]),
    )
