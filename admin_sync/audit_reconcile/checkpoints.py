"""Signed checkpoints for chains whose writer holds no key: Keycloak's, once they are found to hold."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from identity.audit.checkpoint import write_checkpoint
from identity.audit.verify import verify_file

KEYLESS: Final = frozenset({"keycloak"})


@dataclass(frozen=True, slots=True)
class Signed:
    """What verification said, and the notes that were signed. A file that does not hold gets none."""

    ok: bool
    problem: str | None
    notes: tuple[Path, ...]


def sign(audit: Path, key: Ed25519PrivateKey | None) -> Signed:
    """Verify an audit file against its checkpoints and sign where Keycloak's chains stand. Raises OSError."""
    folder = audit.parent / "checkpoints"
    if key is not None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    report = verify_file(audit, None if key is None else folder, None if key is None else key.public_key())
    if not report.ok:
        return Signed(False, str(report.bad or report.bad_checkpoints[0]), ())
    if key is None:
        return Signed(True, None, ())
    heads = [(chain, head) for chain, head in sorted(report.heads.items()) if chain.source in KEYLESS]
    return Signed(True, None, tuple(write_checkpoint(folder, audit.name, chain, head, key) for chain, head in heads))
