"""`vault rotate | rotation | shred`."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from typing import Annotated

import typer

from vault_client.session import BAD_INPUT, REFUSED, Session, fail, shown


def add(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command()(rotate)
    app.command()(rotation)
    app.command()(shred)


def rotate(
    context: typer.Context,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Open every row and change nothing.")] = False,
    root: Annotated[bool, typer.Option("--root", help="Move those that are not under the current root key.")] = False,
    partner: Annotated[list[str] | None, typer.Option(help="Only this one; may be repeated.")] = None,
    canary: Annotated[list[str] | None, typer.Option(help="Who goes first; may be repeated.")] = None,
    stage: Annotated[list[str] | None, typer.Option(help="canary, 10%, 100%; may be repeated.")] = None,
) -> None:
    """Begins a rotation of keys; the worker does it."""
    session: Session = context.obj
    request = {"kind": "root" if root else "partner", "dry_run": dry_run}
    lists = {"partners": partner, "canary": canary, "stages": stage}
    with session.vault() as vault:
        begun = vault.rotate({**request, **{name: value for name, value in lists.items() if value}})
    session.answer(dict(begun), [f"rotation {begun['id']}: {begun['state']}"])


def rotation(
    context: typer.Context,
    number: Annotated[str | None, typer.Argument(metavar="[ID]", help="All of them unless given.")] = None,
    pause: Annotated[bool, typer.Option("--pause", help="Let it rest after the partner under way.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Let it go on.")] = False,
    abort: Annotated[bool, typer.Option("--abort", help="End it; every row stays readable.")] = False,
) -> None:
    """Shows a rotation, or pauses, resumes or aborts it."""
    session: Session = context.obj
    verbs = [name for name, wanted in (("pause", pause), ("resume", resume), ("abort", abort)) if wanted]
    if len(verbs) > 1 or (verbs and number is None):
        raise typer.BadParameter("give one of --pause, --resume and --abort, with the id of a rotation")
    with session.vault() as vault:
        if number is None:
            every = vault.rotations()
            lines = [f"{one['id']}  {one['kind']}  {one['state']}" for one in every["rotations"]]
            session.answer(dict(every), lines)
            return
        found = vault.steer_rotation(number, verbs[0]) if verbs else vault.rotation(number)
    session.answer(dict(found), shown(found))


def shred(
    partner: Annotated[str, typer.Argument(help="The partner's id.")],
    confirm: Annotated[str, typer.Option(help="The id once more; there is no way back.")] = "",
) -> None:
    """Destroys what is sealed for a partner, here and in every backup. Runs where a worker has its settings.

    No call of the REST API does this: who may remove a salt is the worker's account alone, and only its
    host holds that account's key. So this hands over to the service's own program, which proves it and signs.
    """
    if confirm != partner:
        fail(f"this destroys every credential of {partner} for good; if that is meant, add --confirm", code=REFUSED)
    if find_spec("vault_api") is None:
        fail("the service is not installed here; run this on a host of its worker", code=BAD_INPUT)
    command = [sys.executable, "-m", "vault_api", "shred", "--confirm", partner, "--", partner]
    raise typer.Exit(subprocess.run(command, check=False).returncode)  # noqa: S603 - our own program
