"""audit verify: the proof that an audit file is whole."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from admin_sync.commands.arguments import command, group
from admin_sync.commands.options import Options
from admin_sync.console import DONE, FAILED
from admin_sync.errors import Misconfigured
from identity.audit.verify import verify_file

app = group("Audit files.")

File = Annotated[Path, typer.Argument(metavar="FILE", help="An audit file.")]
Key = Annotated[
    Path | None, typer.Option("--public-key", metavar="PEM", help="The Ed25519 key that signed the checkpoints.")
]
Checkpoints = Annotated[
    Path | None, typer.Option("--checkpoints", metavar="DIR", help="Default: `checkpoints` beside the file.")
]


@command(app, "verify")
def audit_verify(options: Options, *, file: File, key: Key = None, checkpoints: Checkpoints = None) -> int:
    """Prove that no line was edited, removed, inserted or moved; names the first that was."""
    signer = None if key is None else _public_key(key)
    if signer is None and checkpoints is not None:
        raise Misconfigured("--checkpoints needs --public-key")
    folder = None if signer is None else checkpoints or file.parent / "checkpoints"
    report = verify_file(file, folder, signer)
    heads = [{"chain": str(chain), "seq": head.seq} for chain, head in report.heads.items()]
    if options.console.as_json:
        bad = report.bad
        first = None if bad is None else {"line": bad.line, "chain": str(bad.chain), "seq": bad.seq, "why": bad.why}
        options.console.json(
            {
                "file": str(file),
                "ok": report.ok,
                "lines": report.lines,
                "checkpoints": report.checkpoints,
                "chains": heads,
                "torn_bytes": report.torn_bytes,
                "first_bad": first,
                "bad_checkpoints": list(report.bad_checkpoints),
            }
        )
    elif report.ok:
        options.console.data(f"{file}: {report.lines} lines in {len(heads)} chains hold")
        options.console.data(
            f", {report.checkpoints} checkpoints met\n" if signer else "; no checkpoints were asked for\n"
        )
    if report.bad is not None:
        options.console.complain(f"{file}: {report.bad}")
    for problem in report.bad_checkpoints:
        options.console.complain(f"{file}: {problem}")
    if report.torn_bytes:
        options.console.say(f"{file}: the last line was cut off ({report.torn_bytes} bytes); the next writer mends it")
    return DONE if report.ok else FAILED


def _public_key(path: Path) -> Ed25519PublicKey:
    try:
        key = load_pem_public_key(path.read_bytes())
    except (OSError, ValueError) as problem:
        raise Misconfigured(
            f"--public-key {path}: {type(problem).__name__}; it has to be an Ed25519 key in PEM"
        ) from None
    if not isinstance(key, Ed25519PublicKey):
        raise Misconfigured(f"--public-key {path}: the key is not an Ed25519 key")
    return key
