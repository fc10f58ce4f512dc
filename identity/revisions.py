"""A service's schema in PostgreSQL, brought to the revision that its code needs (alembic, with SQL as SQL).

run_script   what a revision calls: every statement of a `.sql` file beside it
environment  what a package's `env.py` calls
upgrade      every missing revision, in one transaction each

Services import it when they migrate and not before (`identity.schema_head`).
"""

from __future__ import annotations

from importlib.resources import as_file, files
from typing import Any

import asyncpg
from alembic import command, context, op
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from identity.schema_head import FOLDER, NotUpgraded


async def upgrade(url: str, password: str, *, package: str, schema: str) -> str:
    """Run every missing revision of `package`'s folder `migrations` as the schema's owner; the revision then in force.

    `url` is a `postgresql://` address without a password. Safe to repeat; revisions are transactional, so a run that
    is killed leaves the schema at the last whole one. Raises NotUpgraded, or what asyncpg raises when it connects.
    """

    async def connect() -> asyncpg.Connection:
        # By asyncpg itself, as the services do: SQLAlchemy knows nothing of `sslmode` and `sslrootcert` in an address.
        return await asyncpg.connect(url, password=password)

    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            return await connection.run_sync(_upgrade, package, schema)
    except SQLAlchemyError as problem:
        # Its message may quote the address and the statement.
        raise NotUpgraded(type(problem).__name__) from None
    finally:
        await engine.dispose()


def environment(schema: str) -> None:
    """Run the revisions that alembic was asked for, inside the schema `schema`."""
    connection: Connection = context.config.attributes["connection"]
    # Alembic keeps its version table in the schema that the first revision would otherwise have to make.
    connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {schema}"))
    context.configure(connection=connection, target_metadata=None, version_table_schema=schema)
    with context.begin_transaction():
        context.run_migrations()


def run_script(package: str, name: str) -> None:
    """Execute every statement of a file beside the package's revisions, in the transaction of the migration.

    Schemas are SQL and not SQLAlchemy calls, because what matters in them (row security, grants, plpgsql) has no
    other notation, and whoever reviews them should read what PostgreSQL runs.
    """
    script = files(package).joinpath(name).read_text(encoding="utf-8")
    # asyncpg prepares what goes through SQLAlchemy, and a prepared statement is one statement. The driver's own
    # `execute` takes a script, on the same connection and thus in the same transaction.
    connection: Any = op.get_bind().connection.dbapi_connection
    connection.run_async(lambda driver: driver.execute(script))


def _upgrade(connection: Connection, package: str, schema: str) -> str:
    with as_file(files(package) / FOLDER) as folder:
        config = Config()
        config.set_main_option("script_location", str(folder))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    migrated = MigrationContext.configure(connection, opts={"version_table_schema": schema})
    return migrated.get_current_revision() or ""
