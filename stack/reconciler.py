"""The repository of the configuration and the reconciler, as the stack runs them.

`.stack/iam` is a Git repository of the stack's own: grants are committed there, and what an operator edits in
the checkout's configs/iam is merged into it by every `make up`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from stack import files
from stack.files import digest
from stack.layout import Layout
from stack.service import Service
from stack.steps import UNCHANGED, Commands


def repository(layout: Layout, commands: Commands, environment: Mapping[str, str]) -> str | None:
    """Make the repository from the checkout's configs/iam, or merge that into it. Raises StepFailed."""
    log = layout.logs / "repository.log"
    # A copy of its own: who is hired in a story is not hired in the checkout.
    layout.roster.parent.mkdir(mode=0o700, exist_ok=True)
    files.write(layout.roster, (layout.checkout / "configs" / "hr" / "roster.csv").read_text())
    commands.run(
        [layout.python, "-m", "admin_sync.repository", layout.checkout / "configs" / "iam"],
        log=log,
        environment=environment,
        cwd=layout.checkout,
    )
    said = log.read_text(errors="replace").strip().splitlines()[-1:]
    return UNCHANGED if said == ["unchanged"] else "".join(said)[:120]


def service(layout: Layout, ports: Mapping[str, int], environment: Mapping[str, str]) -> Service:
    """The reconciler. Alone of all services it has Keycloak's administration, the bundle's key and the repository."""
    url = f"http://127.0.0.1:{ports['reconciler']}"
    sources = [layout.checkout / name for name in ("admin_sync", "identity", "realm/base", "policy")]
    others = ("VAULT_", "SESSION_BROKER_", "ACCESS_OWNER_", "ACCESS_DATABASE_", "ACCESS_APPROVAL_", "PROXY_")
    # What configs/iam is filled in with has to be the same here as where `make up` applies it.
    asked = _asked(layout)
    outside = {name: os.environ[name] for name in asked if name in os.environ}
    return Service(
        name="reconciler",
        command=(str(layout.venv / "bin" / "admin-sync"), "reconcile"),
        url=url,
        # Ready means that every realm is as declared, which may wait for a person; up is when it answers.
        health=f"{url}/health/live",
        cwd=str(layout.checkout),
        environment={
            **outside,
            **{key: value for key, value in environment.items() if key in asked or not key.startswith(others)},
        },
        death=15,
        # A realm that is being written is finished; that takes seconds, or half a minute where Keycloak fails.
        stop_seconds=40.0,
        revision=digest([*sources, layout.environment]),
    )


def _asked(layout: Layout) -> frozenset[str]:
    """The variables that the configuration is filled in with. A secret is none of them: the loader refuses it."""
    folders = [layout.checkout / "configs" / "iam", layout.checkout / "realm" / "base"]
    texts = [path.read_text() for folder in folders for path in sorted(folder.glob("*.yaml"))]
    return frozenset(name for text in texts for name in re.findall(r"(?:\$\{|enabled_if: )([A-Z][A-Z0-9_]*)", text))
