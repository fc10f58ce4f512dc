"""certify open, status, close and verify: the operator's side of a certification, and the proof of it."""

from __future__ import annotations

import asyncio
import getpass
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from admin_sync.commands.arguments import command, group
from admin_sync.commands.options import Options
from admin_sync.console import DONE
from admin_sync.desired import realm_name
from admin_sync.errors import Interrupted, Misconfigured
from admin_sync.load.document import Document
from admin_sync.settings import seconds

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from admin_sync.access.campaigns.office import Office
    from admin_sync.certification.usage import Usage

app = group("Certification: who still needs what they hold.")

Result = TypeVar("Result")

Quarter = Annotated[
    str | None, typer.Option("--quarter", metavar="QUARTER", help="Such as 2026Q4. Default: the present one.")
]
RosterFile = Annotated[
    Path | None, typer.Option("--roster", metavar="FILE", help="The HR roster. Default: ACCESS_ROSTER_FILE.")
]
Days = Annotated[str, typer.Option("--for", metavar="DURATION", help="How long reviewers have.")]
Leavers = Annotated[
    int | None, typer.Option("--allow-leavers", metavar="N", min=0, help="So many may have left since the last roster.")
]
Orphans = Annotated[
    int | None, typer.Option("--allow-orphans", metavar="N", min=0, help="So many holders may be in no roster.")
]
NoKeycloak = Annotated[bool, typer.Option("--without-keycloak", help="Take the last use from the audit files alone.")]
Revocations = Annotated[
    int | None,
    typer.Option("--allow-revocations", metavar="N", min=0, help="Take exactly so many away, however many that is."),
]
Out = Annotated[
    Path | None, typer.Option("--out", metavar="DIR", help="Where the evidence goes. Default: beside the audit files.")
]
Evidence = Annotated[Path, typer.Argument(metavar="DIR", help="The folder of the evidence.")]
Key = Annotated[Path, typer.Option("--public-key", metavar="PEM", help="The Ed25519 key that signed it.")]


@command(app, "open")
def certify_open(
    options: Options,
    *,
    quarter: Quarter = None,
    roster: RosterFile = None,
    duration: Days = "14d",
    allow_leavers: Leavers = None,
    allow_orphans: Orphans = None,
    without_keycloak: NoKeycloak = False,
) -> int:
    """Open a campaign: every binding in force becomes a question, with what speaks against it."""
    from admin_sync.certification import run  # noqa: PLC0415 - with a database driver that few commands need
    from admin_sync.certification.calendar import checked_quarter, quarter_of  # noqa: PLC0415
    from admin_sync.roster import read  # noqa: PLC0415

    document = options.document()
    now = datetime.now(UTC)
    wanted = quarter_of(now) if quarter is None else checked_quarter(quarter, now)
    source = roster or _path(options, "ACCESS_ROSTER_FILE")
    people = read(source)
    usage = _usage(options, document, keycloak=not without_keycloak)
    opening = run.Opening(
        wanted, timedelta(seconds=seconds("--for", duration)), people, usage, allow_leavers, allow_orphans
    )
    campaign, items = _in_office(
        options, lambda office: run.opened(office, document, options.config, opening, options.console.progress)
    )
    signs = {sign: sum(sign in one.signs for one in items) for sign in ("orphan", "stale")}
    if options.console.as_json:
        options.console.json(
            {"quarter": campaign.quarter, "due": campaign.due.isoformat(), "items": len(items), **signs}
        )
    else:
        options.console.data(
            f"{campaign.quarter}: {len(items)} bindings to decide about until {campaign.due:%Y-%m-%d %H:%M} UTC; "
            f"{signs['orphan']} held by nobody in the roster, {signs['stale']} unused\n"
        )
    return DONE


@command(app, "status")
def certify_status(options: Options) -> int:
    """Say how far the campaigns are, and whether the next is overdue."""
    from admin_sync.certification.status import progress  # noqa: PLC0415

    document = options.document()
    told = _in_office(options, lambda office: progress(office, document.policies.certification.every))
    if options.console.as_json:
        options.console.json(told)
        return DONE
    for one in told["campaigns"]:
        options.console.data(
            f"{one['quarter']}: {one['state']}, {one['decided']} of {one['items']} decided, due {one['due'][:10]}\n"
        )
    if told["overdue"]:
        last = told["last_closed"]
        since = f"the last was closed on {last[:10]}" if last else "none was ever closed"
        options.console.say(f"a certification is overdue: {since}")
    return DONE


@command(app, "close")
def certify_close(
    options: Options, *, quarter: Quarter = None, allow_revocations: Revocations = None, out: Out = None
) -> int:
    """Close a campaign: one commit takes away what was not kept, and the evidence is signed. A re-run goes on."""
    from admin_sync.certification import run  # noqa: PLC0415
    from admin_sync.certification.calendar import quarter_of  # noqa: PLC0415
    from admin_sync.repository import Repository, repository_settings  # noqa: PLC0415

    wanted = quarter or quarter_of(datetime.now(UTC))
    key = _signing_key(options)
    repository = Repository(repository_settings(options.environ))
    folder = out or options.settings().audit_dir / "certification" / wanted
    closed = _in_office(
        options,
        lambda office: run.closed(office, repository, wanted, key=key, out=folder, allowed=allow_revocations),
    )
    figures = closed.report["figures"]
    if options.console.as_json:
        options.console.json(
            {
                "quarter": wanted,
                "commit": closed.report["commit"],
                "pull_request": closed.pull_request,
                "files": [str(path) for path in closed.files],
                "figures": figures,
            }
        )
        return DONE
    fates = figures["fates"]
    options.console.data(
        f"{wanted}: {fates['kept']} kept, {fates['revoked'] + fates['revoked_undecided']} taken away, "
        f"{fates['undecided']} undecided, {fates['gone']} gone meanwhile\n"
    )
    if closed.pull_request is not None:
        options.console.data(f"waits to be merged: {closed.pull_request}\n")
    elif closed.report["commit"]:
        options.console.data(f"commit {closed.report['commit']}\n")
    options.console.data(f"evidence in {folder}\n")
    return DONE


@command(app, "verify")
def certify_verify(options: Options, *, evidence: Evidence, public_key: Key) -> int:
    """Prove that the evidence of a campaign is what was signed when it was closed. Needs no server."""
    from admin_sync.certification.report.folder import verify  # noqa: PLC0415
    from admin_sync.commands.auditing import public_key as read_key  # noqa: PLC0415

    told = verify(evidence, read_key(public_key))
    if options.console.as_json:
        options.console.json(told)
    else:
        campaign = told["campaign"]
        options.console.data(
            f"{evidence}: the evidence of {campaign['quarter']} holds; closed {campaign['closed_at']} by "
            f"{campaign['closed_by']}, {told['figures']['items']} bindings\n"
        )
    return DONE


def _in_office(options: Options, work: Callable[[Office], Awaitable[Result]]) -> Result:
    """What some work in the database gives. Raises Misconfigured, Interrupted, and what the work raises."""
    from admin_sync.access.campaigns.office import opened  # noqa: PLC0415
    from admin_sync.access.settings import operator_database  # noqa: PLC0415
    from admin_sync.access.store.database import DatabaseUnavailable  # noqa: PLC0415
    from identity.secret import SecretUnreadable  # noqa: PLC0415

    try:
        settings = operator_database(options.environ)
    except ValueError as problem:
        raise Misconfigured(str(problem)) from None

    async def session() -> Result:
        async with opened(settings, node=options.settings().node, actor=f"admin-sync:{_who()}") as office:
            return await work(office)

    try:
        return asyncio.run(session())
    except SecretUnreadable as problem:
        raise Misconfigured(str(problem)) from None
    except DatabaseUnavailable as problem:
        raise Interrupted(f"{problem}; a re-run is safe") from None


def _usage(options: Options, document: Document, *, keycloak: bool) -> Usage:
    from admin_sync.certification.usage import Usage, from_files, from_keycloak  # noqa: PLC0415
    from admin_sync.keycloak.connection import Connection  # noqa: PLC0415
    from admin_sync.rotated import family  # noqa: PLC0415
    from admin_sync.trail import FILE  # noqa: PLC0415

    made = options.settings()
    usage = Usage()
    from_files(usage, family(made.audit_dir / FILE), options.console.progress)
    if keycloak:
        connection = Connection(made.account(), parallel=made.parallelism)
        since = document.now - document.policies.certification.stale_after - timedelta(days=1)
        for environment in options.wanted(document):
            from_keycloak(usage, connection, realm_name(document, environment), since, options.console.progress)
    return usage


def _signing_key(options: Options) -> Ed25519PrivateKey:
    from admin_sync.trail import checkpoint_key, private_key  # noqa: PLC0415

    name = "ADMIN_SYNC_EVIDENCE_KEY_FILE"
    path = options.environ.get(name)
    key = private_key(Path(path), name) if path else checkpoint_key(options.settings())
    if key is None:
        raise Misconfigured(f"set {name} to the Ed25519 key that signs the evidence, or the key of audit checkpoints")
    return key


def _path(options: Options, name: str) -> Path:
    value = options.environ.get(name)
    if not value:
        raise Misconfigured(f"set {name} to the HR roster, or give --roster")
    return Path(value)


def _who() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"
