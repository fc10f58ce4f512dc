"""validate, plan, drift and apply."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from admin_sync import saved_plan
from admin_sync.bundle.errors import BundleError
from admin_sync.commands import bundle
from admin_sync.commands.options import Options
from admin_sync.console import CHANGES, DONE
from admin_sync.errors import AdminSyncError, InvalidInput, Refused
from admin_sync.guard import Allowances
from admin_sync.keycloak.base.desired import base_resources
from admin_sync.keycloak.connection import KeycloakProblem
from admin_sync.load.document import Document
from admin_sync.model import Json
from admin_sync.policy import fingerprint
from admin_sync.render import RENDERERS, view
from admin_sync.render.github import located
from admin_sync.render.text import text
from admin_sync.sync import Session
from admin_sync.trail import Trail, opened


def validate(options: Options, form: str | None) -> int:
    """Check everything that can be checked without a server."""
    try:
        document = options.document()
        base_resources(options.settings().realm_dir, "validate", document.environments[0], options.environ)
    except InvalidInput as problem:
        if form == "github":
            options.console.data(located(problem.findings, str(options.config)))
        raise
    counts = {
        "environments": len(document.environments),
        "roles": len(document.roles.roles),
        "permissions": len(document.roles.permissions),
        "groups": len(document.roles.groups),
        "clients": len(document.roles.clients),
        "partners": len(document.partners.partners),
        "bindings": len(document.bindings.bindings),
    }
    if options.console.as_json or form == "json":
        options.console.json({"valid": True, "findings": [], **counts})
    else:
        shown = ", ".join(f"{count} {name}" for name, count in counts.items())
        options.console.data(f"{options.config} is valid: {shown}\n")
    return DONE


def plan(options: Options, form: str | None, *, out: Path | None = None, detailed: bool = False) -> int:
    """Show what would change."""
    document = options.document()
    session = options.session(document)
    rules = fingerprint(document)
    views = []
    for environment in options.wanted(document):
        options.console.progress(f"reading {environment}")
        views.append({**view(session.plan(environment)), "rules": rules})
    options.console.progress("")
    chosen = "json" if options.console.as_json else form or "text"
    options.console.data(RENDERERS[chosen](views, options.console.colour))
    if out is not None:
        digest = saved_plan.save(out, views)
        options.console.say(f"saved to {out}, digest {digest[:16]}; apply it with: admin-sync apply {out}")
    changes = any(one["changes"] for one in views)
    return CHANGES if detailed and changes else DONE


def apply(options: Options, file: Path | None, *, allowed: Allowances, wait: float) -> int:
    """Make the realms as declared, one after the other, then publish the bundle."""
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
    session = options.session(document)
    views: list[Json] = []
    applied: list[str] = []
    with opened(session.settings) as trail:
        try:
            for environment in wanted:
                views.append(
                    _apply_one(session, environment, saved, allowed=allowed, wait=wait, trail=trail, options=options)
                )
                applied.append(environment)
            published = bundle.after_apply(options, document, trail)
        except (AdminSyncError, KeycloakProblem, BundleError):
            if applied:
                done = f"{', '.join(applied)} had been applied before, and no bundle was published"
                options.console.complain(f"admin-sync: {done}; a re-run is safe")
            raise
    if options.console.as_json:
        options.console.json({**_sum(views), "environments": views, "bundle": published})
    else:
        total = _sum(views)["summary"]
        options.console.data(
            f"Applied: {total['add']} added, {total['change']} changed, {total['destroy']} destroyed.\n"
        )
        if published is not None:
            options.console.data(f"Bundle: revision {published['revision']} {published['outcome']}.\n")
    return DONE


def _apply_one(
    session: Session,
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
        shown = {**view(planned), "rules": fingerprint(session.document)}
        try:
            if saved is not None:
                saved_plan.compare(saved[environment], shown)
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


def _sum(views: list[Json]) -> dict[str, Json]:
    return {"summary": {key: sum(one["summary"][key] for one in views) for key in ("add", "change", "destroy")}}
