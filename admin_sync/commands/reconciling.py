"""reconcile: what was approved and committed becomes true in the realms and in OPA, and what has ended stops."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from admin_sync.commands.arguments import command, group
from admin_sync.commands.options import Options
from admin_sync.console import DONE, FAILED, REFUSED

if TYPE_CHECKING:
    from admin_sync.reconciler.report import Report

app = group()

Once = Annotated[bool, typer.Option("--once", help="Make one turn over everything, and end.")]


@command(app)
def reconcile(options: Options, *, once: Once = False) -> int:
    """Follow the repository and the approved requests: commit, apply, publish, take back what has ended."""
    # Loaded here: no other command needs a database or Git.
    from admin_sync.reconciler.service import opened, run  # noqa: PLC0415

    with opened(options.environ, options.console.say) as reconciler:
        if once:
            report = reconciler.turn(everything=True)
            _show(options, report)
            return DONE if report.well else REFUSED if report.refused else FAILED
        options.console.say(f"following {reconciler.repository.settings.place}")
        run(reconciler, lambda report: _show(options, report))
    return DONE


def _show(options: Options, report: Report) -> None:
    if options.console.as_json:
        options.console.data(json.dumps(report.record(), ensure_ascii=False) + "\n")
        return
    for line in report.lines():
        options.console.data(f"{line}\n")
