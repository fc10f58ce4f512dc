"""One call of `opa build`, which packs a directory and signs every file in it; another one verifies.

OPA's own signature has a random number in it, so the same input would give other bytes each time. What
OPA would have signed is therefore signed once more with a number that follows from key and content
(RFC 6979), which also takes the random number generator out of what can go wrong.
"""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from admin_sync.bundle.archive import packed, unpacked
from admin_sync.bundle.errors import SigningFailed
from admin_sync.bundle.keys import ALGORITHM, KEY_ID, SCOPE, public_key, signature

ROOT = "tradepulse"
"""The one subtree that the bundle owns. OPA lets nothing else write there."""

_SIGNATURES = "/.signatures.json"


def signed_bundle(files: Mapping[str, bytes], *, revision: str, key: Path, opa: Path) -> bytes:
    """A signed snapshot of `files` (path inside the bundle to content) as `.tar.gz`, always the same bytes.

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
        made = unpacked(target.read_bytes())
    return packed({**made, _SIGNATURES: _signed_again(made, key)})


def _signed_again(made: Mapping[str, bytes], key: Path) -> bytes:
    """OPA's signature file with the same claims, signed deterministically. Raises SigningFailed."""
    try:
        header, claims, _ = json.loads(made[_SIGNATURES])["signatures"][0].split(".")
        document = json.loads(base64.urlsafe_b64decode(claims + "=="))
        document["files"].sort(key=lambda file: file["name"])
    except (KeyError, IndexError, TypeError, ValueError):
        raise SigningFailed("opa build made no signature that can be read, nothing was published") from None
    signed = f"{header}.{_base64(json.dumps(document, sort_keys=True, separators=(',', ':')).encode())}"
    numbers = decode_dss_signature(signature(key, signed.encode()))
    raw = b"".join(number.to_bytes(32, "big") for number in numbers)
    return json.dumps({"signatures": [f"{signed}.{_base64(raw)}"]}).encode()


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def is_genuine(content: bytes, *, key: Path, opa: Path) -> bool:
    """True if a bundle is whole and signed by `key`, as the OPA that loads it would judge. Raises KeyUnusable."""
    with TemporaryDirectory(prefix="tradepulse-bundle-") as scratch:
        public, bundle = Path(scratch, "public.pem"), Path(scratch, "bundle.tar.gz")
        public.write_text(public_key(key))
        bundle.write_bytes(content)
        command: list[str | Path] = [opa, "build", "--bundle", bundle, "--output", Path(scratch, "again.tar.gz")]
        command += ["--verification-key", public, "--verification-key-id", KEY_ID]
        command += ["--signing-alg", ALGORITHM, "--scope", SCOPE]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)  # noqa: S603
        return done.returncode == 0


def said(done: subprocess.CompletedProcess[str]) -> str:
    """What a failed OPA had to say; it prints some of its errors to stdout."""
    return "\n".join(part.strip() for part in (done.stderr, done.stdout) if part.strip())
