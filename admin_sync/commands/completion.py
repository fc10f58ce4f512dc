"""completion: what a shell needs to complete our commands and options."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from admin_sync.commands.arguments import command, group
from admin_sync.commands.options import Options
from admin_sync.completion import script
from admin_sync.console import DONE
from admin_sync.interface import commands

app = group()


class Shell(StrEnum):
    """The shells that we write completion for."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


@command(app)
def completion(options: Options, *, shell: Annotated[Shell, typer.Argument(metavar="SHELL")]) -> int:
    """Print the completion script for bash, zsh or fish."""
    # The whole program is known only to the module that puts it together, which imports this one.
    from admin_sync.cli import app as program  # noqa: PLC0415

    options.console.data(script(shell, commands(program)))
    return DONE
