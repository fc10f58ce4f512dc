"""rotate-secrets: the static secrets that policy still allows, replaced when they are due."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from admin_sync.commands.arguments import command, group
from admin_sync.commands.options import Options
from admin_sync.console import DONE, FAILED
from admin_sync.errors import Misconfigured
from admin_sync.service_secrets.run import Done, rotate_due
from admin_sync.service_secrets.sink import Sink
from admin_sync.trail import Trail, opened

app = group()

Folder = Annotated[
    Path | None,
    typer.Option("--sink", metavar="DIR", help="Where clients read it. Default: ADMIN_SYNC_SECRETS_DIR."),
]
Client = Annotated[
    list[str] | None, typer.Option("--client", metavar="ID", help="Rotate this one now; may be repeated.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what is due.")]


@command(app, "rotate-secrets")
def rotate_secrets(options: Options, *, sink: Folder = None, client: Client = None, dry_run: DryRun = False) -> int:
    """Replace the static secrets that are due, each into a file that its client reads. A re-run is safe."""
    folder = sink or (Path(value) if (value := options.environ.get("ADMIN_SYNC_SECRETS_DIR")) else None)
    if folder is None:
        raise Misconfigured(
            "set ADMIN_SYNC_SECRETS_DIR to the folder that clients read their secret from, or give --sink"
        )
    document = options.document()
    unknown = set(client or ()) - {one.client for one in document.policies.service_accounts.exceptions}
    if unknown:
        raise Misconfigured(f"--client {min(unknown)}: policies.yaml has no exception for it, so it has no secret")
    session = options.session(document)
    made = options.settings()
    now = datetime.now(UTC)

    def run(trail: Trail | None) -> list[Done]:
        return rotate_due(
            document,
            session.connection,
            lambda environment, realm: session.gateway(environment).read(realm),
            Sink(folder),
            trail,
            environments=options.wanted(document),
            account_realm=made.realm,
            forced=client or (),
            note=options.console.progress,
        )

    if dry_run:
        found = run(None)
    else:
        with opened(made) as trail:
            found = run(trail)
    if options.console.as_json:
        options.console.json({"at": now.isoformat(), "secrets": [one.json(now) for one in found]})
    else:
        for one in found:
            options.console.data(f"{one.held.realm}: {one.held.client}: {_said(one, dry_run)}\n")
    for one in found:
        if one.problem is not None:
            options.console.complain(f"{one.held.client} in {one.held.realm}: {one.problem}")
    return FAILED if any(one.problem for one in found) else DONE


def _said(one: Done, dry_run: bool) -> str:
    if one.rotated:
        return f"rotated, because {one.held.why}"
    if one.problem is not None:
        return "not rotated"
    if one.held.why is not None and dry_run:
        return f"due, because {one.held.why}"
    return f"not due; its exception ends {one.held.ends:%Y-%m-%d}"
