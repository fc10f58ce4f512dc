"""audit verify and audit reconcile: the proofs that an audit file is whole, and that it has everything."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import orjson
import typer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from admin_sync.audit_reconcile.run import Asked, Outcome, reconcile
from admin_sync.audit_reconcile.written import milliseconds
from admin_sync.commands.arguments import command, group
from admin_sync.commands.options import Options
from admin_sync.console import CHANGES, DONE, FAILED
from admin_sync.desired import realm_name
from admin_sync.errors import Misconfigured
from admin_sync.keycloak.connection import Connection
from admin_sync.settings import seconds
from identity.audit.verify import verify_file

app = group("Audit files.")

File = Annotated[Path, typer.Argument(metavar="FILE", help="An audit file.")]
Key = Annotated[
    Path | None, typer.Option("--public-key", metavar="PEM", help="The Ed25519 key that signed the checkpoints.")
]
Checkpoints = Annotated[
    Path | None, typer.Option("--checkpoints", metavar="DIR", help="Default: `checkpoints` beside the file.")
]

Since = Annotated[
    str | None,
    typer.Option("--since", metavar="TIME", help="RFC 3339. Default: a little before where the last run ended."),
]
Settle = Annotated[
    str, typer.Option("--settle", metavar="DURATION", help="How old an event has to be; 0s where all nodes write here.")
]
Also = Annotated[
    list[Path] | None, typer.Option("--also", metavar="FILE", help="The audit file of another node; may be repeated.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Append nothing, sign nothing, remember nothing.")]
Detailed = Annotated[bool, typer.Option("--detailed-exitcode", help="Exit 2 if events were missing.")]
Every = Annotated[
    str | None, typer.Option("--every", metavar="DURATION", help="Go on: a run now, and one so long after each.")
]
ReportFile = Annotated[
    Path | None, typer.Option("--report", metavar="FILE", help="Write the report there as JSON, too.")
]


@command(app, "verify")
def audit_verify(options: Options, *, file: File, key: Key = None, checkpoints: Checkpoints = None) -> int:
    """Prove that no line was edited, removed, inserted or moved; names the first that was."""
    signer = None if key is None else public_key(key)
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


@command(app, "reconcile")
def audit_reconcile(
    options: Options,
    *,
    since: Since = None,
    settle: Settle = "1m",
    also: Also = None,
    dry_run: DryRun = False,
    detailed_exitcode: Detailed = False,
    report: ReportFile = None,
    every: Every = None,
) -> int:
    """Hold Keycloak's own events against the audit file, append what is missing, and sign where the chains stand."""
    document = options.document()
    realms = [realm_name(document, environment) for environment in options.wanted(document)]
    begin = None if since is None else _time(since)
    wait = 0 if settle == "0s" else seconds("--settle", settle) * 1000
    made = options.settings()
    connection = Connection(made.account(), parallel=made.parallelism)
    asked = Asked(realms, begin, wait, tuple(also or ()), dry_run)

    def run() -> Outcome:
        outcome = reconcile(connection, made, asked, options.console.progress)
        _report(options, outcome, report)
        return outcome

    if every is not None:
        _go_on(options, run, float(seconds("--every", every)))
        return DONE
    outcome = run()
    if not outcome.ok and not (dry_run and outcome.missing):
        return FAILED
    return CHANGES if outcome.missing and detailed_exitcode else DONE


def _go_on(options: Options, run: Callable[[], Outcome], pause: float) -> None:
    # Loaded here: a single run serves no metrics.
    from admin_sync.audit_reconcile.repeated import DEFAULT_LISTEN, repeat  # noqa: PLC0415

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    repeat(run, pause, options.environ.get("ADMIN_SYNC_AUDIT_LISTEN") or DEFAULT_LISTEN, stop, options.console.say)


def _report(options: Options, outcome: Outcome, report: Path | None) -> None:
    content = {
        "version": 1,
        "file": str(outcome.file),
        "realms": [one.json() for one in outcome.realms],
        "chains": None
        if outcome.chains is None
        else {
            "ok": outcome.chains.ok,
            "problem": outcome.chains.problem,
            "checkpoints": [note.name for note in outcome.chains.notes],
        },
        "ok": outcome.ok,
    }
    if report is not None:
        report.write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2) + b"\n")
    if options.console.as_json:
        options.console.json(content)
    _tell(options, outcome)


def _tell(options: Options, outcome: Outcome) -> None:
    console = options.console
    for one in outcome.realms:
        found = one.findings
        if not console.as_json:
            console.data(
                f"{one.realm}: {found.stored} events stored, {found.written} written, {found.pending} pending, "
                f"{len(found.missing)} missing, {one.appended} appended\n"
            )
        if not (one.kept.user and one.kept.admin):
            console.complain(f"{one.realm}: it does not store all its events, so nothing proves that none was lost")
        if found.doubled:
            console.complain(
                f"{one.realm}: {len(found.doubled)} events have several lines: {', '.join(found.doubled[:3])}"
            )
    if outcome.chains is None:
        return
    if not outcome.chains.ok:
        console.complain(f"{outcome.file}: {outcome.chains.problem}; no checkpoint was signed")
    elif not outcome.chains.notes:
        console.say("TRADEPULSE_AUDIT_CHECKPOINT_KEY_FILE is not set, so no checkpoint was signed")


def _time(text: str) -> int:
    try:
        return milliseconds(text)
    except ValueError:
        raise Misconfigured("--since: write a time such as 2026-11-23T00:00:00Z") from None


def public_key(path: Path) -> Ed25519PublicKey:
    """The key in a PEM file. Raises Misconfigured."""
    try:
        key = load_pem_public_key(path.read_bytes())
    except (OSError, ValueError) as problem:
        raise Misconfigured(
            f"--public-key {path}: {type(problem).__name__}; it has to be an Ed25519 key in PEM"
        ) from None
    if not isinstance(key, Ed25519PublicKey):
        raise Misconfigured(f"--public-key {path}: the key is not an Ed25519 key")
    return key
