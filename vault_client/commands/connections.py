"""`vault list | describe | put | release`."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from vault_client.models import Credential, TokenSet
from vault_client.session import BAD_INPUT, Session, fail, read_secret_input, show_secret, shown

Partner = Annotated[str, typer.Argument(help="The partner's id.")]
Name = Annotated[str, typer.Argument(help="The connection's name.")]


def add(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command("list")(list_connections)
    app.command()(describe)
    app.command()(put)
    app.command()(release)


def list_connections(context: typer.Context, partner: Partner) -> None:
    """Lists a partner's connections."""
    session: Session = context.obj
    with session.vault() as vault:
        found = list(vault.connections(partner))
    lines = [f"{one.connection}  {one.broker}  {_version(one)}  {_state(one)}" for one in found]
    session.answer([one.model_dump(mode="json") for one in found], lines)


def describe(context: typer.Context, partner: Partner, connection: Name) -> None:
    """Shows everything about a connection but its tokens."""
    session: Session = context.obj
    with session.vault() as vault:
        found = vault.describe(partner, connection).model_dump(mode="json")
    session.answer(found, shown(found))


def put(
    context: typer.Context,
    *,
    partner: Partner,
    connection: Name,
    broker: Annotated[str, typer.Option(help="The broker it belongs to.")],
    access_token_file: Annotated[
        Path | None, typer.Option(help="A file with the access token; stdin unless given. Never an argument.")
    ] = None,
    refresh_token_file: Annotated[Path | None, typer.Option(help="A file with the refresh token.")] = None,
    replaces: Annotated[
        int | None, typer.Option(help="The version to replace; without it, there must be none yet.")
    ] = None,
    expires_at: Annotated[str | None, typer.Option(help="RFC 3339, with an offset.")] = None,
    scope: Annotated[list[str] | None, typer.Option(help="May be repeated.")] = None,
) -> None:
    """Stores a token set."""
    session: Session = context.obj
    ends = None
    if expires_at is not None:
        try:
            ends = datetime.fromisoformat(expires_at)
        except ValueError:
            ends = None
        if ends is None or ends.tzinfo is None:
            fail("--expires-at is an RFC 3339 time with an offset, such as 2027-01-31T18:00:00Z", code=BAD_INPUT)
    tokens = TokenSet(
        broker=broker,
        access_token=read_secret_input(access_token_file, what="the access token"),
        refresh_token=None
        if refresh_token_file is None
        else read_secret_input(refresh_token_file, what="the refresh token"),
        expires_at=ends,
        scopes=tuple(scope or ()),
    )
    with session.vault() as vault:
        stored = vault.put(partner, connection, tokens, replaces=replaces).model_dump(mode="json")
    session.answer(stored, [f"{connection}: version {stored['version']} stored"])


def release(
    context: typer.Context,
    partner: Partner,
    connection: Name,
    show: Annotated[bool, typer.Option("--show", help="Also to a terminal.")] = False,
) -> None:
    """Writes the access token, and nothing else, to stdout. With --json everything but the token."""
    session: Session = context.obj
    with session.vault() as vault:
        released = vault.release(partner, connection)
    if session.as_json:
        session.answer(released.model_dump(mode="json"), [])
    else:
        show_secret(released.token, show=show)


def _version(one: Credential) -> str:
    return "no version" if one.version is None else f"version {one.version}"


def _state(one: Credential) -> str:
    if one.state != "active":
        return one.state
    return "expired" if one.expired else "good"
