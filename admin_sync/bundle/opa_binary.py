"""Where the `opa` program is, and whether it is one to be trusted with signatures."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from admin_sync.bundle.errors import OpaMissing

OLDEST = (1, 21, 3)
"""Older ones accept bundles whose signature they should refuse."""

_CHECKOUT = Path(__file__).resolve().parents[2]


def find_opa(configured: str | None = None) -> Path:
    """The `opa` to use: `configured`, else ADMIN_SYNC_OPA_BIN, else PATH, else `.tools/bin/opa` of the checkout.

    Raises OpaMissing when there is none, or only one that is too old to verify bundles properly.
    A place that was named explicitly is never replaced by another silently.
    """
    named = configured or os.environ.get("ADMIN_SYNC_OPA_BIN")
    found = shutil.which(named) if named else shutil.which("opa") or shutil.which(_CHECKOUT / ".tools/bin/opa")
    wanted = ".".join(map(str, OLDEST))
    if found is None:
        where = f"{named!r} (ADMIN_SYNC_OPA_BIN)" if named else "neither PATH nor .tools/bin of the checkout"
        raise OpaMissing(
            f"no opa program: looked at {where}. Install OPA {wanted} or newer, run `make up`, which builds it, "
            "or set ADMIN_SYNC_OPA_BIN to its path"
        )
    version = version_of(Path(found))
    if version < OLDEST:
        raise OpaMissing(f"{found} is OPA {'.'.join(map(str, version))}, but bundles need {wanted} or newer")
    return Path(found)


def version_of(opa: Path) -> tuple[int, ...]:
    """The version that a program says it is. Raises OpaMissing if it does not answer as OPA does."""
    answer = subprocess.run([opa, "version"], capture_output=True, text=True, timeout=30, check=False)  # noqa: S603
    match = re.search(r"^Version: (\d+)\.(\d+)\.(\d+)", answer.stdout, re.MULTILINE)
    if match is None:
        raise OpaMissing(f"{opa} does not tell its version as OPA does; set ADMIN_SYNC_OPA_BIN to an opa program")
    return tuple(int(part) for part in match.groups())
