"""metrics: how well access is protected, in numbers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from admin_sync.commands.arguments import command, group
from admin_sync.commands.options import Options
from admin_sync.console import DONE, FAILED
from admin_sync.errors import AdminSyncError, InvalidInput, Misconfigured
from admin_sync.keycloak.connection import KeycloakProblem
from admin_sync.measures import MEASURES, Subject, Untaken
from admin_sync.measures.exposition import exposition
from admin_sync.model import Json
from identity.durable import replace_file

app = group()

Days = Annotated[int, typer.Option("--days", metavar="N", min=1, max=3650, help="How far back to look.")]
Only = Annotated[
    list[str] | None, typer.Option("--only", metavar="MEASURE", help="Only this measure; may be repeated.")
]


class Shape(StrEnum):
    """How measures are shown."""

    TEXT = "text"
    JSON = "json"
    PROMETHEUS = "prometheus"


Format = Annotated[Shape | None, typer.Option("--format", help="How to show them. Default: text, or json with --json.")]
OutFile = Annotated[
    Path | None,
    typer.Option("--out", metavar="FILE", help="Write them there as a whole, such as for node_exporter's textfiles."),
]


@command(app)
def metrics(options: Options, *, days: Days = 7, only: Only = None, shape: Format = None, out: OutFile = None) -> int:
    """Say how well access is protected: factors, credentials, decisions, orphans, certifications."""
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
    wanted = shape or (Shape.JSON if options.console.as_json else Shape.TEXT)
    told = _told(wanted, subject, taken, missed)
    if out is None:
        options.console.data(told)
    else:
        # Whoever scrapes it reads it as another account.
        replace_file(out, told.encode(), mode=0o644)
    for name, reason in missed.items():
        options.console.complain(f"{name}: {reason}")
    return FAILED if missed else DONE


def _told(shape: Shape, subject: Subject, taken: Mapping[str, Json], missed: Mapping[str, str]) -> str:
    says = {one.name: one.says for one in MEASURES}
    if shape is Shape.PROMETHEUS:
        return exposition(taken, says)
    if shape is Shape.JSON:
        whole = {"at": subject.now.isoformat(), "measures": taken, "not_taken": missed}
        return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"
    return "".join(f"{name}: {says[name]}\n{''.join(_lines(numbers, '  '))}" for name, numbers in taken.items())


def _lines(numbers: Mapping[str, Json], indent: str) -> Iterator[str]:
    for name, value in numbers.items():
        if isinstance(value, Mapping):
            yield f"{indent}{name}{'' if value else ': none'}\n"
            yield from _lines(value, indent + "  ")
        elif isinstance(value, list):
            yield f"{indent}{name}: {', '.join(map(str, value)) or 'none'}\n"
        else:
            yield f"{indent}{name}: {_word(value)}\n"


def _word(value: Json) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)
