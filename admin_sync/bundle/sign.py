"""One call of `opa build`, which packs a directory and signs every file in it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from admin_sync.bundle.errors import SigningFailed
from admin_sync.bundle.keys import ALGORITHM, KEY_ID, SCOPE, public_key

ROOT = "tradepulse"
"""The one subtree that the bundle owns. OPA lets nothing else write there."""


def signed_bundle(files: Mapping[str, bytes], *, revision: str, key: Path, opa: Path) -> bytes:
    """A signed snapshot of `files` (path inside the bundle to content) as `.tar.gz`.

    The key is passed by its path; it is never an argument, and OPA reads it itself.
    Raises KeyUnusable and SigningFailed.
    """
    public_key(key)
    with TemporaryDirectory(prefix="tradepulse-bundle-") as scratch:
        stage, target, claims = Path(scratch, "stage"), Path(scratch, "bundle.tar.gz"), Path(scratch, "claims.json")
        for name, content in files.items():
            path = stage / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        manifest = {"revision": revision, "roots": [ROOT], "rego_version": 1}
        (stage / ".manifest").write_text(json.dumps(manifest))
        claims.write_text(json.dumps({"keyid": KEY_ID, "scope": SCOPE}))
        # From inside, because OPA would write the scratch folder's name into the bundle otherwise.
        command: list[str | Path] = [opa, "build", "--bundle", ".", "--output", target, "--revision", revision]
        command += ["--signing-alg", ALGORITHM, "--signing-key", key.resolve(), "--claims-file", claims]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=stage)  # noqa: S603
        if done.returncode != 0:
            raise SigningFailed(f"opa build failed ({done.returncode}), nothing was published:\n{done.stderr.strip()}")
        return target.read_bytes()
