"""Java and Maven as they are on this machine."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from stack.files import locked
from stack.layout import Layout
from stack.steps import Commands, StepFailed

OLDEST = 17


def java() -> Path:
    """The Java that runs Keycloak: JAVA_HOME's, else the one on PATH. Raises StepFailed if there is none."""
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=str(Path(home) / "bin")) if home else shutil.which("java")
    if found is None:
        raise StepFailed("no java: install a JDK of version 17 or newer")
    return Path(found)


def version(program: Path) -> int | None:
    """The major version of a Java, None if it does not run."""
    try:
        told = subprocess.run([str(program), "-version"], capture_output=True, text=True, check=True, timeout=30).stderr
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r'version "(?:1\.)?(\d+)', told)
    return int(found.group(1)) if found else None


def maven(arguments: Sequence[str | Path], layout: Layout, commands: Commands, *, log: str) -> None:
    """Run Maven in batch mode. One at a time: its local repository is not made for two. Raises StepFailed."""
    with locked(layout.tools / "maven.lock"):
        commands.run(
            ["mvn", "-B", "-ntp", *arguments],
            log=layout.logs / f"{log}.log",
            # A small heap compiler is enough here and starts sooner on a machine with two cores.
            environment={"MAVEN_OPTS": f"{os.environ.get('MAVEN_OPTS', '')} -XX:TieredStopAtLevel=1".strip()},
            cwd=layout.checkout,
        )
