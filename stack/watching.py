"""Who watches the audit log in the stack: the monitor, and the reconciliation with Keycloak's own events.

Nothing else needs either, so stacks of tests go without both.
"""

from __future__ import annotations

from collections.abc import Mapping

from stack.files import digest
from stack.layout import Layout
from stack.service import Service

NAMES = ("monitor", "audit-reconcile")

_FOREIGN = ("VAULT_", "SESSION_BROKER_", "ACCESS_", "PROXY_", "WORKSPACE_")


def monitor(layout: Layout, ports: Mapping[str, int], environment: Mapping[str, str]) -> Service:
    """`admin-sync monitor`, which reads files and has no right in Keycloak; its alerts are in its log."""
    listen = f"127.0.0.1:{ports['monitor']}"
    own = {
        "ADMIN_SYNC_MONITOR_STATE_DIR": str(layout.state / "monitor"),
        "ADMIN_SYNC_MONITOR_LISTEN": listen,
        **{key: value for key, value in environment.items() if not value.startswith(str(layout.secrets))},
    }
    return _service(layout, "monitor", ("monitor",), listen, own)


def reconciliation(layout: Layout, ports: Mapping[str, int], environment: Mapping[str, str]) -> Service:
    """`admin-sync audit reconcile`, again and again. All nodes of the stack write to one file, so it waits for none."""
    listen = f"127.0.0.1:{ports['audit-reconcile']}"
    words = ("audit", "reconcile", "--settle", "0s", "--every", "5m")
    return _service(layout, "audit-reconcile", words, listen, {"ADMIN_SYNC_AUDIT_LISTEN": listen, **environment})


def _service(layout: Layout, name: str, words: tuple[str, ...], listen: str, environment: Mapping[str, str]) -> Service:
    configuration = layout.iam / "configs" / "iam"
    sources = [layout.checkout / folder for folder in ("admin_sync", "identity")]
    return Service(
        name=name,
        command=(str(layout.venv / "bin" / "admin-sync"), *words, "--config", str(configuration)),
        url=f"http://{listen}",
        health=f"http://{listen}/metrics",
        cwd=str(layout.checkout),
        environment={key: value for key, value in environment.items() if not key.startswith(_FOREIGN)},
        death=15,
        revision=digest([*sources, configuration, layout.environment]),
    )
