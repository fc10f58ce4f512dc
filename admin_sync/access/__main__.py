"""`python -m admin_sync.access COMMAND`: `serve` or `migrate`.

exit 0   done, or stopped by a signal
exit 1   a server did not do its part; a re-run is safe
exit 3   a setting or a file is wrong; the message says which and what to do
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Callable, Mapping, Sequence

import asyncpg
from pydantic import ValidationError

from admin_sync.access.api.app import create_app
from admin_sync.access.service import StartRefused, open_access
from admin_sync.access.settings import AccessSettings, MigrationSettings
from admin_sync.access.store.database import DatabaseUnavailable
from admin_sync.access.store.migrate import migrate
from identity import logs
from identity.schema_head import NotUpgraded
from identity.secret import SecretUnreadable, read_secret
from identity.serving import listen


def _migrate() -> int:
    settings = MigrationSettings()
    password = read_secret(settings.owner_password_file, name="ACCESS_OWNER_DATABASE_PASSWORD_FILE")
    revision = asyncio.run(migrate(settings.owner_url, password.text()))
    print(f"schema `access` is at revision {revision}")  # noqa: T201 - the result of the command
    return 0


def _serve() -> int:
    settings = AccessSettings()
    host, port = settings.address

    async def serve() -> None:
        # Opened before the server listens and closed after it stopped: what was committed is still shipped.
        async with open_access(settings) as access:
            await listen(create_app(access), host, port)

    asyncio.run(serve())
    return 0


COMMANDS: Mapping[str, Callable[[], int]] = {"serve": _serve, "migrate": _migrate}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="admin_sync.access",
        description="Requests for access. Settings are environment variables; see admin_sync/access/settings.py.",
    )
    parser.add_argument("command", nargs="?", default="serve", choices=tuple(COMMANDS))
    command = parser.parse_args(arguments).command
    logs.configure("access", level=os.environ.get("ACCESS_LOG_LEVEL", "INFO"))
    try:
        return COMMANDS[command]()
    except ValidationError as error:
        _fail("; ".join(f"{'.'.join(map(str, mistake['loc']))}: {mistake['msg']}" for mistake in error.errors()))
    except (StartRefused, SecretUnreadable, ValueError) as error:
        _fail(str(error))
    except DatabaseUnavailable as error:
        _fail(f"not finished: {error}; a re-run is safe")
        return 1
    except (NotUpgraded, asyncpg.PostgresError, OSError) as error:
        # The driver's own message may quote the address and the statement.
        _fail(f"the database did not do its part ({type(error).__name__}); see that it runs and lets this role in")
        return 1
    return 3


def _fail(line: str) -> None:
    print(f"access: {line}", file=sys.stderr)  # noqa: T201 - one clear line for whoever started it


if __name__ == "__main__":
    sys.exit(main())
