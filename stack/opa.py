"""OPA: found on PATH, or built once with Go into the checkout's tools; and how the stack runs it.

python -m stack.opa      prints the path of the one that is used
"""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from stack.files import digest
from stack.layout import Layout
from stack.service import Service
from stack.steps import Commands, StepFailed

MINIMUM = (1, 21, 3)
"""Older ones accept a bundle whose signature can be bypassed."""

NEEDED_GO = "1.26.0"
"""What OPA's go.mod asks for."""
OLDEST_GO = (1, 19)
"""A Go from 1.21 on fetches the one that a module needs by itself; for an older one (Debian 12) we ask it to."""

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


def go_version(program: Path) -> tuple[int, int] | None:
    """Major and minor version of a Go, None if it does not run."""
    try:
        told = subprocess.run([str(program), "version"], capture_output=True, text=True, check=True, timeout=30).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r"\bgo(\d+)\.(\d+)", told)
    return (int(found.group(1)), int(found.group(2))) if found else None


def built(tools: Path) -> Path:
    """Where Go puts the OPA that we build."""
    return tools / "bin" / "opa"


def go() -> Path | None:
    """A Go that can build OPA, or fetch one that can; None if there is none."""
    found = shutil.which("go")
    return Path(found) if found and (go_version(Path(found)) or (0, 0)) >= OLDEST_GO else None


def build(tools: Path, commands: Commands, log: Path) -> None:
    """Build OPA into `tools` with Go. Raises StepFailed."""
    install(BUILD, tools, commands, log)
    if find(tools) is None:
        raise StepFailed(f"Go built an OPA in {built(tools).parent} that does not run; see {log}")


def install(module: str, tools: Path, commands: Commands, log: Path) -> None:
    """Build a Go program, given as `module/path@version`, into `tools`/bin. Raises StepFailed."""
    target = tools / "bin"
    target.mkdir(parents=True, exist_ok=True)
    commands.run(
        [_compiler(module, tools, commands, log), "install", "-ldflags=-s -w", module],
        log=log,
        # Without C Go needs no C compiler, and nothing that the stack uses is lost.
        environment={"GOBIN": str(target), "CGO_ENABLED": "0"},
    )


def build_in(folder: Path, binary: Path, tools: Path, commands: Commands, log: Path) -> None:
    """Build the Go program of a folder, exactly as its go.sum says, when nothing else needs the machine.

    Raises StepFailed.
    """
    binary.parent.mkdir(parents=True, exist_ok=True)
    compiler = _compiler(folder.name, tools, commands, log)
    commands.run(
        ["nice", "-n", "19", compiler, "build", "-ldflags=-s -w", "-o", binary, "."],
        log=log,
        environment={"CGO_ENABLED": "0"},
        cwd=folder,
    )


def _compiler(wanted: str, tools: Path, commands: Commands, log: Path) -> Path:
    compiler = go()
    if compiler is None:
        raise StepFailed(f"no Go to build {wanted}: install it")
    if (go_version(compiler) or (0, 0)) < (1, 21):
        return _newer_go(compiler, tools, commands, log)
    return compiler


def _newer_go(old: Path, tools: Path, commands: Commands, log: Path) -> Path:
    """The Go that OPA needs, which Go publishes as a module with a checksum like any other."""
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    module = f"golang.org/toolchain@v0.0.1-go{NEEDED_GO}.linux-{machine}"
    place = tools / "go"
    commands.run(
        [old, "mod", "download", "-json", module],
        log=log,
        environment={"GOMODCACHE": str(place), "GOFLAGS": "-modcacherw"},
    )
    root = place / module
    # A module's files carry no permissions, so its programs have to be made programs again.
    for program in (*(root / "bin").iterdir(), *(root / "pkg" / "tool").rglob("*")):
        program.chmod(0o755)
    return root / "bin" / "go"


def services(layout: Layout, ports: Mapping[str, int]) -> tuple[Service, Service]:
    """The server of the published bundle and of what OPA reports, and the OPA. Both may be killed at any time."""
    bundles = Service(
        name="bundles",
        command=(
            str(layout.python), "-m", "admin_sync.bundle.serve",
            "--directory", str(layout.bundles), "--bind", f"127.0.0.1:{ports['bundles']}",
            "--reports-token-file", str(layout.secret("opa-reports")),
        ),
        environment={
            "TRADEPULSE_AUDIT_DIR": str(layout.audit),
            "TRADEPULSE_NODE": platform.node() or "node",
            "TRADEPULSE_AUDIT_CHECKPOINT_KEY_FILE": str(layout.secret("audit-checkpoint.pem")),
        },
        # New code takes effect only in a new process.
        revision=digest([layout.checkout / "admin_sync" / "bundle", layout.checkout / "identity"]),
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
        revision=digest([layout.opa_config]),
    )  # fmt: skip
    return bundles, decisions


if __name__ == "__main__":
    print(find(Layout.here().tools) or "opa")
