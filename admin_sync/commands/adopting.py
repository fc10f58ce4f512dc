"""adopt: an existing realm becomes configuration, and what the operator names becomes ours."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Annotated, Final

import typer

from admin_sync.adopt.candidates import KINDS
from admin_sync.adopt.proposal import Realm
from admin_sync.adopt.remembered import Remembered
from admin_sync.adopt.survey import Survey, survey
from admin_sync.adopt.writing import put_in_place
from admin_sync.check import checked
from admin_sync.commands.arguments import Wait, command, group
from admin_sync.commands.options import Options
from admin_sync.console import DONE
from admin_sync.desired.facts import Facts, gather
from admin_sync.desired.watched import is_mark
from admin_sync.diff import Action, Change, Plan, differences
from admin_sync.errors import Misconfigured
from admin_sync.guard import Allowances
from admin_sync.keycloak.connection import Connection
from admin_sync.keycloak.rest.reader import RestReader
from admin_sync.load.document import Document
from admin_sync.model import Json, Ref, printable
from admin_sync.refs import CLIENT, CLIENT_ROLE, GROUP, ROLE
from admin_sync.settings import Settings
from admin_sync.sync import Planned, Session
from admin_sync.trail import opened

app = group()

_WORDS: Final = {"roles": ROLE, "groups": GROUP, "clients": CLIENT, "client_roles": CLIENT_ROLE}


class People(StrEnum):
    """Where the accounts of the realm come from."""

    LOCAL = "local"
    FEDERATED = "federated"


RealmOption = Annotated[str, typer.Option("--realm", metavar="REALM", help="The realm to adopt, as Keycloak calls it.")]
TakeOver = Annotated[
    list[str] | None,
    typer.Option(
        "--take-over",
        metavar="WHAT",
        help="What becomes ours: all, roles, groups, clients, client_roles, or one as role:NAME, group:PATH, "
        "client:ID, client_role:CLIENT/NAME; separated by commas, or repeated.",
    ),
]
PeopleOption = Annotated[People, typer.Option("--people", help="Where the accounts come from.")]
Owner = Annotated[str, typer.Option("--owner", metavar="NAME", help="Who owns the adopted roles for now.")]
Force = Annotated[bool, typer.Option("--force", help="Replace the files that are in the directory.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Write nothing and take nothing over.")]


@command(app)
def adopt(
    options: Options,
    *,
    realm: RealmOption,
    take_over: TakeOver = None,
    people: PeopleOption = People.FEDERATED,
    owner: Owner = "to-be-named",
    force: Force = False,
    dry_run: DryRun = False,
    wait: Wait = 0.0,
) -> int:
    """Write configuration for a realm that exists, such that the next plan is empty; take over what is named."""
    if len(options.environments) != 1:
        raise Misconfigured("--env: name the one environment that the realm is")
    made = options.settings()
    connection = Connection(made.account())
    asked, named = _asked(take_over or ())
    options.console.progress(f"reading {realm}")
    remembered = Remembered(RestReader(connection, realm))
    said = Realm(realm, options.environments[0], str(people), owner)

    def facts(document: Document) -> Facts:
        return gather(document, document.environments, made.jwks_dir)

    found = survey(remembered, said, facts, options.environ, asked)
    _known(named, found)
    marks = _marks(found)
    if not dry_run:
        put_in_place(found.proposal.texts, options.config, force=force)
    _show(options, realm, found, marks, dry_run=dry_run)
    if marks.changes and not dry_run:
        _mark(options, made, marks, wait)
    return DONE


def _asked(words: Sequence[str]) -> tuple[Callable[[Ref], bool], set[Ref]]:
    """Which objects were named. Raises Misconfigured for a word that names nothing."""
    kinds: set[str] = set()
    named: set[Ref] = set()
    for word in (part.strip() for listed in words for part in listed.split(",")):
        kind, colon, name = word.partition(":")
        if word == "all":
            kinds.update(KINDS)
        elif word in _WORDS:
            kinds.add(_WORDS[word])
        elif colon and kind in KINDS and name:
            named.add(Ref(kind, name))
        else:
            known = ", ".join(("all", *_WORDS, *(f"{kind}:NAME" for kind in KINDS)))
            raise Misconfigured(f"--take-over {word}: name one of {known}")
    return (lambda ref: ref.kind in kinds or ref in named), named


def _known(named: Iterable[Ref], found: Survey) -> None:
    unknown = sorted(ref for ref in named if ref not in found.found.resources)
    if unknown:
        raise Misconfigured(f"--take-over: there is no {unknown[0]} in the realm")


def _marks(found: Survey) -> Plan:
    """The plan that puts our mark on what is taken over, and does nothing else."""
    changes = []
    for ref in sorted(found.taken, key=lambda one: (KINDS.index(one.kind), one.name)):
        before, after = found.found.resources[ref], found.desired.resources[ref]
        differing = differences(after, before)
        if differing and all(is_mark(one.path) for one in differing):
            changes.append(Change(Action.UPDATE, ref, before, after, differing))
    return Plan(found.desired.realm, found.desired.environment, tuple(changes))


def _mark(options: Options, made: Settings, marks: Plan, wait: float) -> None:
    document = checked(options.config, options.environ)
    session = options.session(document)
    with opened(made) as trail, session.locked(marks.environment, wait) as locked:
        planned = session.plan(marks.environment)
        locked.apply(_only_marks(session, planned, marks), Allowances(takeover=True), trail)
    options.console.say(f"{marks.realm}: {len(marks.changes)} objects are admin-sync's now")


def _only_marks(session: Session, planned: Planned, marks: Plan) -> Planned:
    """The plan of the marks beside the state that it was made from; the guards look at both."""
    taken = {one.ref: one.after for one in marks.changes if one.after}
    desired = replace(planned.desired, resources={**planned.current.resources, **taken})
    return replace(planned, desired=desired, plan=marks)


def _show(options: Options, realm: str, found: Survey, marks: Plan, *, dry_run: bool) -> None:
    declared = sorted(found.declared)
    if options.console.as_json:
        options.console.json(_report(realm, found, marks, dry_run=dry_run))
        return
    verb = "would be " if dry_run else ""
    counts = ", ".join(f"{sum(1 for ref in declared if ref.kind == kind)} {word}" for word, kind in _WORDS.items())
    options.console.data(f"{printable(realm)}: {counts} {verb}declared in {options.config}\n")
    for change in marks.changes:
        options.console.data(f"  ~ {change.ref.kind} {printable(change.ref.name)}: {verb or 'becomes '}ours\n")
    if found.accepted:
        options.console.data("  kept, with no word for it here (accepted_grants in policies.yaml):\n")
        for one in found.accepted:
            options.console.data(f"    {printable(f'{one.holder} has {one.grant}')}\n")
    if found.left:
        options.console.data("  left as it is:\n")
        for left in found.left:
            options.console.data(f"    {printable(f'{left.ref}: {left.why}')}\n")
    options.console.data(
        "  Flows, scopes, accounts and settings of the realm itself are left as they are (base: theirs).\n"
    )


def _report(realm: str, found: Survey, marks: Plan, *, dry_run: bool) -> Json:
    def names(refs: Iterable[Ref]) -> list[Json]:
        return [{"kind": ref.kind, "name": ref.name} for ref in sorted(refs)]

    return {
        "version": 1,
        "realm": realm,
        "environment": marks.environment,
        "written": not dry_run,
        "declared": names(found.declared),
        "taken_over": names(change.ref for change in marks.changes),
        "accepted": [{"holder": one.holder, "grant": one.grant} for one in found.accepted],
        "left": [
            {"kind": one.ref.kind, "name": one.ref.name, "why": one.why, "declared": one.declared} for one in found.left
        ],
    }
