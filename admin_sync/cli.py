"""The command line of admin-sync: which groups of commands there are, and what a run ends with.

Exit codes: 0 done or nothing to change, 1 failed part-way, 2 there are changes (`drift`, `plan
--detailed-exitcode`), 3 bad input, 4 not authenticated or not allowed, 5 refused by a guard,
6 somebody else holds the realm's lock.
"""

from __future__ import annotations

import sys
from typing import Final

import typer
from typer.exceptions import Abort, TyperException

from admin_sync import late  # noqa: F401  (first, so that what follows loads late what it may never use)
from admin_sync.commands import (
    adopting,
    applying,
    asking,
    auditing,
    breaking_glass,
    bundle,
    bypassing,
    completion,
    doctor,
    linking,
    login,
    measuring,
    monitoring,
    offboarding,
    onboarding,
    planning,
    reconciling,
    reporting,
    requesting,
    reviewing,
    rotating,
    schema,
)
from admin_sync.console import BAD_INPUT, FAILED, Console, speak_utf8

GROUPS: Final[tuple[tuple[str | None, typer.Typer], ...]] = (
    (None, planning.app),
    (None, applying.app),
    (None, adopting.app),
    (None, asking.app),
    (None, login.app),
    (None, requesting.app),
    (None, doctor.app),
    (None, measuring.app),
    (None, monitoring.app),
    (None, reconciling.app),
    (None, linking.app),
    (None, rotating.app),
    (None, onboarding.app),
    (None, offboarding.app),
    (None, schema.app),
    (None, completion.app),
    ("bundle", bundle.app),
    ("audit", auditing.app),
    ("report", reporting.app),
    ("certify", reviewing.app),
    ("break-glass", breaking_glass.app),
    ("mfa-bypass", bypassing.app),
)
"""In the order of the help. The commands of a group without a name belong to the program itself."""

app = typer.Typer(
    name="admin-sync",
    help="Turns configs/iam into Keycloak realms and a signed OPA bundle: plans, checks, applies and proves.",
    no_args_is_help=True,
    add_completion=False,
    # A traceback of typer's shows local variables, and among those are secrets.
    pretty_exceptions_enable=False,
)
for name, commands in GROUPS:
    app.add_typer(commands, name=name)


def main() -> None:
    """The entry point. Usage errors are bad input (3), because 2 means that there are changes."""
    speak_utf8()
    try:
        code = app(standalone_mode=False)
    except TyperException as problem:
        if problem.format_message():
            Console().complain(f"admin-sync: {problem.format_message()}")
        code = BAD_INPUT
    except (Abort, KeyboardInterrupt):
        Console().complain("admin-sync: interrupted; a re-run is safe")
        code = FAILED
    sys.exit(code if isinstance(code, int) else 0)
