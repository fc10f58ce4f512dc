"""`python -m vault_api migrate`: brings the schema `vault` to the revision that this code needs."""

from __future__ import annotations

from importlib.resources import as_file, files

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool


async def migrate(url: str, password: str) -> str:
    """Runs every missing revision as the schema's owner and returns the revision that is in force now.

    `url` is a `postgresql://` address without a password. Safe to repeat; revisions are transactional,
    so a run that is killed leaves the schema at the last whole one.
    """

    async def connect() -> asyncpg.Connection:
        # By asyncpg itself, as the service does: SQLAlchemy knows nothing of `sslmode` and `sslrootcert` in an address.
        return await asyncpg.connect(url, password=password)

    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            return await connection.run_sync(_upgrade)
    finally:
        await engine.dispose()


def needed_revision() -> str:
    """The revision this code was written for."""
    with as_file(files("vault_api.store") / "migrations") as folder:
        head = ScriptDirectory(str(folder)).get_current_head()
    if head is None:
        raise RuntimeError("the package was built without its migrations")
    return head


def _upgrade(connection: Connection) -> str:
    with as_file(files("vault_api.store") / "migrations") as folder:
        config = Config()
        config.set_main_option("script_location", str(folder))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    context = MigrationContext.configure(connection, opts={"version_table_schema": "vault"})
    return context.get_current_revision() or ""
