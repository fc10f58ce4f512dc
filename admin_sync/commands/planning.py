"""validate, plan and drift."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from admin_sync import saved_plan
from admin_sync.check.escalation import silent_owners
from admin_sync.commands.arguments import Format, Gateway, Parallelism, command, group
from admin_sync.commands.options import Options
from admin_sync.commands.showing import show
from admin_sync.console import CHANGES, DONE
from admin_sync.errors import InvalidInput
from admin_sync.keycloak.base.desired import base_resources
from admin_sync.keycloak.choice import Choice
from admin_sync.model import Json
from admin_sync.render import RENDERERS
from admin_sync.render.github import located
from admin_sync.sync import Planned
from admin_sync.trail import opened

app = group()

Out = Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Save the plan for `apply FILE`.")]
Detailed = Annotated[bool, typer.Option("--detailed-exitcode", help="Exit 2 when there are changes.")]


@command(app)
def validate(options: Options, *, format_: Format = None) -> int:
    """Check the configuration without reaching any server; every error in one run."""
    try:
        document = options.document()
        base_resources(options.settings().realm_dir, "validate", document.environments[0], options.environ)
    except InvalidInput as problem:
        if format_ == "github":
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
    for remark in silent_owners(document):
        options.console.say(remark)
    if options.console.as_json or format_ == "json":
        options.console.json({"valid": True, "findings": [], **counts})
    else:
        shown = ", ".join(f"{count} {name}" for name, count in counts.items())
        options.console.data(f"{options.config} is valid: {shown}\n")
    return DONE


@command(app)
def plan(
    options: Options,
    *,
    format_: Format = None,
    out: Out = None,
    detailed: Detailed = False,
    gateway: Gateway = None,
    parallelism: Parallelism = None,
) -> int:
    """Show what would change, and who would gain or lose which permission."""
    made: list[Json] = []

    def record(planned: Planned, _: Json, used: str) -> None:
        made.append(saved_plan.beside(planned.plan, used))

    views = _shown(options, format_, record, gateway, parallelism)
    if out is not None:
        digest = saved_plan.save(out, views, made)
        options.console.say(f"saved to {out}, digest {digest[:16]}; apply it with: admin-sync apply {out}")
    changes = any(one["changes"] or one["rules_changed"] for one in views)
    return CHANGES if detailed and changes else DONE


@command(app)
def drift(options: Options, *, format_: Format = None, gateway: Gateway = None, parallelism: Parallelism = None) -> int:
    """Tell whether the realms are as declared: exit 0 if so, 2 if not. Leaves a line in the audit for each."""
    with opened(options.settings()) as trail:

        def record(planned: Planned, view: Json, _: str) -> None:
            trail.drift(planned.plan, len(planned.undeclared), len(view["rules_changed"]))

        views = _shown(options, format_, record, gateway, parallelism)
    drifted = any(one["changes"] or one["rules_changed"] or one["undeclared"] for one in views)
    return CHANGES if drifted else DONE


def _shown(
    options: Options,
    format_: str | None,
    record: Callable[[Planned, Json, str], None],
    gateway: Choice | None,
    parallelism: int | None,
) -> list[Json]:
    """The plans of all environments, shown; each goes to `record` first, with the name of its gateway."""
    document = options.document()
    session = options.session(document, gateway=gateway, parallelism=parallelism)
    shown = show(options, session)
    views: list[Json] = []
    for environment in options.wanted(document):
        options.console.progress(f"reading {environment}")
        planned = session.plan(environment)
        views.append(shown.view(planned))
        record(planned, views[-1], session.gateway(environment).name)
    options.console.progress("")
    chosen = "json" if options.console.as_json else format_ or "text"
    options.console.data(RENDERERS[chosen](views, options.console.colour, str(options.config)))
    return views
