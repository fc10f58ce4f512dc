"""apply: realm after realm under its lock, then the bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from admin_sync import saved_plan
from admin_sync.bundle.errors import BundleError
from admin_sync.commands import bundle
from admin_sync.commands.arguments import Gateway, Parallelism, Wait, command, group
from admin_sync.commands.options import Options
from admin_sync.commands.showing import Show, show
from admin_sync.console import DONE
from admin_sync.errors import AdminSyncError, Refused
from admin_sync.guard import Allowances
from admin_sync.keycloak.connection import KeycloakProblem
from admin_sync.load.document import Document
from admin_sync.model import Json
from admin_sync.render import summed
from admin_sync.render.text import text
from admin_sync.sync import Session
from admin_sync.trail import Trail, opened

app = group()

File = Annotated[Path | None, typer.Argument(metavar="[FILE]", help="A saved plan; nothing else is done.")]
AllowDeletions = Annotated[int, typer.Option("--allow-deletions", metavar="N", min=0, help="N deletions are meant.")]
AllowTakeover = Annotated[
    bool, typer.Option("--allow-takeover", help="Objects of a declared name that somebody else made become ours.")
]
AllowLockout = Annotated[bool, typer.Option("--allow-lockout", help="Nobody needs to be left who can change access.")]
AllowShredding = Annotated[
    list[str] | None,
    typer.Option("--allow-shredding", metavar="PARTNER", help="This partner's credentials may be lost."),
]


@command(app)
def apply(
    options: Options,
    *,
    file: File = None,
    allow_deletions: AllowDeletions = 0,
    allow_takeover: AllowTakeover = False,
    allow_lockout: AllowLockout = False,
    allow_shredding: AllowShredding = None,
    wait: Wait = 0.0,
    gateway: Gateway = None,
    parallelism: Parallelism = None,
) -> int:
    """Make the realms as declared, then publish the policy bundle. A re-run is always safe."""
    allowed = Allowances(
        deletions=allow_deletions,
        takeover=allow_takeover,
        lockout=allow_lockout,
        shredding=frozenset(allow_shredding or ()),
    )
    saved = None if file is None else {one["environment"]: one for one in saved_plan.load(file)}
    document = options.document()
    bundle.before_apply(options)
    wanted = options.wanted(document)
    if saved is not None:
        _check_environments(saved, document)
        absent = [name for name in options.environments if name not in saved]
        if absent or not saved:
            raise Refused(f"the saved plan is not for {', '.join(absent) or 'any environment'}; make the plan again")
        wanted = tuple(name for name in wanted if name in saved)
    session = options.session(document, gateway=gateway, parallelism=parallelism)
    shown = show(options, session)
    views: list[Json] = []
    applied: list[str] = []
    with opened(session.settings) as trail:
        try:
            for environment in wanted:
                views.append(
                    _apply_one(
                        session, shown, environment, saved, allowed=allowed, wait=wait, trail=trail, options=options
                    )
                )
                applied.append(environment)
            published = bundle.after_apply(options, document, trail)
        except (AdminSyncError, KeycloakProblem, BundleError):
            if applied:
                done = f"{', '.join(applied)} had been applied before, and no bundle was published"
                options.console.complain(f"admin-sync: {done}; a re-run is safe")
            raise
    if options.console.as_json:
        options.console.json({"summary": summed(views), "environments": views, "bundle": published})
    else:
        total = summed(views)
        options.console.data(
            f"Applied: {total['add']} added, {total['change']} changed, {total['destroy']} destroyed.\n"
        )
        if published is not None:
            options.console.data(f"Bundle: revision {published['revision']} {published['outcome']}.\n")
    return DONE


def _apply_one(
    session: Session,
    show: Show,
    environment: str,
    saved: dict[str, dict[str, Any]] | None,
    *,
    allowed: Allowances,
    wait: float,
    trail: Trail,
    options: Options,
) -> Json:
    with session.locked(environment, wait) as locked:
        planned = session.plan(environment)
        shown = show.view(planned)
        try:
            if saved is not None:
                used = session.gateway(environment).name
                saved_plan.compare(saved[environment], shown, used, session.facts)
            if not options.console.as_json and not planned.plan.empty:
                options.console.data(text([shown], options.console.colour))
            locked.apply(planned, allowed, trail)
        except Refused as problem:
            trail.refused(planned.plan, str(problem))
            raise
        options.console.say(f"{planned.plan.realm} is as declared")
        return shown


def _check_environments(saved: dict[str, dict[str, Any]], document: Document) -> None:
    unknown = [name for name in saved if name not in document.environments]
    if unknown:
        raise Refused(f"the saved plan is for {unknown[0]}, which is not declared any more; make the plan again")
