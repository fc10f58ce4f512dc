"""`vault digest | audit | migrate-status`."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from vault_client.session import Session, shown


def add(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command()(digest)
    app.command()(audit)
    app.command("migrate-status")(migrate_status)


def digest(
    context: typer.Context,
    partner: Annotated[str | None, typer.Option(help="One partner; all of them unless given.")] = None,
    days: Annotated[int, typer.Option(min=1, max=92, help="How many days back.")] = 7,
) -> None:
    """Writes the compliance digest as Markdown, or with --json as JSON."""
    session: Session = context.obj
    with session.vault() as vault:
        typer.echo(vault.digest(partner, days=days, markdown=not session.as_json))


def audit(context: typer.Context, partner: Annotated[str, typer.Argument(help="The partner's id.")]) -> None:
    """Writes a partner's audit trail, a JSON line for each event."""
    session: Session = context.obj
    with session.vault() as vault:
        for event in vault.audit(partner):
            typer.echo(json.dumps(event, sort_keys=True))


def migrate_status(context: typer.Context) -> None:
    """Says where the move from the earlier row format stands."""
    session: Session = context.obj
    with session.vault() as vault:
        found = dict(vault.migration())
    session.answer(found, shown(found))
