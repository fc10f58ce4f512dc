"""The Debian image that all others begin with, made by debootstrap from the mirrors that apt here knows."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from stack.images.recipes import BASE
from stack.steps import Commands, StepFailed

SUITE = "bookworm"

_ASK = ("apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages")


def sources() -> list[str]:
    """Lines for sources.list: the suite's, its updates' and its security fixes', as this machine has them.

    Raises StepFailed where apt here has none of them: an image without security fixes is no image for a bank.
    """
    told = subprocess.run(_ASK, capture_output=True, text=True, check=False)
    found = sorted(set(told.stdout.splitlines())) if told.returncode == 0 else []
    lines = [
        f"deb {address} {suite} main"
        for address, suite, component in (line.split(" ", 2) for line in found if line.count(" ") == 2)
        if component == "main" and suite in (SUITE, f"{SUITE}-updates", f"{SUITE}-security")
    ]
    for suite in (SUITE, f"{SUITE}-security"):
        if not any(f" {suite} " in line for line in lines):
            raise StepFailed(
                f"apt knows no mirror of {suite}: `make images` takes Debian from where this machine does; "
                "run it on Debian 12 with its security suite, or import an image of your own as "
                f"{BASE} and repeat with KEEP_BASE=1"
            )
    return lines


def build(docker: Sequence[str], place: Path, commands: Commands, logs: Path) -> None:
    """Make and import the image. Needs root, as debootstrap does. Raises StepFailed."""
    if os.geteuid() != 0:
        raise StepFailed("debootstrap needs root: run `sudo make images`")
    program = shutil.which("debootstrap") or shutil.which("debootstrap", path="/usr/sbin:/sbin")
    if program is None:
        raise StepFailed("install debootstrap")
    lines = sources()
    mirror = next(line.split()[1] for line in lines if line.split()[2] == SUITE)
    root = place / "base"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    commands.run([program, "--variant=minbase", SUITE, root, mirror], log=logs / "debootstrap.log")
    (root / "etc" / "apt" / "sources.list").write_text("\n".join(lines) + "\n")
    # Packages that came with the suite and were fixed since.
    script = "apt-get update -qq && apt-get dist-upgrade -y -qq && apt-get clean && rm -rf /var/lib/apt/lists/*"
    commands.run(["chroot", root, "sh", "-c", script], log=logs / "upgrade.log")
    archive = place / "base.tar"
    commands.run(["tar", "-C", root, "--numeric-owner", "-cf", archive, "."], log=logs / "base-tar.log")
    commands.run([*docker, "import", archive, BASE], log=logs / "import.log")
    archive.unlink()
    shutil.rmtree(root)
