"""One run of the command: where the vault is, who asks, how answers look, and which exit code an error has."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
from pydantic import ValidationError

from identity.login import LoginFailed, Terminal
from identity.login.registration import safe_url
from identity.secret import Secret
from vault_client.bearer import Bearer, BearerFile, BearerUnavailable, ServiceKey
from vault_client.client import NotAName, VaultClient
from vault_client.errors import (
    BadRequest,
    Conflict,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    StepUpRequired,
    Unreachable,
    VaultError,
)
from vault_client.person import Person, person_session

FAILED, BAD_INPUT, NOT_ALLOWED, REFUSED = 1, 3, 4, 5
_MAX_SECRET = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """The global options."""

    url: str
    bearer_file: Path | None
    client_id: str | None
    key_file: Path | None
    token_url: str | None
    as_json: bool

    @contextmanager
    def vault(self) -> Iterator[VaultClient]:
        """A client; whatever goes wrong with it ends the command with one line and the right exit code."""
        try:
            with VaultClient(self.url, self._bearer()) as client:
                yield client
        except VaultError as error:
            fail(_told(error), code=_exit_code(error))
        except Unreachable as error:
            fail(f"{error}; see that the vault runs at {self.url}", code=FAILED)
        except BearerUnavailable as error:
            fail(str(error), code=NOT_ALLOWED)
        except NotAName as error:
            fail(str(error), code=BAD_INPUT)
        except ValidationError:
            fail("the answer is not one of a vault; see that --url leads to one", code=FAILED)

    def answer(self, document: Any, lines: Sequence[str]) -> None:
        """Writes an answer: the document with --json, else the lines."""
        if self.as_json:
            typer.echo(json.dumps(document, indent=2, sort_keys=True))
        else:
            for line in lines:
                typer.echo(line)

    def _bearer(self) -> Bearer:
        if self.bearer_file is not None:
            return BearerFile(self.bearer_file)
        if self.client_id and self.key_file and self.token_url:
            return ServiceKey(self.token_url, self.client_id, self.key_file)
        if self.client_id or self.key_file or self.token_url:
            raise BearerUnavailable("say who asks: --client-id, --key-file and --token-url go together")
        if not safe_url(self.url):
            # Nobody chose this token for this address, so what can be read on the way does not get it.
            raise BearerUnavailable("your session's token goes to https, or to http on this host; see --url")
        # Nobody else was named, so it is the person at the keyboard; where there is no keyboard, nobody is asked.
        try:
            return Person(person_session(os.environ, talk=Terminal()), interactive=sys.stderr.isatty())
        except LoginFailed:
            raise BearerUnavailable(
                "say who asks: log in with `vault login` (TRADEPULSE_ISSUER), or give --bearer-file "
                "(VAULT_BEARER_FILE), or --client-id, --key-file and --token-url together"
            ) from None


def fail(line: str, *, code: int) -> None:
    """Ends the command with one line on stderr."""
    typer.echo(f"vault: {line}", err=True)
    raise typer.Exit(code)


def read_secret_input(path: Path | None, *, what: str) -> Secret:
    """A secret from a file, or from stdin where none is named; without its final newline. Ends with exit 3."""
    if path is None or str(path) == "-":
        if sys.stdin.isatty():
            fail(f"give {what} on stdin or with a file; what is typed here would stay on the screen", code=BAD_INPUT)
        content = sys.stdin.buffer.read(_MAX_SECRET + 1)
    else:
        try:
            with path.open("rb") as file:
                content = file.read(_MAX_SECRET + 1)
        except OSError as error:
            fail(f"cannot read {path}: {error.strerror}", code=BAD_INPUT)
    content = content.removesuffix(b"\n").removesuffix(b"\r")
    if not content or len(content) > _MAX_SECRET:
        fail(f"{what} is empty or longer than {_MAX_SECRET} bytes", code=BAD_INPUT)
    return Secret(content)


def show_secret(secret: Secret, *, show: bool) -> None:
    """Writes a secret to stdout, to a terminal only when asked to. Ends with exit 5 otherwise."""
    if sys.stdout.isatty() and not show:
        fail("stdout is a terminal; send it into a pipe, or say --show", code=REFUSED)
    sys.stdout.write(secret.text())
    if sys.stdout.isatty():
        sys.stdout.write("\n")
    sys.stdout.flush()


def shown(facts: Mapping[str, Any]) -> list[str]:
    """Facts as aligned lines."""
    width = max((len(name) for name in facts), default=0)
    return [f"{name.ljust(width)}  {_text(value)}" for name, value in facts.items()]


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return " ".join(map(str, value)) or "-"
    return "-" if value is None else str(value)


def _told(error: VaultError) -> str:
    if isinstance(error, StepUpRequired):
        age = "" if error.max_age is None else f" at most {error.max_age} s ago"
        return (
            f"log in again with acr_values={error.acr_values}{age} (`vault login --acr {error.acr_values}`), "
            "then repeat this (step-up-required)"
        )
    return str(error)


def _exit_code(error: VaultError) -> int:
    if isinstance(error, NotAuthenticated | NotAllowed | NotFound):
        return NOT_ALLOWED
    if isinstance(error, Conflict):
        return REFUSED
    return BAD_INPUT if isinstance(error, BadRequest) else FAILED
