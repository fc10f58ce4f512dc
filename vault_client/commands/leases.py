"""`vault leases list | get | renew | end | end-all`."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from identity.secret import Secret
from vault_client.session import Session, show_secret, shown

Partner = Annotated[str, typer.Argument(help="The partner's id.")]
Id = Annotated[str, typer.Argument(help="The lease's id.")]
Ttl = Annotated[int | None, typer.Option(help="At most this many seconds.")]

group = typer.Typer(no_args_is_help=True, help="Credentials that are lent for a while.")


def add(app: typer.Typer) -> None:
    """Adds the group."""
    app.add_typer(group, name="leases")


@group.command("list")
def list_leases(context: typer.Context, partner: Partner) -> None:
    """Lists a partner's leases."""
    session: Session = context.obj
    with session.vault() as vault:
        found = list(vault.leases(partner))
    lines = [
        f"{one.lease}  {one.template}  {_state(one.state, one.irrevocable)}  {one.requestor}  until {one.expires_at}"
        for one in found
    ]
    session.answer([one.model_dump(mode="json") for one in found], lines)


@group.command()
def get(
    context: typer.Context,
    *,
    partner: Partner,
    template: Annotated[str, typer.Argument(help="What the operator allows to be lent.")],
    connection: Annotated[str | None, typer.Option(help="Whose token is to be narrowed.")] = None,
    ttl: Ttl = None,
    show: Annotated[bool, typer.Option("--show", help="Also to a terminal.")] = False,
) -> None:
    """Leases a credential and writes it, with where it is good for, to stdout as JSON."""
    session: Session = context.obj
    with session.vault() as vault:
        lent = vault.lease(partner, template, connection=connection, ttl_seconds=ttl)
    typer.echo(f"lease {lent.lease.lease} until {lent.lease.expires_at}", err=True)
    document = {**lent.facts, "lease": lent.lease.lease, "secret": lent.secret.text()}
    show_secret(Secret(json.dumps(document)), show=show)


@group.command()
def renew(context: typer.Context, partner: Partner, lease: Id, ttl: Ttl = None) -> None:
    """Makes one's own lease last longer."""
    session: Session = context.obj
    with session.vault() as vault:
        found = vault.renew_lease(partner, lease, ttl_seconds=ttl).model_dump(mode="json")
    session.answer(found, shown(found))


@group.command()
def end(context: typer.Context, partner: Partner, lease: Id) -> None:
    """Ends a lease."""
    session: Session = context.obj
    with session.vault() as vault:
        found = vault.end_lease(partner, lease).model_dump(mode="json")
    session.answer(found, [f"{lease}: {found['state']}"])


@group.command("end-all")
def end_all(
    context: typer.Context,
    reason: Annotated[str, typer.Option(help="A stable code for the trail, such as logout.")],
    partner: Annotated[str | None, typer.Option(help="Of this partner.")] = None,
    session_id: Annotated[str | None, typer.Option("--session", help="Of this login session.")] = None,
    subject: Annotated[str | None, typer.Option(help="Of this person.")] = None,
) -> None:
    """Ends the leases of a partner, a session or a person."""
    session: Session = context.obj
    with session.vault() as vault:
        ending = vault.end_leases(reason, partner=partner, session=session_id, subject=subject)
    session.answer(dict(ending), [f"{name}: {' '.join(ids)}" for name, ids in ending.items()] or ["none was living"])


def _state(state: str, irrevocable: bool) -> str:
    return f"{state} (irrevocable)" if irrevocable else state
