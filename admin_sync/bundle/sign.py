"""One call of `opa build`, which packs a directory and signs every file in it; another one verifies."""

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
            raise SigningFailed(f"opa build failed ({done.returncode}), nothing was published:\n{said(done)}")
        return target.read_bytes()


def is_genuine(bundle: Path, *, key: Path, opa: Path) -> bool:
    """True if `bundle` is whole and signed by `key`, as the OPA that loads it would judge. Raises KeyUnusable."""
    with TemporaryDirectory(prefix="tradepulse-bundle-") as scratch:
        public = Path(scratch, "public.pem")
        public.write_text(public_key(key))
        command: list[str | Path] = [opa, "build", "--bundle", bundle, "--output", Path(scratch, "again.tar.gz")]
        command += ["--verification-key", public, "--verification-key-id", KEY_ID]
        command += ["--signing-alg", ALGORITHM, "--scope", SCOPE]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)  # noqa: S603
        return done.returncode == 0


def said(done: subprocess.CompletedProcess[str]) -> str:
    """What a failed OPA had to say; it prints some of its errors to stdout."""
    return "\n".join(part.strip() for part in (done.stderr, done.stdout) if part.strip())
