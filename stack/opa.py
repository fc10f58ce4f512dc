"""OPA: found on PATH, or built once with Go into the checkout's tools; and how the stack runs it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

MINIMUM = (1, 21, 3)
"""Older ones accept a bundle whose signature can be bypassed."""

BUILD = "github.com/open-policy-agent/opa@v1.22.2"


class OpaMissing(Exception):
    """There is no OPA and none can be built; the text says what to install."""


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
    for candidate in (Path(on_path) if on_path else None, tools / "bin" / "opa"):
        if candidate is not None and candidate.exists() and (version(candidate) or ()) >= MINIMUM:
            return candidate.absolute()
    return None


def build(tools: Path, log: Path) -> Path:
    """Build OPA with Go into `tools`. Raises OpaMissing where there is no Go, or where the build fails."""
    go = shutil.which("go")
    if go is None:
        raise OpaMissing(f"no OPA >= {'.'.join(map(str, MINIMUM))} on PATH and no Go to build it: install either")
    (tools / "bin").mkdir(parents=True, exist_ok=True)
    # CGO off: without it Go needs no C compiler, and nothing that the stack uses is lost.
    environment = {**os.environ, "GOBIN": str(tools / "bin"), "CGO_ENABLED": "0", "GOFLAGS": "-trimpath"}
    with log.open("wb") as output:
        done = subprocess.run(
            [go, "install", "-ldflags=-s -w", BUILD], env=environment, stdout=output, stderr=output, check=False
        )
    found = find(tools)
    if done.returncode != 0 or found is None:
        raise OpaMissing(f"building OPA with Go failed ({done.returncode}); see {log}")
    return found
