"""link: whose account the names in a platform's own tokens are."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from admin_sync.commands.arguments import command, group
from admin_sync.commands.options import Options
from admin_sync.console import DONE, FAILED
from admin_sync.desired import realm_name
from admin_sync.errors import Misconfigured
from admin_sync.keycloak.connection import Connection
from admin_sync.links.linking import FINE, Linker, Outcome
from admin_sync.links.listed import Name, names
from admin_sync.trail import opened

app = group()

File = Annotated[Path, typer.Argument(metavar="FILE", help="CSV with the header subject,email.")]
Provider = Annotated[str, typer.Option("--provider", metavar="NAME", help="A token bridge of roles.yaml.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be linked.")]


@command(app)
def link(options: Options, *, file: File, provider: Provider, dry_run: DryRun = False) -> int:
    """Link existing accounts to the names that a platform's own tokens give them (docs/migration.md)."""
    document = options.document()
    environments = options.wanted(document)
    if len(environments) != 1:
        raise Misconfigured("name one environment with --env: accounts are linked in one realm at a time")
    if provider not in document.roles.token_bridges:
        known = ", ".join(sorted(document.roles.token_bridges)) or "none"
        # At a provider that people log in with, a link is a way into the account.
        raise Misconfigured(f"--provider {provider}: only a token bridge can be linked to; there is {known}")
    listed = names(file)
    made = options.settings()
    realm = realm_name(document, environments[0])
    linker = Linker(Connection(made.account()), realm, provider, write=not dry_run)
    counted: Counter[Outcome] = Counter()
    troubles: list[dict[str, str | int]] = []
    with opened(made) as trail:

        def observe(name: Name, outcome: Outcome) -> None:
            counted[outcome] += 1
            if outcome not in FINE:
                troubles.append({"line": name.line, "subject": name.subject, "why": outcome.value})
            elif outcome is Outcome.LINKED and not dry_run:
                trail.linked(realm, provider, name.subject, name.email)
            options.console.progress(f"{realm}: {counted.total()} of {len(listed)} names")

        linker.link(listed, observe)
    report = {"realm": realm, "provider": provider, "dry_run": dry_run, "names": len(listed)}
    if options.console.as_json:
        options.console.json(
            {**report, "outcomes": {one.value: counted[one] for one in Outcome}, "not_linked": troubles}
        )
    else:
        would = "would be " if dry_run else ""
        options.console.data(
            f"{realm}: {counted[Outcome.LINKED]} {would}linked, {counted[Outcome.ALREADY]} linked before, "
            f"{len(troubles)} not linked\n"
        )
    for one in troubles:
        options.console.complain(f"{file}:{one['line']}: {one['subject']}: {str(one['why']).replace('_', ' ')}")
    return FAILED if troubles else DONE
