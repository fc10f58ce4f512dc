"""Who watches the audit log in the stack gets no more than it needs."""

from __future__ import annotations

from pathlib import Path

from stack import watching
from stack.layout import Layout
from stack.ports import DEFAULTS
from stack.settings import settings
from stack.up import Up


def test_the_monitor_has_no_right_in_keycloak_and_neither_has_a_secret_of_another_service(tmp_path: Path) -> None:
    layout = Layout(tmp_path / ".stack")
    layout.make()
    layout.environment.touch()
    environment = settings(layout, DEFAULTS, clients=["tradepulse"], admin_client="admin-sync")
    monitor = watching.monitor(layout, DEFAULTS, environment)
    reconciliation = watching.reconciliation(layout, DEFAULTS, environment)
    secrets = {
        service.name: {key for key, value in service.environment.items() if value.startswith(str(layout.secrets))}
        for service in (monitor, reconciliation)
    }
    assert secrets["monitor"] == set()
    assert "ADMIN_SYNC_CLIENT_SECRET_FILE" in secrets["audit-reconcile"]
    assert not any(key.startswith(("VAULT_", "ACCESS_", "WORKSPACE_")) for found in secrets.values() for key in found)
    assert {monitor.health, reconciliation.health} == {f"http://127.0.0.1:{port}/metrics" for port in (8310, 8311)}


def test_both_are_started_by_an_ordinary_up(tmp_path: Path) -> None:
    assert {f"run-{name}" for name in watching.NAMES} <= set(Up(Layout(tmp_path / ".stack")).steps())
