"""The command `vault`, for operators and scripts.

    exit 0   done
    exit 1   the vault, the network or the token endpoint failed; a re-run is safe unless the message says otherwise
    exit 3   bad input: an option, a file, a request that the vault does not understand
    exit 4   not authenticated or not allowed; a step-up demand says how to log in again
    exit 5   refused as things stand: another version, a cap, an ended lease, a missing confirmation

Data is on stdout, everything else on stderr. `--json` makes stdout one JSON document. Secrets come from stdin
or a file, never from an argument, and go to a terminal only with --show.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from vault_client.commands import connections, keys, leases, login, reports
from vault_client.session import BAD_INPUT, FAILED, Session

app = typer.Typer(
    name="vault",
    help="The TradePulse vault for operators.",
    no_args_is_help=True,
    add_completion=True,
    # A traceback with local variables is the one thing that must never be shown here.
    pretty_exceptions_enable=False,
)


@app.callback()
def options(
    context: typer.Context,
    *,
    url: Annotated[str, typer.Option(envvar="VAULT_URL", help="Where the vault is.")] = "http://127.0.0.1:8200",
    bearer_file: Annotated[
        Path | None, typer.Option(envvar="VAULT_BEARER_FILE", help="A file (0600) that holds the access token.")
    ] = None,
    client_id: Annotated[
        str | None, typer.Option(envvar="VAULT_CLI_CLIENT_ID", help="The client of a service account.")
    ] = None,
    key_file: Annotated[
        Path | None, typer.Option(envvar="VAULT_CLI_KEY_FILE", help="Its private key in PEM (0600).")
    ] = None,
    token_url: Annotated[
        str | None, typer.Option(envvar="VAULT_CLI_TOKEN_URL", help="The realm's token endpoint.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Answer with one JSON document.")] = False,
) -> None:
    """Says where the vault is and who asks."""
    context.obj = Session(
        url=url, bearer_file=bearer_file, client_id=client_id, key_file=key_file, token_url=token_url, as_json=as_json
    )


login.add(app)
connections.add(app)
leases.add(app)
keys.add(app)
reports.add(app)


def main() -> None:
    """The entry point. Usage errors are bad input (3), as in admin-sync."""
    code: object = None
    try:
        code = app(standalone_mode=False)
    except typer.TyperException as problem:
        if problem.format_message():
            typer.echo(f"vault: {problem.format_message()}", err=True)
        code = BAD_INPUT
    except (typer.Abort, KeyboardInterrupt):
        typer.echo("vault: interrupted", err=True)
        code = FAILED
    except BrokenPipeError:
        # Whoever read from us has gone; Python would complain once more while it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = FAILED
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
