"""metrics: how well access is protected, in numbers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated

import typer

from admin_sync.commands.arguments import command, group
from admin_sync.commands.options import Options
from admin_sync.console import DONE, FAILED
from admin_sync.errors import AdminSyncError, InvalidInput, Misconfigured
from admin_sync.keycloak.connection import KeycloakProblem
from admin_sync.measures import MEASURES, Subject, Untaken
from admin_sync.model import Json

app = group()

Days = Annotated[int, typer.Option("--days", metavar="N", min=1, max=3650, help="How far back to look.")]
Only = Annotated[
    list[str] | None, typer.Option("--only", metavar="MEASURE", help="Only this measure; may be repeated.")
]


@command(app)
def metrics(options: Options, *, days: Days = 7, only: Only = None) -> int:
    """Say how well access is protected: factors of sessions, credentials of clients."""
    unknown = set(only or ()) - {one.name for one in MEASURES}
    if unknown:
        known = ", ".join(one.name for one in MEASURES)
        raise Misconfigured(f"--only {min(unknown)}: there is no such measure; there are {known}")
    subject = Subject(options, datetime.now(UTC), days)
    taken: dict[str, Json] = {}
    missed: dict[str, str] = {}
    for one in MEASURES:
        if only and one.name not in only:
            continue
        options.console.progress(f"measuring {one.name}")
        try:
            taken[one.name] = dict(one.take(subject))
        except InvalidInput:
            raise
        except (Untaken, AdminSyncError, KeycloakProblem) as problem:
            missed[one.name] = str(problem)
    if options.console.as_json:
        options.console.json({"at": subject.now.isoformat(), "measures": taken, "not_taken": missed})
    else:
        for one in MEASURES:
            if one.name in taken:
                options.console.data(f"{one.name}: {one.says}\n")
                _show(options, taken[one.name], "  ")
    for name, reason in missed.items():
        options.console.complain(f"{name}: {reason}")
    return FAILED if missed else DONE


def _show(options: Options, numbers: Mapping[str, Json], indent: str) -> None:
    for name, value in numbers.items():
        if isinstance(value, Mapping):
            options.console.data(f"{indent}{name}\n")
            _show(options, value, indent + "  ")
        else:
            options.console.data(f"{indent}{name}: {'none' if value is None else value}\n")
