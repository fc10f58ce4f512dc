"""A policy that uses everything there is, and where to make bundles of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from admin_sync.bundle.build import Bundle, build_bundle
from admin_sync.bundle.source import (
    Assurance,
    Client,
    Environment,
    Grant,
    Partner,
    PartnerRole,
    Permission,
    PolicySource,
    Role,
    Sensitive,
    Window,
)

POLICY = Path(__file__).resolve().parents[3] / "policy"


def sample() -> PolicySource:
    """Roles that include others, a window across midnight, partners, grants that end and a service."""
    return PolicySource(
        permissions={
            "analytics:read": Permission(),
            "execution:launch": Permission(sensitive=True),
            "connection:read": Permission(partner_scoped=True),
        },
        roles={
            "viewer": Role(permissions=frozenset({"analytics:read"})),
            "trader": Role(permissions=frozenset({"execution:launch"})),
            "head": Role(permissions=frozenset({"connection:read"}), includes=frozenset({"trader", "viewer"})),
        },
        environments={"dev": Environment(), "prod": Environment(deny_roles_from=frozenset({"dev"}))},
        assurance=Assurance(
            interactive="aal2", sensitive=Sensitive(level="aal2", max_age=300), roles={"trader": "aal3"}
        ),
        partner_roles={"partner-admin": PartnerRole(permissions=frozenset({"connection:read"}))},
        partners={"acme": Partner(persona="live", brokers=frozenset({"paper"}), roles=frozenset({"partner-admin"}))},
        windows={
            "trader": Window(
                environments=frozenset({"prod"}),
                weekdays=frozenset({"fri", "mon"}),
                opens="22:00",
                closes="02:00",
                timezone="America/New_York",
            )
        },
        grants=(
            Grant(email="Ada@Example.test", environment="prod", role="viewer", not_after=1800000000),
            Grant(email="ada@example.test", environment="prod", role="viewer", not_after=1700000000),
            Grant(email="ada@example.test", environment="prod", role="trader"),
        ),
        federated_roles={"dev": frozenset({"viewer"})},
        clients={"deployer": Client(environments=frozenset({"dev"}), roles=frozenset({"viewer"}))},
        emergency_roles=frozenset({"head"}),
    )


@dataclass
class Workshop:
    """Makes bundles whose clock the test sets."""

    key: Path
    opa: Path

    def build(self, source: PolicySource, at: float = 1795446000.0, **more: Any) -> Bundle:
        settings: dict[str, Any] = {"policy_dir": POLICY, "key": self.key, "opa": self.opa, "clock": lambda: at}
        return build_bundle(source, **{**settings, **more})
