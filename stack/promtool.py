"""promtool, which tests the alert rules: found on PATH, or had once from Debian or Go into the checkout's tools.

python -m stack.promtool      prints the path of the one that is used

Debian's package `prometheus` would start a server as it is installed. So it is only unpacked, and needs no root.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

from stack import opa
from stack.files import locked
from stack.layout import Layout
from stack.steps import Commands, StepFailed

BUILD = "github.com/prometheus/prometheus/cmd/promtool@v0.305.0"
DOWNLOAD = ("apt-get", "-qq", "download", "prometheus")


def ensure(layout: Layout, commands: Commands) -> Path:
    """The program, fetched or built now if it is not there. Raises StepFailed."""
    on_path = shutil.which("promtool")
    if on_path:
        return Path(on_path)
    program = layout.tools / "bin" / "promtool"
    program.parent.mkdir(parents=True, exist_ok=True)
    with locked(layout.tools / "promtool.lock"):
        if not program.exists():
            log = layout.tools / "promtool.log"
            try:
                _from_debian(program, commands, log)
            except StepFailed:
                opa.install(BUILD, layout.tools, commands, log)
    return program


def _from_debian(program: Path, commands: Commands, log: Path) -> None:
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise StepFailed("this is no Debian")
    with tempfile.TemporaryDirectory(dir=program.parent) as folder:
        try:
            commands.run(DOWNLOAD, log=log, cwd=Path(folder))
        except StepFailed:
            # A machine that has installed nothing yet knows of no package.
            if os.geteuid() != 0:
                raise
            commands.run(["apt-get", "-qq", "update"], log=log)
            commands.run(DOWNLOAD, log=log, cwd=Path(folder))
        found = sorted(Path(folder).glob("prometheus_*.deb"))
        if not found:
            raise StepFailed(f"apt-get downloaded nothing; see {log}")
        commands.run(["dpkg-deb", "--extract", found[0], Path(folder) / "unpacked"], log=log)
        # Renamed at the end, so that nobody finds half of it.
        (Path(folder) / "unpacked" / "usr" / "bin" / "promtool").replace(program)


if __name__ == "__main__":
    sys.stdout.write(f"{ensure(Layout.here(), Commands())}\n")
