"""Roles and databases of PostgreSQL, then the schemas of the services that have one. Safe to repeat."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import asyncpg

from admin_sync.access.store.migrate import migrate as migrate_access
from identity.revisions import upgrade
from identity.secret import read_secret
from stack.compose.holders import password
from stack.postgres import DATABASES, ROLES, SUPERUSER, verifier
from vault_api.store.migrate import migrate as migrate_vault

RUN = Path("/run/tradepulse")


async def provide(address: str, words: dict[str, str]) -> None:
    """Create what is missing of ROLES and DATABASES and set the passwords, as the superuser.

    address: `postgresql://host:port/?sslmode=…` without a user; words: role -> password
    """
    connection = await asyncpg.connect(address, user=SUPERUSER, database="postgres", password=words[SUPERUSER])
    try:
        roles = {row["rolname"] for row in await connection.fetch("SELECT rolname FROM pg_roles")}
        databases = {row["datname"] for row in await connection.fetch("SELECT datname FROM pg_database")}
        # Every name comes from the two tables and every verifier from us; none of these statements takes parameters.
        for role in ROLES:
            if role not in roles:
                await connection.execute(f"CREATE ROLE {role}")
            await connection.execute(
                f"ALTER ROLE {role} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS "
                f"PASSWORD '{verifier(words[role])}'"
            )
        for name, owner in DATABASES.items():
            if name not in databases:
                await connection.execute(f"CREATE DATABASE {name} OWNER {owner}")
            await connection.execute(f"REVOKE ALL ON DATABASE {name} FROM PUBLIC")
        await connection.execute("REVOKE CONNECT ON DATABASE postgres FROM PUBLIC")
        for role, name in ROLES.items():
            await connection.execute(f"GRANT CONNECT ON DATABASE {name} TO {role}")
    finally:
        await connection.close()


def main() -> int:
    """Everything, at the server that POSTGRES_ADDRESS and POSTGRES_OPTIONS name (`host:port`, `sslmode=…`)."""
    server, options = os.environ["POSTGRES_ADDRESS"], os.environ["POSTGRES_OPTIONS"]
    words = {role: read_secret(RUN / password(role), name=role).text() for role in (SUPERUSER, *ROLES)}
    asyncio.run(provide(f"postgresql://{server}/?{options}", words))
    print(f"schema: {len(ROLES)} roles, {len(DATABASES)} databases")
    revision = asyncio.run(migrate_vault(os.environ["VAULT_OWNER_DATABASE_URL"], words["vault_owner"]))
    print(f"schema: the vault's is at revision {revision}")
    revision = asyncio.run(migrate_access(os.environ["ACCESS_OWNER_DATABASE_URL"], words["access_owner"]))
    print(f"schema: the one of requests is at revision {revision}")
    if sessions := os.environ.get("WORKSPACE_OWNER_DATABASE_URL"):
        # By its name alone: where no workspace is deployed, its code is not there either.
        revision = asyncio.run(
            upgrade(sessions, words["workspace_owner"], package="workspace.session", schema="workspace")
        )
        print(f"schema: the workspace's is at revision {revision}")
    return 0
