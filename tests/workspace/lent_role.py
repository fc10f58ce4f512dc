"""A configuration of a test's own in the policy, or a role for somebody whom configs/iam does not name, for a while."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from stack.layout import CHECKOUT

if TYPE_CHECKING:
    from workspace_world import Somebody

    from tests.conftest import Stack


@contextmanager
def lent(stack: Stack, somebody: Somebody, role: str, folder: Path) -> Iterator[None]:
    """The role in dev, by a bundle of a configuration of the test's own in `folder`; afterwards the stack's again."""
    mapping = f"/tradepulse-dev/users/{somebody.id}/role-mappings/realm"
    stack.admin.post(mapping, [stack.admin.get(f"/tradepulse-dev/roles/{role}")])
    shutil.copytree(CHECKOUT / "configs" / "iam", folder)
    now = datetime.now(UTC)
    given = f"{now - timedelta(minutes=9):%Y-%m-%dT%H:%M:%SZ}"
    said = {"manager": "manager.one", "system_owner": "owner.one", "security": "security.one"}
    approvals = "".join(
        f"      - {{by: {who}@tradepulse.example, as: {capacity}, at: {given}}}\n" for capacity, who in said.items()
    )
    bindings = folder / "role_bindings.yaml"
    bindings.write_text(
        f"{bindings.read_text().rstrip()}\n"
        f"  - subject: {{user: {somebody.email}}}\n"
        f"    role: {role}\n"
        "    environments: [dev]\n"
        f"    expires: {now + timedelta(hours=2):%Y-%m-%dT%H:%M:%SZ}\n"
        "    request: REQ-900002\n"
        "    justification: A test looks at what this role sees.\n"
        f"    approvals:\n{approvals}"
    )
    with published(stack, folder):
        yield


@contextmanager
def published(stack: Stack, config: Path) -> Iterator[None]:
    """The bundle of another configuration; afterwards the stack's again."""
    _publish(stack, config)
    yield
    _publish(stack, Path(stack.env.get("ADMIN_SYNC_CONFIG", CHECKOUT / "configs" / "iam")))


def _publish(stack: Stack, config: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "admin_sync", "bundle", "publish", "--config", str(config)],
        cwd=CHECKOUT,
        env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **stack.env},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
