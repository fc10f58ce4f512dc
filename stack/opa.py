"""OPA: found on PATH, or built once with Go into the checkout's tools; and how the stack runs it.

python -m stack.opa      prints the path of the one that is used
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from stack.layout import Layout
from stack.service import Service
from stack.steps import StepFailed

MINIMUM = (1, 21, 3)
"""Older ones accept a bundle whose signature can be bypassed."""

OLDEST_GO = (1, 21)

BUILD = "github.com/open-policy-agent/opa@v1.22.2"


def version(binary: Path) -> tuple[int, ...] | None:
    """The version of an OPA binary, None if it is not one that runs."""
    try:
        told = subprocess.run([str(binary), "version"], capture_output=True, text=True, check=True, timeout=30).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r"^Version: (\d+)\.(\d+)\.(\d+)", told, re.MULTILINE)
    return tuple(map(int, found.groups())) if found else None


def find(tools: Path) -> Path | None:
    """A new enough OPA: the one on PATH, else the one that we built into `tools`; None if there is neither."""
    on_path = shutil.which("opa")
    for candidate in (Path(on_path) if on_path else None, built(tools)):
        if candidate is not None and candidate.exists() and (version(candidate) or ()) >= MINIMUM:
            return candidate.absolute()
    return None


def go_builds_it(program: Path) -> bool:
    """Whether this Go is new enough to build OPA: since 1.21 it fetches a newer one by itself where needed."""
    try:
        told = subprocess.run([str(program), "version"], capture_output=True, text=True, check=True, timeout=30).stdout
    except (OSError, subprocess.SubprocessError):
        return False
    found = re.search(r"\bgo(\d+)\.(\d+)", told)
    return found is not None and (int(found.group(1)), int(found.group(2))) >= OLDEST_GO


def built(tools: Path) -> Path:
    """Where Go puts the OPA that we build."""
    return tools / "bin" / "opa"


def go() -> Path | None:
    """A Go that can build OPA, None if there is none."""
    found = shutil.which("go")
    return Path(found) if found and go_builds_it(Path(found)) else None


def services(layout: Layout, ports: Mapping[str, int]) -> tuple[Service, Service]:
    """The server of the published bundle, and the OPA that polls it. Both may be killed at any time."""
    bundles = Service(
        name="bundles",
        command=(
            str(layout.python), "-m", "admin_sync.bundle.serve",
            "--directory", str(layout.bundles), "--bind", f"127.0.0.1:{ports['bundles']}",
        ),
        url=f"http://127.0.0.1:{ports['bundles']}",
        health=f"tcp://127.0.0.1:{ports['bundles']}",
        cwd=str(layout.checkout),
    )  # fmt: skip
    binary = find(layout.tools)
    if binary is None:
        raise StepFailed("no OPA; run `make up`")
    decisions = Service(
        name="opa",
        command=(
            str(binary), "run", "--server", f"--addr=127.0.0.1:{ports['opa']}", "--skip-version-check",
            f"--config-file={layout.opa_config}", "--log-level=info", "--log-level-request=error",
        ),
        url=f"http://127.0.0.1:{ports['opa']}",
        health=f"http://127.0.0.1:{ports['opa']}/health",
        cwd=str(layout.state),
    )  # fmt: skip
    return bundles, decisions


if __name__ == "__main__":
    print(find(Layout.here().tools) or "opa")
