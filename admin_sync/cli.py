"""The command line of admin-sync: parse, call one function, render.

Exit codes: 0 done or nothing to change, 1 failed part-way, 2 there are changes (`drift`, `plan
--detailed-exitcode`), 3 bad input, 4 not authenticated or not allowed, 5 refused by a guard,
6 somebody else holds the realm's lock.
"""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import stamina
import typer
from typer.exceptions import Abort, TyperException

from admin_sync import commands
from admin_sync.commands import Options
from admin_sync.commands import bundle as bundles
from admin_sync.console import BAD_INPUT, FAILED, Console, run, speak_utf8
from admin_sync.guard import Allowances

app = typer.Typer(
    name="admin-sync",
    help="Turns configs/iam into Keycloak realms and a signed OPA bundle: plans, checks, applies and proves.",
    no_args_is_help=True,
    add_completion=False,
    # A traceback of typer's shows local variables, and among those are secrets.
    pretty_exceptions_enable=False,
)
bundle_app = typer.Typer(help="The signed policy bundle that OPA decides by.", no_args_is_help=True)
audit_app = typer.Typer(help="Audit files.", no_args_is_help=True)
app.add_typer(bundle_app, name="bundle")
app.add_typer(audit_app, name="audit")

Config = Annotated[Path, typer.Option("--config", metavar="DIR", help="The configuration directory.")]
Env = Annotated[
    list[str] | None, typer.Option("--env", metavar="ENVIRONMENT", help="Only this environment; may be repeated.")
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
NoColor = Annotated[bool, typer.Option("--no-color", help="No colours (NO_COLOR is respected too).")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No messages but errors.")]


class PlanFormat(StrEnum):
    """How a plan is shown."""

    TEXT = "text"
    JSON = "json"
    MARKDOWN = "markdown"
    GITHUB = "github"


Format = Annotated[PlanFormat | None, typer.Option("--format", help="How to show a plan.")]
AllowDeletions = Annotated[int, typer.Option("--allow-deletions", metavar="N", min=0, help="N deletions are meant.")]
AllowTakeover = Annotated[
    bool, typer.Option("--allow-takeover", help="Objects of a declared name that somebody else made become ours.")
]
AllowLockout = Annotated[bool, typer.Option("--allow-lockout", help="Nobody needs to be left who can change access.")]
AllowShredding = Annotated[
    list[str] | None,
    typer.Option("--allow-shredding", metavar="PARTNER", help="This partner's credentials may be lost."),
]
Wait = Annotated[float, typer.Option("--wait", metavar="SECONDS", min=0, help="How long to wait for the lock.")]

DEFAULT_CONFIG = Path("configs/iam")


@app.command()
def validate(
    *,
    config: Config = DEFAULT_CONFIG,
    env: Env = None,
    as_json: AsJson = False,
    no_color: NoColor = False,
    quiet: Quiet = False,
    format_: Format = None,
) -> None:
    """Check the configuration without reaching any server; every error in one run."""
    options = _options(config, env, as_json=as_json, no_color=no_color, quiet=quiet)
    _end(options, lambda: commands.validate(options, format_))


@app.command()
def plan(
    *,
    config: Config = DEFAULT_CONFIG,
    env: Env = None,
    as_json: AsJson = False,
    no_color: NoColor = False,
    quiet: Quiet = False,
    format_: Format = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Save the plan for `apply FILE`.")] = None,
    detailed: Annotated[bool, typer.Option("--detailed-exitcode", help="Exit 2 when there are changes.")] = False,
) -> None:
    """Show what would change, and who would gain or lose which permission."""
    options = _options(config, env, as_json=as_json, no_color=no_color, quiet=quiet)
    _end(options, lambda: commands.plan(options, format_, out=out, detailed=detailed))


@app.command()
def drift(
    *,
    config: Config = DEFAULT_CONFIG,
    env: Env = None,
    as_json: AsJson = False,
    no_color: NoColor = False,
    quiet: Quiet = False,
    format_: Format = None,
) -> None:
    """Tell whether the realms are as declared: exit 0 if so, 2 if not."""
    options = _options(config, env, as_json=as_json, no_color=no_color, quiet=quiet)
    _end(options, lambda: commands.plan(options, format_, detailed=True))


@app.command()
def apply(
    *,
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="A saved plan; nothing else is done.")] = None,
    config: Config = DEFAULT_CONFIG,
    env: Env = None,
    as_json: AsJson = False,
    no_color: NoColor = False,
    quiet: Quiet = False,
    allow_deletions: AllowDeletions = 0,
    allow_takeover: AllowTakeover = False,
    allow_lockout: AllowLockout = False,
    allow_shredding: AllowShredding = None,
    wait: Wait = 0.0,
) -> None:
    """Make the realms as declared, then publish the policy bundle. A re-run is always safe."""
    options = _options(config, env, as_json=as_json, no_color=no_color, quiet=quiet)
    allowed = Allowances(
        deletions=allow_deletions,
        takeover=allow_takeover,
        lockout=allow_lockout,
        shredding=frozenset(allow_shredding or ()),
    )
    _end(options, lambda: commands.apply(options, file, allowed=allowed, wait=wait))


@app.command()
def explain(
    *,
    user: Annotated[str, typer.Argument(metavar="USER", help="An e-mail address, or a client id.")],
    config: Config = DEFAULT_CONFIG,
    env: Env = None,
    as_json: AsJson = False,
    no_color: NoColor = False,
    quiet: Quiet = False,
) -> None:
    """Say what a person or a workload is granted, where, until when, and by which way."""
    options = _options(config, env, as_json=as_json, no_color=no_color, quiet=quiet)
    _end(options, lambda: commands.explain(options, user))


@app.command()
def who_can(
    *,
    permission: Annotated[str, typer.Argument(metavar="PERMISSION")],
    config: Config = DEFAULT_CONFIG,
    env: Env = None,
    as_json: AsJson = False,
    no_color: NoColor = False,
    quiet: Quiet = False,
) -> None:
    """List everybody who is granted a permission, and by which way."""
    options = _options(config, env, as_json=as_json, no_color=no_color, quiet=quiet)
    _end(options, lambda: commands.who_can(options, permission))


@app.command()
def doctor(
    *,
    config: Config = DEFAULT_CONFIG,
    env: Env = None,
    as_json: AsJson = False,
    no_color: NoColor = False,
    quiet: Quiet = False,
) -> None:
    """Check settings, files and what can be reached; one line each."""
    options = _options(config, env, as_json=as_json, no_color=no_color, quiet=quiet)
    _end(options, lambda: commands.doctor(options))


@bundle_app.command("build")
def bundle_build(
    *,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where the signed archive goes.")],
    config: Config = DEFAULT_CONFIG,
    env: Env = None,
    as_json: AsJson = False,
    no_color: NoColor = False,
    quiet: Quiet = False,
) -> None:
    """Test the rules, render the data, sign both; publish nothing."""
    options = _options(config, env, as_json=as_json, no_color=no_color, quiet=quiet)
    _end(options, lambda: bundles.build(options, out))


@bundle_app.command("publish")
def bundle_publish(
    *,
    config: Config = DEFAULT_CONFIG,
    env: Env = None,
    as_json: AsJson = False,
    no_color: NoColor = False,
    quiet: Quiet = False,
) -> None:
    """Build, and put it in the place that OPA reads."""
    options = _options(config, env, as_json=as_json, no_color=no_color, quiet=quiet)
    _end(options, lambda: bundles.publish(options, bundles.Turn.PUBLISH))


@bundle_app.command("freeze")
def bundle_freeze(
    *,
    config: Config = DEFAULT_CONFIG,
    env: Env = None,
    as_json: AsJson = False,
    no_color: NoColor = False,
    quiet: Quiet = False,
) -> None:
    """Publish a bundle in which only the emergency roles still give anything."""
    options = _options(config, env, as_json=as_json, no_color=no_color, quiet=quiet)
    _end(options, lambda: bundles.publish(options, bundles.Turn.FREEZE))


@bundle_app.command("thaw")
def bundle_thaw(
    *,
    config: Config = DEFAULT_CONFIG,
    env: Env = None,
    as_json: AsJson = False,
    no_color: NoColor = False,
    quiet: Quiet = False,
) -> None:
    """End a freeze with a fresh bundle."""
    options = _options(config, env, as_json=as_json, no_color=no_color, quiet=quiet)
    _end(options, lambda: bundles.publish(options, bundles.Turn.THAW))


@audit_app.command("verify")
def audit_verify(
    *,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An audit file.")],
    key: Annotated[
        Path | None, typer.Option("--public-key", metavar="PEM", help="The Ed25519 key that signed the checkpoints.")
    ] = None,
    checkpoints: Annotated[
        Path | None, typer.Option("--checkpoints", metavar="DIR", help="Default: `checkpoints` beside the file.")
    ] = None,
    config: Config = DEFAULT_CONFIG,
    env: Env = None,
    as_json: AsJson = False,
    no_color: NoColor = False,
    quiet: Quiet = False,
) -> None:
    """Prove that no line was edited, removed, inserted or moved; names the first that was."""
    options = _options(config, env, as_json=as_json, no_color=no_color, quiet=quiet)
    _end(options, lambda: commands.audit_verify(options, file, key=key, checkpoints=checkpoints))


def _options(config: Path, env: list[str] | None, *, as_json: bool, no_color: bool, quiet: bool) -> Options:
    console = Console(quiet=quiet, colour=not no_color, as_json=as_json)
    return Options(config=config, environments=tuple(env or ()), console=console)


def _end(options: Options, command: commands.Command) -> None:
    raise typer.Exit(run(command, options.console))


def main() -> None:
    """The entry point. Usage errors are bad input (3), because 2 means that there are changes."""
    speak_utf8()
    # Its default hooks announce every retry on stdout, where data goes.
    stamina.instrumentation.set_on_retry_hooks(())
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
