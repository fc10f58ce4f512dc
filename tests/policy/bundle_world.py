"""A place where bundles are made, published and served, with a policy small enough to know by heart."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from opa_process import POLICY, RunningOpa

from admin_sync.bundle.await_opa import wait_until_served
from admin_sync.bundle.build import Bundle, build_bundle
from admin_sync.bundle.directory import Directory
from admin_sync.bundle.opa_config import opa_config, render_config
from admin_sync.bundle.publish import Publication, publish
from admin_sync.bundle.source import (
    Assurance,
    Environment,
    Grant,
    Permission,
    PolicySource,
    Role,
    Sensitive,
)
from admin_sync.bundle.target import Target

SOURCE = PolicySource(
    permissions={"analytics:read": Permission(), "iam:modify": Permission(sensitive=True)},
    roles={
        "viewer": Role(permissions=frozenset({"analytics:read"})),
        "admin": Role(permissions=frozenset({"iam:modify"})),
    },
    environments={"prod": Environment()},
    assurance=Assurance(interactive="aal2", sensitive=Sensitive(level="aal2", max_age=300)),
    grants=(
        Grant(email="ada@example.test", environment="prod", role="viewer"),
        Grant(email="root@example.test", environment="prod", role="admin"),
    ),
    emergency_roles=frozenset({"admin"}),
)


def question(
    email: str = "ada@example.test", role: str = "viewer", permission: str = "analytics:read"
) -> dict[str, Any]:
    """What a person with a fresh second-factor login asks in prod."""
    return {
        "environment": "prod",
        "permission": permission,
        "partner": None,
        "resource": {},
        "subject": {
            "kind": "person", "id": "7f0c", "email": email, "environment": "prod", "client": "tradepulse",
            "groups": [role], "assurance_level": "aal2", "acr": "aal2", "amr": ["pwd", "otp"],
            "auth_time": int(time.time()) - 5, "organizations": {},
        },
    }  # fmt: skip


ADMIN = {"email": "root@example.test", "role": "admin", "permission": "iam:modify"}


def with_grant_of(email: str) -> PolicySource:
    """The policy with one more viewer."""
    return replace(SOURCE, grants=(*SOURCE.grants, Grant(email=email, environment="prod", role="viewer")))


@dataclass
class Place:
    """Keys, a published directory, the URL it is served at, and an OPA configuration that trusts it."""

    opa: Path
    key: Path
    public: Path
    directory: Path
    url: str
    home: Path
    target: Target | None = None
    """Where bundles go; the directory without it."""

    def build(self, source: PolicySource = SOURCE, **more: Any) -> Bundle:
        return build_bundle(source, **{"policy_dir": POLICY, "key": self.key, "opa": self.opa, **more})

    def publish(self, source: PolicySource = SOURCE, *, thaw: bool = False, **more: Any) -> Publication:
        return publish(self.build(source, **more), self.target or Directory(self.directory), thaw=thaw)

    def config(self, **more: Any) -> Path:
        path = self.home / f"opa-{time.monotonic_ns()}.yaml"
        settings: dict[str, Any] = {
            "bundle_url": self.url,
            "public_key": self.public.read_text(),
            "persist_dir": self.home / "persisted",
            **more,
        }
        path.write_text(render_config(opa_config(**settings)))
        return path

    def served(self, server: RunningOpa, publication: Publication) -> float:
        return wait_until_served(server.url, publication.meta)


def decision_log(server: RunningOpa) -> list[dict[str, Any]]:
    """The decisions in OPA's own log."""
    lines = [json.loads(line) for line in server.log.read_text().splitlines() if line.startswith("{")]
    return [line for line in lines if line.get("type") == "openpolicyagent.org/decision_logs"]
