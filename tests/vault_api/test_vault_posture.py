"""Case 2: what row security rests on, asked of pg_catalog; and each way around it, tried and noticed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from vault_world import World

from vault_api.store import posture
from vault_api.store.database import Database
from vault_api.store.migrate import needed_revision

WAYS_AROUND = {
    "a role that bypasses": ("ALTER ROLE vault_app BYPASSRLS", "has BYPASSRLS"),
    "a superuser": ("ALTER ROLE vault_app SUPERUSER", "is superuser"),
    "a mightier role lent": ("GRANT vault_owner TO vault_app", "is a member of vault_owner"),
    "a role by way of another": (
        "CREATE ROLE go_between; GRANT vault_owner TO go_between; GRANT go_between TO vault_rotator",
        "role vault_rotator: is a member of vault_owner",
    ),
    "ownership": ("ALTER TABLE vault.shipping OWNER TO vault_app", "role vault_app: owns"),
    "no FORCE": ("ALTER TABLE vault.credential NO FORCE ROW LEVEL SECURITY", "credential: row level security is not"),
    "row security off": ("ALTER TABLE vault.audit DISABLE ROW LEVEL SECURITY", "audit: row level security is not"),
    "a new table without it": (
        "CREATE TABLE vault.unguarded (partner text PRIMARY KEY)",
        "unguarded: row level security is not",
    ),
    "a second, wider policy": ("CREATE POLICY wide ON vault.connection USING (true)", "connection: has another policy"),
    "the policy widened": (
        "ALTER POLICY tenant ON vault.credential USING (partner = vault.tenant() OR connection = 'x')",
        "credential: has another policy",
    ),
    "a policy that lets missing settings be": (
        "ALTER POLICY tenant ON vault.audit USING (partner = current_setting('vault.partner', true))",
        "audit: has another policy",
    ),
    "a policy for reading only": (
        "DROP POLICY tenant ON vault.audit; "
        "CREATE POLICY tenant ON vault.audit FOR SELECT USING (partner = vault.tenant())",
        "audit: has another policy",
    ),
    "uniqueness across partners": (
        "CREATE UNIQUE INDEX guess ON vault.connection (created_at, partner)",
        "connection: a unique index does not begin with the partner",
    ),
    "a view": ("CREATE VIEW vault.everything AS SELECT * FROM vault.connection", "view everything: stands over"),
    "a view elsewhere": ("CREATE VIEW public.everything AS SELECT * FROM vault.connection", "view public.everything"),
    "a materialized view": (
        "CREATE MATERIALIZED VIEW vault.frozen AS SELECT 1 AS partner",
        "materialized view frozen: stands over",
    ),
    "a definer function": (
        "CREATE FUNCTION vault.peek() RETURNS bigint LANGUAGE sql SECURITY DEFINER "
        "SET search_path = pg_catalog, pg_temp AS 'SELECT count(*) FROM vault.credential'",
        "function vault.peek: runs with the rights of its owner",
    ),
    "a definer function elsewhere": (
        "CREATE FUNCTION public.peek() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT 1::bigint'",
        "function public.peek: runs with the rights of its owner",
    ),
    "a search_path that a caller chooses": (
        "ALTER FUNCTION vault.release(text, text, bigint[], text[]) RESET search_path",
        "function release: its search_path is not fixed",
    ),
    "TRUNCATE": ("GRANT TRUNCATE ON vault.credential TO vault_app", "vault_app may TRUNCATE credential"),
    "DELETE on the trail": ("GRANT DELETE ON vault.audit TO vault_app", "vault_app may DELETE audit"),
    "UPDATE on the trail": ("GRANT UPDATE ON vault.audit TO vault_app", "vault_app may UPDATE audit"),
    "UPDATE on one column of the trail": ("GRANT UPDATE (line) ON vault.audit TO vault_app", "column line of audit"),
    "moving a row to another partner": (
        "GRANT UPDATE (partner) ON vault.credential TO vault_app",
        "column partner of credential",
    ),
    "a pin that can change": ("GRANT UPDATE ON vault.key_context TO vault_app", "vault_app may UPDATE key_context"),
    "reading for everybody": ("GRANT SELECT ON vault.connection TO PUBLIC", "PUBLIC may SELECT connection"),
    "calling for everybody": (
        "GRANT EXECUTE ON FUNCTION vault.record(text, text, text[], text, text, text, bigint) TO PUBLIC",
        "PUBLIC may execute record",
    ),
    "making things in the schema": (
        "GRANT CREATE ON SCHEMA vault TO vault_app",
        "vault_app may CREATE in schema vault",
    ),
    "a right that can be passed on": (
        "GRANT SELECT ON vault.connection TO vault_app WITH GRANT OPTION",
        "vault_app may SELECT connection",
    ),
}


class OneConnection(Database):
    """A database of one given connection, so that what a transaction changes can be looked at and undone."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    async def rows(self, statement: str, *values: Any) -> Any:
        return await self._connection.fetch(statement, *values)


@pytest.fixture
async def as_superuser(world: World, superuser: asyncpg.Connection) -> AsyncIterator[OneConnection]:
    """The superuser in a transaction that is undone."""
    transaction = superuser.transaction()
    await transaction.start()
    yield OneConnection(superuser)
    await transaction.rollback()


async def test_nothing_reaches_around_row_security(world: World, as_app: asyncpg.Connection) -> None:
    assert await posture.findings(OneConnection(as_app)) == []
    await posture.require(OneConnection(as_app), needed_revision())


@pytest.mark.parametrize("way", WAYS_AROUND)
async def test_every_way_around_row_security_is_noticed(way: str, as_superuser: OneConnection) -> None:
    statement, finding = WAYS_AROUND[way]
    for part in statement.split("; "):
        await as_superuser._connection.execute(part)
    found = await posture.findings(as_superuser)
    assert any(finding in line for line in found), found


async def test_a_vault_does_not_start_on_such_a_database(world: World, superuser: asyncpg.Connection) -> None:
    await superuser.execute("GRANT TRUNCATE ON vault.credential TO vault_app")
    try:
        done = world.run("serve", VAULT_BIND="127.0.0.1:1")
    finally:
        await superuser.execute("REVOKE TRUNCATE ON vault.credential FROM vault_app")
    assert done.returncode == 3
    assert "vault_app may TRUNCATE credential" in done.stderr.splitlines()[-1]


async def test_a_vault_does_not_start_on_another_revision(world: World, superuser: asyncpg.Connection) -> None:
    await superuser.execute("UPDATE vault.alembic_version SET version_num = 'older'")
    try:
        done = world.run("serve", VAULT_BIND="127.0.0.1:1")
    finally:
        await superuser.execute("UPDATE vault.alembic_version SET version_num = $1", needed_revision())
    assert done.returncode == 3
    assert "run `python -m vault_api migrate`" in done.stderr.splitlines()[-1]
