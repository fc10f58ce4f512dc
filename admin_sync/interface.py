"""The command line as a value: every command with its options, as `--help` shows them. From the program itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import typer


@dataclass(frozen=True, slots=True)
class Parameter:
    """An option or an argument. `values` are the words it takes, `metavar` what it takes otherwise ("" for a flag)."""

    names: tuple[str, ...]
    argument: bool
    required: bool
    metavar: str
    values: tuple[str, ...]
    default: str
    help: str

    @property
    def takes_path(self) -> bool:
        """Whether a shell should offer files."""
        return self.metavar.strip("[]") in {"FILE", "DIR", "PEM", "PATH"}


@dataclass(frozen=True, slots=True)
class Command:
    """A command, or the program or a group (`subcommands` are not empty then)."""

    path: tuple[str, ...]
    help: str
    parameters: tuple[Parameter, ...]
    subcommands: tuple[str, ...]

    @property
    def options(self) -> tuple[Parameter, ...]:
        """The parameters with dashes."""
        return tuple(one for one in self.parameters if not one.argument)


def commands(app: typer.Typer) -> list[Command]:
    """The program, its groups and its commands, in the order of the help."""
    return list(_walk(typer.main.get_command(app), ()))


def _walk(command: Any, path: tuple[str, ...]) -> Iterator[Command]:
    inner = getattr(command, "commands", {})
    parameters = tuple(_parameter(one) for one in command.params if not getattr(one, "hidden", False))
    yield Command(path, (command.help or "").strip(), parameters, tuple(inner))
    for name, child in inner.items():
        yield from _walk(child, (*path, name))


def _parameter(one: Any) -> Parameter:
    argument = not hasattr(one, "is_flag")
    kind = one.type_descriptor.annotation
    values = tuple(map(str, kind)) if isinstance(kind, type) and issubclass(kind, StrEnum) else ()
    flag = not argument and bool(one.is_flag)
    metavar = "" if flag else one.metavar or getattr(kind, "__name__", "VALUE").upper()
    shown = "" if argument or one.default in (None, False) or callable(one.default) else str(one.default)
    return Parameter(
        names=(metavar.strip("[]"),) if argument else (*one.opts, *one.secondary_opts),
        argument=argument,
        required=bool(one.required),
        metavar="" if values else metavar,
        values=values,
        default=shown,
        help=(one.help or "").strip(),
    )
