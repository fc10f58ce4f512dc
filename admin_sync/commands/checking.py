"""audit verify and doctor: proofs and reachability, one line each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from admin_sync.bundle.errors import BundleError
from admin_sync.bundle.keys import public_key
from admin_sync.bundle.opa_binary import find_opa
from admin_sync.bundle.published import read_published
from admin_sync.commands.options import Options
from admin_sync.console import DONE, FAILED
from admin_sync.desired.facts import Unknown, gather
from admin_sync.errors import AdminSyncError, Misconfigured
from admin_sync.keycloak.connection import Connection, KeycloakProblem, segment
from admin_sync.settings import Settings
from identity.audit.verify import verify_file


def audit_verify(options: Options, file: Path, *, key: Path | None, checkpoints: Path | None) -> int:
    """Exit 0 when every chain holds, 1 when a line is bad."""
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


def doctor(options: Options) -> int:
    """Exit 0 when everything that is configured works, 1 otherwise."""
    made = options.settings()
    probes: list[tuple[str, Callable[[], str]]] = [
        ("configuration", lambda: _configuration(options)),
        ("keycloak", lambda: _keycloak(made)),
        ("opa program", lambda: str(find_opa(made.opa_bin))),
        ("bundle key", lambda: _bundle_key(made)),
        ("bundle", lambda: _bundle(made)),
        ("opa", lambda: _opa(made)),
        ("audit", lambda: _audit(made)),
        ("identity providers", lambda: _issuers(options, made)),
    ]
    report = []
    for name, probe in probes:
        try:
            state, said = "ok", probe()
        except _NotSet as absent:
            state, said = "not set", str(absent)
        except (AdminSyncError, KeycloakProblem, BundleError, httpx.HTTPError, OSError) as problem:
            state, said = "failed", str(problem).splitlines()[0] if str(problem) else type(problem).__name__
        report.append({"check": name, "state": state, "detail": said})
        if not options.console.as_json:
            options.console.data(f"{state:8}{name}: {said}\n")
    if options.console.as_json:
        options.console.json({"checks": report})
    return FAILED if any(one["state"] == "failed" for one in report) else DONE


class _NotSet(Exception):
    """A probe of something that the settings do not ask for."""


def _configuration(options: Options) -> str:
    document = options.document()
    return f"{options.config} is valid for {', '.join(document.environments)}"


def _keycloak(made: Settings) -> str:
    account = made.account()
    found = Connection(account, timeout=10).get(f"/{segment(account.realm)}")
    return f"{account.url} takes {account.client_id} of realm {found['realm']}"


def _bundle_key(made: Settings) -> str:
    if made.bundle_key_file is None:
        raise _NotSet("ADMIN_SYNC_BUNDLE_KEY_FILE")
    public_key(made.bundle_key_file)
    return f"{made.bundle_key_file} can sign"


def _bundle(made: Settings) -> str:
    if made.bundle_dir is None:
        raise _NotSet("ADMIN_SYNC_BUNDLE_DIR")
    meta = read_published(made.bundle_dir)
    if meta is None:
        raise Misconfigured(f"{made.bundle_dir} has no bundle yet; run: admin-sync bundle publish")
    return f"revision {meta.revision}{', frozen' if meta.frozen else ''}"


def _opa(made: Settings) -> str:
    if made.opa_url is None:
        raise _NotSet("ADMIN_SYNC_OPA_URL")
    answer = httpx.get(f"{made.opa_url.rstrip('/')}/health", timeout=5)
    answer.raise_for_status()
    return f"{made.opa_url} is healthy"


def _audit(made: Settings) -> str:
    made.audit_dir.mkdir(parents=True, exist_ok=True)
    probe = made.audit_dir / ".doctor"
    probe.write_bytes(b"")
    probe.unlink()
    return f"{made.audit_dir} can be written"


def _issuers(options: Options, made: Settings) -> str:
    document = options.document()
    facts = gather(document, options.wanted(document), made.jwks_dir)
    problems = [one.reason for one in facts.discovered.values() if isinstance(one, Unknown)]
    problems += [f"{alias}: {one.reason}" for alias, one in facts.secrets.items() if isinstance(one, Unknown)]
    if problems:
        raise Misconfigured("; ".join(problems))
    return f"{len(facts.discovered)} issuers answer"
