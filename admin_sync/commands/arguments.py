"""How a function becomes a command: the five global options are declared here and nowhere else.

    @command(app)
    def plan(options: Options, *, out: Out = None) -> int: ...

is the command `plan` with the global options, then `--out`. The function gets them as one `Options`
and returns the exit code; called directly, as tests do, it is the plain function it looks like.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import typer

from admin_sync.commands.options import DEFAULT_CONFIG, Options
from admin_sync.console import Console, run
from admin_sync.keycloak.choice import MOST_PARALLEL, PARALLELISM, Choice

Body = TypeVar("Body", bound=Callable[..., int])


class PlanFormat(StrEnum):
    """How a plan is shown."""

    TEXT = "text"
    JSON = "json"
    MARKDOWN = "markdown"
    GITHUB = "github"


Format = Annotated[PlanFormat | None, typer.Option("--format", help="How to show a plan.")]


def _finite(seconds: float) -> float:
    if not 0 <= seconds < math.inf:
        raise typer.BadParameter("a number of seconds is needed, 0 or more")
    return seconds


Wait = Annotated[
    float, typer.Option("--wait", metavar="SECONDS", callback=_finite, help="How long to wait for the lock.")
]
Gateway = Annotated[
    Choice | None, typer.Option("--gateway", help="How to reach the realm. Default: ADMIN_SYNC_GATEWAY, or auto.")
]
Parallelism = Annotated[
    int | None,
    typer.Option(
        "--parallelism",
        metavar="N",
        min=1,
        max=MOST_PARALLEL,
        help=f"Requests at once. Default: ADMIN_SYNC_PARALLELISM, or {PARALLELISM}.",
    ),
]

_Config = Annotated[Path, typer.Option("--config", metavar="DIR", help="The configuration directory.")]
_Env = Annotated[
    list[str] | None, typer.Option("--env", metavar="ENVIRONMENT", help="Only this environment; may be repeated.")
]
_Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
_NoColor = Annotated[bool, typer.Option("--no-color", help="No colours (NO_COLOR is respected too).")]
_Quiet = Annotated[bool, typer.Option("--quiet", help="No messages but errors.")]

_GLOBALS: Final = tuple(
    inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
    for name, default, annotation in (
        ("config", DEFAULT_CONFIG, _Config),
        ("env", None, _Env),
        ("as_json", False, _Json),
        ("no_color", False, _NoColor),
        ("quiet", False, _Quiet),
    )
)


def group(help_text: str | None = None) -> typer.Typer:
    """A group of commands; one without a help text adds its commands to the program itself."""
    return typer.Typer(help=help_text, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


def command(app: typer.Typer, name: str | None = None) -> Callable[[Body], Body]:
    """Register a function as a command of `app`, called `name` or as the function is.

    Its first parameter is the `Options` of the run; all others are keyword-only and annotated the way
    typer wants them. Its docstring is the help.
    """

    def register(body: Body) -> Body:
        own = list(inspect.signature(body, eval_str=True).parameters.values())[1:]

        def parsed(
            *, config: Path, env: list[str] | None, as_json: bool, no_color: bool, quiet: bool, **rest: Any
        ) -> None:
            console = Console(quiet=quiet, colour=not no_color, as_json=as_json)
            options = Options(config=config, environments=tuple(env or ()), console=console)
            raise typer.Exit(run(lambda: body(options, **rest), console))

        parsed.__name__ = body.__name__
        parsed.__doc__ = body.__doc__
        # typer reads the parameters here; annotations of our own would only contradict them.
        parsed.__annotations__ = {}
        parsed.__signature__ = inspect.Signature([*_GLOBALS, *own])  # type: ignore[attr-defined]
        app.command(name)(parsed)
        return body

    return register
