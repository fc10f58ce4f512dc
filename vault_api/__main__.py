"""`python -m vault_api COMMAND`: `serve`, `worker`, `migrate`, and the operator's; see COMMANDS below.

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
import uvloop
from pydantic import ValidationError

from identity import logs
from identity.audit.errors import AuditUnavailable
from identity.schema_head import NotUpgraded
from identity.secret import SecretUnreadable, read_secret
from identity.serving import listen, parent
from vault_api.app import create_server
from vault_api.compliance.ecs import convert
from vault_api.keyring import KeyUnavailable
from vault_api.kms import commands as kms
from vault_api.kms.seam import KmsRefused
from vault_api.legacy import commands as legacy
from vault_api.rotation import recover, retire, shred
from vault_api.rotation.refused import CommandRefused
from vault_api.salts import SaltsUnavailable
from vault_api.settings import MigrationSettings, VaultSettings
from vault_api.store.database import DatabaseUnavailable
from vault_api.store.migrate import migrate
from vault_api.vault import StartRefused, open_vault
from vault_api.worker.endpoints import create_worker_app
from vault_api.worker.runner import Runner
from vault_api.worker.tasks import tasks_of


def _serve() -> int:
    settings = VaultSettings()
    if settings.workers > 1:
        # Others may then listen at the same address, if they are of this account.
        return parent(["vault_api", "serve"], settings.workers, {"VAULT_WORKERS": "1", "VAULT_SHARE_PORT": "true"})
    host, port = settings.address

    async def serve() -> None:
        # Opened before the server listens and closed after it stopped: what is wrong is one line and no
        # traceback, and what was committed while the last requests ended is still shipped.
        async with open_vault(settings) as vault:
            await listen(create_server(vault), host, port, share=settings.share_port)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve())
    return 0


def _work() -> int:
    settings = VaultSettings()
    host, port = settings.worker_address

    async def work() -> None:
        async with open_vault(settings) as vault:
            runner = Runner(tasks_of(vault), vault.metrics)
            runner.start()
            try:
                await listen(create_worker_app(vault, runner), host, port)
            finally:
                await runner.stop()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
        loop.run(work())
    return 0


def _migrate() -> int:
    settings = MigrationSettings()
    password = read_secret(settings.owner_password_file, name="VAULT_OWNER_DATABASE_PASSWORD_FILE")
    revision = asyncio.run(migrate(settings.owner_url, password.text()))
    print(f"schema `vault` is at revision {revision}")  # noqa: T201 - the result of the command
    return 0


COMMANDS: Mapping[str, Callable[[], int]] = {
    "serve": _serve,
    "worker": _work,
    "migrate": _migrate,
    "soc": convert,
    "legacy-status": legacy.status,
    "legacy-backfill": legacy.backfill,
    "legacy-report": legacy.report,
    "legacy-forward": legacy.forward,
    "legacy-back": legacy.back,
    "kms-init": kms.init,
    "kms-status": kms.status,
    "kms-rotate-root": kms.rotate_root,
}

WITH_ARGUMENTS: Mapping[str, Callable[[Sequence[str]], int]] = {
    "recover": recover.main,
    "retire-root": retire.root,
    "retire-salt": retire.main,
    "shred": shred.main,
}
"""Commands that read the rest of the command line themselves."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(
        prog="vault-api",
        description="The TradePulse vault. Settings are environment variables; see vault_api/settings.py.",
    )
    parser.add_argument("command", nargs="?", default="serve", choices=(*COMMANDS, *WITH_ARGUMENTS))
    more = words[:1] if words[:1] and words[0] in WITH_ARGUMENTS else words
    command = parser.parse_args(more).command
    logs.configure("vault-api", level=os.environ.get("VAULT_LOG_LEVEL", "INFO"))
    try:
        if command in WITH_ARGUMENTS:
            return WITH_ARGUMENTS[command](words[1:])
        return COMMANDS[command]()
    except ValidationError as error:
        _fail("; ".join(f"{'.'.join(map(str, mistake['loc']))}: {mistake['msg']}" for mistake in error.errors()))
    except (StartRefused, CommandRefused, KmsRefused, SecretUnreadable, ValueError) as error:
        _fail(str(error))
    except (SaltsUnavailable, KeyUnavailable, AuditUnavailable, DatabaseUnavailable) as error:
        _fail(f"not finished: {error}; a re-run is safe")
        return 1
    except (NotUpgraded, asyncpg.PostgresError, OSError) as error:
        # The driver's own message may quote the address and the statement.
        _fail(f"the database did not do its part ({type(error).__name__}); see that it runs and lets this role in")
        return 1
    return 3


def _fail(line: str) -> None:
    print(f"vault-api: {line}", file=sys.stderr)  # noqa: T201 - one clear line for whoever started it


if __name__ == "__main__":
    sys.exit(main())
