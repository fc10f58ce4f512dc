"""Alembic's entry: runs the revisions as access_owner, each in one transaction, inside the schema `access`."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection, text

connection: Connection = context.config.attributes["connection"]

# Alembic keeps its version table in the schema that the first revision would otherwise have to make.
connection.execute(text("CREATE SCHEMA IF NOT EXISTS access"))
context.configure(connection=connection, target_metadata=None, version_table_schema="access")
with context.begin_transaction():
    context.run_migrations()
