"""onboard: what a new HR roster, or events, mean for accounts and grants."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from admin_sync.commands.arguments import command, group
from admin_sync.commands.options import Options
from admin_sync.console import DONE, FAILED
from admin_sync.desired import Facts, realm_name
from admin_sync.errors import Finding, InvalidInput, Misconfigured
from admin_sync.keycloak.connection import Connection
from admin_sync.model import Current
from admin_sync.onboarding import events
from admin_sync.onboarding.invitations import Inviter, Pending, passwords_in
from admin_sync.onboarding.movement import compare, with_earlier
from admin_sync.onboarding.remembered import Remembered, alone, recall, remember
from admin_sync.onboarding.report import text
from admin_sync.onboarding.run import Onboarding, finished, refuse_implausible, still_here
from admin_sync.roster import Roster, read
from admin_sync.roster.rows import MAX_BYTES
from admin_sync.sync import Session
from admin_sync.trail import opened
from identity.durable import replace_file

app = group()

RosterFile = Annotated[
    Path | None,
    typer.Option("--roster", metavar="FILE", help="The HR roster: CSV, or SCIM-shaped JSON. Or ACCESS_ROSTER_FILE."),
]
Events = Annotated[
    Path | None,
    typer.Option("--events", metavar="FILE", help="Events since then, one JSON object a line."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")]
Leavers = Annotated[
    int | None, typer.Option("--allow-leavers", metavar="N", min=0, help="So many people may leave at once.")
]
PasswordFile = Annotated[
    Path | None,
    typer.Option(
        "--passwords", metavar="FILE", help="Where one-time passwords go, for realms without a mail server (0600)."
    ),
]
Out = Annotated[Path | None, typer.Option("--report", metavar="FILE", help="Where the report goes as JSON, too.")]


@command(app)
def onboard(
    options: Options,
    *,
    roster: RosterFile = None,
    events_file: Events = None,
    dry_run: DryRun = False,
    allow_leavers: Leavers = None,
    passwords: PasswordFile = None,
    out: Out = None,
) -> int:
    """Bring accounts in line with the HR roster; say who moved and who left. A re-run is always safe."""
    session = _session(options)
    directory = Path(options.environ.get("ADMIN_SYNC_ONBOARDING_DIR") or session.settings.audit_dir / "onboarding")
    today = datetime.now(UTC).date()
    with ExitStack() as held:
        held.enter_context(alone(directory))
        last = recall(directory)
        new = _roster(options.environ, roster, events_file, last)
        refuse_implausible(last.roster, new, today, allow_leavers)
        pending = Pending(directory)
        movement = compare(last.roster, new, today)
        begun = [email for _, email in pending.open]
        movement = with_earlier(movement, new, former=last.former, begun=begun)
        trail = held.enter_context(opened(session.settings))
        file = held.enter_context(passwords_in(None if dry_run else passwords))
        document = session.document
        realms = {name: session.gateway(name).read(realm_name(document, name)) for name in document.environments}
        inviters = _inviters(options, session, realms, pending=pending, note=trail.onboarding, passwords=file)
        wanted = options.wanted(document)
        work = Onboarding(document, new, movement, realms, inviters, wanted, dry_run, options.console.progress)
        report = work.carry_out()
        # Where only some environments were looked at, the next run must find the same people again.
        if not dry_run and finished(report) and len(wanted) == len(realms):
            remember(directory, new, still_here(movement, report))
            pending.clear()
    if out is not None:
        replace_file(out, orjson.dumps(report, option=orjson.OPT_INDENT_2) + b"\n")
    if options.console.as_json:
        options.console.json(report)
    else:
        options.console.data(text(report))
    return DONE if finished(report) else FAILED


def _session(options: Options) -> Session:
    document, made = options.in_force(), options.settings()
    return Session(document, made, Connection(made.account(), parallel=made.parallelism), Facts())


def _roster(environ: Mapping[str, str], path: Path | None, events_file: Path | None, last: Remembered) -> Roster:
    named = path or (Path(environ["ACCESS_ROSTER_FILE"]) if environ.get("ACCESS_ROSTER_FILE") else None)
    if events_file is None:
        if named is None:
            raise Misconfigured("give --roster FILE or --events FILE, or set ACCESS_ROSTER_FILE")
        return read(named)
    # Events tell what happened since the last roster, unless another is named beside them.
    base = read(path) if path is not None else last.roster or (read(named) if named is not None else None)
    if base is None:
        raise Misconfigured("there is no roster yet that events could follow; give --roster FILE as well")
    try:
        with events_file.open("rb") as file:
            data = file.read(MAX_BYTES)
    except OSError as problem:
        reason = problem.strerror or type(problem).__name__
        raise InvalidInput([Finding(str(events_file), 1, 1, "unreadable", reason)]) from None
    return events.apply(base, data, events_file.name)


def _inviters(
    options: Options, session: Session, realms: Mapping[str, Current], **shared: Any
) -> Mapping[str, Inviter]:
    """One for each environment that this run is about and whose people are local."""
    document = session.document
    return {
        name: Inviter(session.connection, realms[name].realm, name, **shared)
        for name in options.wanted(document)
        if document.policies.people.get(name) == "local"
    }
