"""Accounts on a PostgreSQL database (16 or newer), made by a management account that is not mighty itself.

The management account has CREATEROLE and nothing else: no superuser, no BYPASSRLS, no REPLICATION. From
PostgreSQL 16 on it can give away only roles that it was given WITH ADMIN OPTION, so what it could lend at
worst is what the operator granted it. An account is a member of the template's roles, which it inherits
and cannot switch to, and owns nothing; it has a password verifier, an end (VALID UNTIL) and a limit of
connections. PostgreSQL looks at the end only when somebody connects: ending an account therefore
closes its sessions as well.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from urllib.parse import urlsplit

import asyncpg

from identity.secret import Secret, SecretUnreadable, read_secret
from vault_api.leases.scram import new_password, verifier
from vault_api.leases.targets import Made, TargetRefused, TargetUnavailable
from vault_api.leases.templates import DatabaseTarget, Template

_TIMEOUT = 5.0

_POSTURE = """
WITH RECURSIVE reach AS (
    SELECT r.oid, r.rolname AS lent FROM pg_roles r WHERE r.rolname = ANY ($1)
    UNION SELECT m.roleid, reach.lent FROM reach JOIN pg_auth_members m ON m.member = reach.oid
)
SELECT 'account_too_mighty' AS code, 'the management account is superuser or has BYPASSRLS or REPLICATION' AS detail
    FROM pg_roles WHERE rolname = current_user AND (rolsuper OR rolbypassrls OR rolreplication)
UNION ALL
SELECT 'account_too_weak', 'the management account has no CREATEROLE'
    FROM pg_roles WHERE rolname = current_user AND NOT rolcreaterole
UNION ALL
SELECT 'server_too_old', 'PostgreSQL 16 or newer is needed' WHERE current_setting('server_version_num')::int < 160000
UNION ALL
SELECT 'role_missing', format('role %s does not exist', lent)
    FROM unnest($1::text[]) lent WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = lent)
UNION ALL
SELECT 'role_too_mighty', format('role %s reaches %s, which is predefined or has an attribute', lent, rolname)
    FROM reach JOIN pg_roles r USING (oid)
    WHERE rolsuper OR rolbypassrls OR rolreplication OR rolcreaterole OR rolcreatedb OR starts_with(rolname, 'pg_')
"""


class PostgresTarget:
    """One database of the operator's file. Each call is a connection of its own, which is cheap enough here."""

    renewable = True

    def __init__(self, settings: DatabaseTarget) -> None:
        self._settings = settings
        self._address = urlsplit(settings.url)

    async def make(self, lease: str, template: Template, until: datetime, source: Secret | None) -> Made:
        """An account that may log in until then; the password is in no statement."""
        del source
        password = new_password()
        account = account_of(lease)
        async with self._connection() as connection:
            await self._require_sound(connection, template)
            async with connection.transaction():
                # Without it the account could be altered and dropped, but neither its sessions nor what it owns ended.
                await connection.execute("SET LOCAL createrole_self_grant = 'inherit'")
                await connection.execute(
                    f"CREATE ROLE {_name(account)} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION "
                    f"NOBYPASSRLS INHERIT CONNECTION LIMIT {template.connection_limit:d} "
                    f"PASSWORD '{verifier(password)}' VALID UNTIL '{_moment(until)}'"
                )
                for role in template.scopes:
                    await connection.execute(
                        f"GRANT {_name(role)} TO {_name(account)} WITH INHERIT TRUE, SET FALSE, ADMIN FALSE"
                    )
        return Made(
            secret=password,
            scopes=template.scopes,
            shown={
                "username": account,
                "host": self._address.hostname,
                "port": self._address.port or 5432,
                "database": self._address.path.removeprefix("/"),
            },
        )

    async def extend(self, lease: str, until: datetime) -> None:
        """A later end."""
        async with self._connection() as connection:
            await connection.execute(f"ALTER ROLE {_name(account_of(lease))} VALID UNTIL '{_moment(until)}'")

    async def end(self, lease: str, kept: Secret | None) -> None:
        """No new session, then no session, then no account. What it owned goes to the management account."""
        del kept
        account = account_of(lease)
        async with self._connection() as connection:
            if not await _exists(connection, account):
                return
            # Committed by itself: whatever fails below, nobody logs in any more.
            await connection.execute(f"ALTER ROLE {_name(account)} NOLOGIN PASSWORD NULL VALID UNTIL '-infinity'")
            closed = await connection.fetch(
                "SELECT pg_terminate_backend(pid, 2000) AS gone FROM pg_stat_activity WHERE usename = $1", account
            )
            if not all(row["gone"] for row in closed):
                raise TargetUnavailable("sessions_remain")
            async with connection.transaction():
                await connection.execute(f"REASSIGN OWNED BY {_name(account)} TO CURRENT_USER")
                await connection.execute(f"DROP OWNED BY {_name(account)}")
                await connection.execute(f"DROP ROLE {_name(account)}")
            if await _exists(connection, account):
                raise TargetUnavailable("account_remains")

    async def _require_sound(self, connection: asyncpg.Connection, template: Template) -> None:
        problem = await connection.fetchrow(_POSTURE, list(template.scopes))
        if problem is not None:
            raise TargetRefused(problem["code"], problem["detail"])

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[asyncpg.Connection]:
        try:
            password = read_secret(self._settings.password_file, name="password_file of the database")
            connection = await asyncpg.connect(
                self._settings.url,
                password=password.text(),
                timeout=_TIMEOUT,
                command_timeout=_TIMEOUT,
                server_settings={"application_name": "vault-api leases", "lock_timeout": "4000"},
            )
        except SecretUnreadable:
            raise TargetUnavailable("password_unreadable") from None
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
            raise TargetUnavailable(_code(error)) from None
        try:
            yield connection
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
            # Never the message, which quotes statements.
            raise TargetUnavailable(_code(error)) from None
        finally:
            connection.terminate()


def account_of(lease: str) -> str:
    """The account of a lease. Every account of a server can read all names, so it says nothing but the id."""
    return f"lease_{lease}"


async def _exists(connection: asyncpg.Connection, account: str) -> bool:
    return bool(await connection.fetchval("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", account))


def _name(role: str) -> str:
    return '"' + role.replace('"', '""') + '"'


def _moment(until: datetime) -> str:
    return until.astimezone(UTC).isoformat()


def _code(error: Exception) -> str:
    state = getattr(error, "sqlstate", None)
    return f"postgresql_{state}" if state else "unreachable"
