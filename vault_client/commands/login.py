"""`vault login | logout | whoami`: the same session as that of admin-sync and every other program of this person."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from identity.login import Kind, LoginFailed, PersonSession, Terminal, Wanted
from identity.login.commands import exit_code, facts, farewell, lines
from identity.principal import AssuranceLevel
from vault_client.person import person_session
from vault_client.session import FAILED, Session, fail

Issuer = Annotated[str | None, typer.Option(envvar="TRADEPULSE_ISSUER", help="The realm to log in to.")]


def add(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command()(login)
    app.command()(logout)
    app.command()(whoami)


def login(
    context: typer.Context,
    *,
    issuer: Issuer = None,
    acr: Annotated[AssuranceLevel | None, typer.Option(help="Insist on this level of assurance.")] = None,
    device: Annotated[bool, typer.Option("--device", help="Show a code for another device.")] = False,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Show the address and open nothing.")] = False,
    store: Annotated[Kind | None, typer.Option(help="Where to keep the session: the keyring by default.")] = None,
) -> None:
    """Logs you in for the programs of this host. Opens a browser; --device where none is."""
    answers: Session = context.obj
    with _person(issuer, browser=not no_browser) as session:
        principal = session.log_in(store=store, wanted=Wanted(acr), device=device)
        told = facts(principal, session.registration)
    answers.answer(told, lines(told))


def logout(
    context: typer.Context,
    *,
    issuer: Issuer = None,
    everywhere: Annotated[bool, typer.Option("--everywhere", help="End the browser's session too.")] = False,
) -> None:
    """Ends your session, here and at the issuer."""
    answers: Session = context.obj
    with _person(issuer) as session:
        done = session.log_out(everywhere=everywhere)
        said = farewell(done, session.registration)
    answers.answer({"was_logged_in": done.was_logged_in, "issuer_told": done.told}, [said])
    if not done.told:
        raise typer.Exit(FAILED)


def whoami(context: typer.Context, *, issuer: Issuer = None) -> None:
    """Says who is logged in, what was proved, and which roles that gives."""
    answers: Session = context.obj
    with _person(issuer) as session:
        told = facts(session.who(), session.registration)
    answers.answer(told, lines(told))


@contextmanager
def _person(issuer: str | None, *, browser: bool = True) -> Iterator[PersonSession]:
    try:
        yield person_session(os.environ, issuer=issuer, talk=Terminal(browser=browser))
    except LoginFailed as failed:
        fail(str(failed), code=exit_code(failed.code))
