"""`python -m workspace`: serve, or bring the schema up to date. Settings are environment variables (`settings.py`).

exit 0   stopped by a signal, or done
exit 1   a server or the system did not do its part
exit 3   a setting or a file is wrong; the message says which and what to do
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence

import asyncpg
import uvloop
from pydantic import ValidationError

from identity import logs
from identity.schema_head import NotUpgraded
from identity.secret import SecretUnreadable, read_secret
from identity.serving import listen, parent
from workspace.app import create_app
from workspace.service import SOURCE, StartRefused, open_workspace
from workspace.settings import WorkspaceSettings


def _serve(settings: WorkspaceSettings) -> int:
    host, port = settings.address
    if settings.workers > 1:
        own = {"WORKSPACE_WORKERS": "1", "WORKSPACE_SHARE_PORT": "true"}
        return parent(["workspace", "serve"], settings.workers, own)

    async def serve() -> None:
        # Opened before the server listens and closed after it stopped: what is wrong is one line and no traceback.
        async with open_workspace(settings) as workspace:
            await listen(create_app(workspace), host, port, share=settings.share_port)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve())
    return 0


def _migrate(settings: WorkspaceSettings) -> int:
    # A fifth of the start of a server that never migrates.
    from identity.revisions import upgrade  # noqa: PLC0415

    if settings.owner_database_url is None or settings.owner_database_password_file is None:
        raise ValueError("set WORKSPACE_OWNER_DATABASE_URL and WORKSPACE_OWNER_DATABASE_PASSWORD_FILE to migrate")
    password = read_secret(
        settings.owner_database_password_file, name="WORKSPACE_OWNER_DATABASE_PASSWORD_FILE"
    ).text().strip()  # fmt: skip
    revision = asyncio.run(
        upgrade(settings.owner_database_url, password, package="workspace.session", schema="workspace")
    )
    print(f"{SOURCE}: the schema is at revision {revision}", file=sys.stderr)  # noqa: T201 - what the command did
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    parser = argparse.ArgumentParser(prog=SOURCE, description=__doc__.partition("\n")[0])
    parser.add_argument("command", nargs="?", choices=("serve", "migrate"), default="serve")
    parsed = parser.parse_args(arguments)
    logs.configure(SOURCE, level=os.environ.get("WORKSPACE_LOG_LEVEL", "INFO"))
    try:
        settings = WorkspaceSettings()
        return _migrate(settings) if parsed.command == "migrate" else _serve(settings)
    except ValidationError as error:
        _fail("; ".join(f"{'.'.join(map(str, mistake['loc']))}: {mistake['msg']}" for mistake in error.errors()))
    except (StartRefused, SecretUnreadable, ValueError) as error:
        _fail(str(error))
    except (NotUpgraded, asyncpg.PostgresError, OSError) as error:
        _fail(f"a server or the system did not do its part ({type(error).__name__}); a re-run is safe")
        return 1
    return 3


def _fail(line: str) -> None:
    print(f"{SOURCE}: {line}", file=sys.stderr)  # noqa: T201 - one clear line for whoever started it


if __name__ == "__main__":
    sys.exit(main())
