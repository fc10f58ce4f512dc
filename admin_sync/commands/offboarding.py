"""offboard, suspend and reinstate: everything that a person has here goes, or rests, or comes back."""

from __future__ import annotations

import getpass
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import orjson
import typer

from admin_sync import roster as hr
from admin_sync.commands.arguments import command, group
from admin_sync.commands.options import Options
from admin_sync.console import DONE, FAILED
from admin_sync.desired import Facts, realm_name
from admin_sync.errors import InvalidInput, Misconfigured
from admin_sync.keycloak.connection import Connection, segment
from admin_sync.load.schema.bindings import Subject
from admin_sync.model import Json
from admin_sync.offboarding.case import Case
from admin_sync.offboarding.journal import Journal
from admin_sync.offboarding.journal import opened as journal_of
from admin_sync.offboarding.last import refuse_the_last_one
from admin_sync.offboarding.person import addresses_of
from admin_sync.offboarding.reinstating import reinstated
from admin_sync.offboarding.report import markdown, report
from admin_sync.offboarding.run import carried_out, planned
from admin_sync.offboarding.settings import offboarding_settings
from admin_sync.roster import Roster
from admin_sync.sync import Session
from admin_sync.trail import opened
from identity.durable import replace_file

app = group()

_TIMEOUT, _BUDGET = 20.0, 2.0
"""Seconds for an answer, and for trying again: OPA must not wait for a Keycloak that is away."""

User = Annotated[str, typer.Argument(metavar="USER", help="The person's e-mail address.")]
Why = Annotated[str, typer.Option("--why", metavar="TEXT", help="The reason, for the commit and the audit.")]
By = Annotated[
    str | None, typer.Option("--by", metavar="EMAIL", help="On whose behalf; the commit's author. Default: you here.")
]
Alias = Annotated[
    list[str] | None, typer.Option("--alias", metavar="EMAIL", help="A further address of theirs; may be repeated.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be taken away.")]
Lockout = Annotated[bool, typer.Option("--allow-lockout", help="Also if nobody is left who can give access.")]
Out = Annotated[
    Path | None, typer.Option("--report", metavar="FILE", help="Where a report goes: .json, or Markdown otherwise.")
]


@command(app)
def offboard(
    options: Options,
    *,
    user: User,
    why: Why = "",
    by: By = None,
    alias: Alias = None,
    dry_run: DryRun = False,
    allow_lockout: Lockout = False,
    out: Out = None,
) -> int:
    """Take everything away from somebody who leaves, in one run that can be repeated (docs/offboarding.md)."""
    return _taken(options, _case(options, user, why, by, alias), dry_run, allow_lockout, out)


@command(app)
def suspend(
    options: Options,
    *,
    user: User,
    why: Why = "",
    by: By = None,
    alias: Alias = None,
    dry_run: DryRun = False,
    allow_lockout: Lockout = False,
    out: Out = None,
) -> int:
    """Let everything of somebody's rest: no login, no session, nothing allowed. `reinstate` is the way back."""
    case = _case(options, user, why, by, alias, keeps_grants=True)
    return _taken(options, case, dry_run, allow_lockout, out)


@command(app)
def reinstate(options: Options, *, user: User, why: Why = "", by: By = None, alias: Alias = None) -> int:
    """Let in again somebody who was suspended or offboarded."""
    case = _case(options, user, why, by, alias)
    with journal_of(case.own.directory, case.email), opened(case.settings) as trail:
        done = reinstated(case, _roster(options), trail)
    if options.console.as_json:
        options.console.json(dict(done))
    else:
        options.console.data(
            f"{case.email} is back: {len(done['enabled'])} accounts enabled, bundle {done['revision']}\n"
        )
    return DONE


def _case(
    options: Options, user: str, why: str, by: str | None, alias: list[str] | None, *, keeps_grants: bool = False
) -> Case:
    made = options.settings()
    for address in (user, *(alias or ()), *([by] if by else ())):
        _address(address)
    document = options.in_force()
    connection = Connection(made.account(), timeout=_TIMEOUT, budget=_BUDGET)
    environments = options.wanted(document)
    realms = [f"/{segment(realm_name(document, one))}" for one in environments]
    addresses = addresses_of(
        user, alias or (), document=document, roster=_roster(options), connection=connection, realms=realms
    )
    return Case(
        addresses=addresses,
        reason=why,
        author=by or f"{getpass.getuser()}@{made.node}",
        environments=environments,
        document=document,
        settings=made,
        own=offboarding_settings(options.environ, made),
        connection=connection,
        clock=lambda: datetime.now(UTC).replace(microsecond=0),
        keeps_grants=keeps_grants,
    )


def _address(text: str) -> None:
    try:
        Subject.model_validate({"user": text})
    except ValueError:
        raise Misconfigured(f"{text!r} is no e-mail address that the configuration could name") from None


def _roster(options: Options) -> Roster | None:
    """The HR roster. A broken one is said and not waited for: whoever has to go cannot wait for HR's export."""
    path = options.environ.get("ACCESS_ROSTER_FILE")
    try:
        return hr.read(Path(path)) if path else None
    except InvalidInput as problem:
        options.console.complain(f"admin-sync: without the HR roster, which cannot be read: {problem}")
        return None


def _taken(options: Options, case: Case, dry_run: bool, allow_lockout: bool, out: Path | None) -> int:
    if dry_run:
        return _shown(options, case)
    with journal_of(case.own.directory, case.email) as journal:
        if not allow_lockout and not journal.resumes:
            session = Session(case.document, case.settings, case.connection, Facts(), note=options.console.progress)
            refuse_the_last_one(case, session)
        if journal.resumes:
            case.addresses = list(dict.fromkeys([*case.addresses, *journal.lines[0]["addresses"]]))
            options.console.say(f"going on with what began at {journal.lines[0]['at']}")
        with opened(case.settings) as trail:
            complete = carried_out(case, journal, trail, options.console.progress)
        return _told(options, journal, complete, out)


def _told(options: Options, journal: Journal, complete: bool, out: Path | None) -> int:
    found = report(journal.lines)
    if out is not None:
        content = orjson.dumps(found, option=orjson.OPT_INDENT_2) if out.suffix == ".json" else markdown(found).encode()
        replace_file(out, content)
    if options.console.as_json:
        options.console.json(found)
    else:
        for one in found["revoked"]:
            where = f"{one['place']}: " if one["place"] else ""
            options.console.data(f"{one['after_seconds']:8.3f} s  {one['step']:<12} {where}{one['what']}\n")
        took = f"{found['seconds']} s"
        options.console.data(f"{found['person']}: {'nothing is left' if complete else 'not complete'} after {took}\n")
    for one in found["failed"]:
        where = f" in {one['place']}" if one["place"] else ""
        options.console.complain(f"admin-sync: {one['step']}{where}: {one['reason']}")
    if not complete:
        options.console.complain("admin-sync: something is left; mend what is named and run this again")
    return DONE if complete else FAILED


def _shown(options: Options, case: Case) -> int:
    listed: list[Mapping[str, Json]] = []
    blind = False
    for step, place, item, problem in planned(case):
        blind |= problem is not None
        what = None if item is None else item.name
        detail = {} if item is None else dict(item.detail)
        listed.append({"step": step.code, "place": place, "what": what, "detail": detail, "problem": problem})
    if options.console.as_json:
        options.console.json({"person": case.email, "addresses": list(case.addresses), "would_take": listed})
        return FAILED if blind else DONE
    for one in listed:
        where = f"{one['place']}: " if one["place"] else ""
        if one["problem"] is None:
            options.console.data(f"would take  {one['step']:<12} {where}{one['what']}\n")
        else:
            options.console.complain(f"admin-sync: {one['step']}: {where}{one['problem']}")
    options.console.data(f"{case.email}: {sum(one['problem'] is None for one in listed)} things\n")
    return FAILED if blind else DONE
