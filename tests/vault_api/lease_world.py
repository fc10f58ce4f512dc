"""What surrounds leases in their tests: a target database with a management account, a worker, a policy to change."""

from __future__ import annotations

import contextlib
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
from vault_world import CHECKOUT, VaultProcess, World, private_file, unused_port

OPERATOR = {"email": "root@example.test", "groups": ["super_admin"], "sub": "sub-root"}


@dataclass
class Target:
    """A database on which accounts are lent: a role that may read one table, and an account that may lend it."""

    world: World
    name: str
    reader: str
    keeper: str
    password_file: Path

    @classmethod
    async def make(cls, world: World, superuser: asyncpg.Connection, home: Path) -> Target:
        tag = secrets.token_hex(4)
        target = cls(world, f"target_{tag}", f"reader_{tag}", f"keeper_{tag}", home / f"keeper-{tag}")
        password = secrets.token_urlsafe(16)
        private_file(target.password_file, password)
        await superuser.execute(f"CREATE DATABASE {target.name}")
        await superuser.execute(
            f"CREATE ROLE {target.reader} NOLOGIN; "
            f"CREATE ROLE {target.keeper} LOGIN CREATEROLE PASSWORD '{password}'; "
            f"GRANT {target.reader} TO {target.keeper} WITH ADMIN OPTION, INHERIT FALSE, SET FALSE"
        )
        inside = await asyncpg.connect(target.dsn("postgres", world.postgres.passwords["postgres"]))
        try:
            await inside.execute(
                "CREATE TABLE positions (symbol text); INSERT INTO positions VALUES ('ACME'); "  # noqa: S608
                f"GRANT SELECT ON positions TO {target.reader}; GRANT CREATE ON SCHEMA public TO {target.reader}"
            )
        finally:
            await inside.close()
        return target

    def dsn(self, role: str, password: str) -> str:
        return f"postgresql://{role}:{password}@{self.world.postgres.host}:{self.world.postgres.port}/{self.name}"

    def templates(self, home: Path, *, limits: str = "", more: str = "") -> Path:
        """An operator's file with a short and a usual template."""
        file = home / f"leases-{secrets.token_hex(4)}.toml"
        address = f"{self.world.postgres.host}:{self.world.postgres.port}/{self.name}"
        file.write_text(
            f"[limits]\n{limits}\n"
            f'[databases.reporting]\nurl = "postgresql://{self.keeper}@{address}"\n'
            f'password_file = "{self.password_file}"\n'
            f'[databases.reporting.scopes]\n{self.reader} = "connection:read"\n'
            f'[templates.reporting]\ndatabase = "reporting"\nscopes = ["{self.reader}"]\npartners = ["*"]\n'
            f'ttl = "15m"\nmax_ttl = "1h"\n{more}'
        )
        return file


@contextlib.contextmanager
def worker(world: World, **settings: str) -> Iterator[subprocess.Popen[bytes]]:
    """`python -m vault_api worker` as a child, ended on the way out."""
    log = world.home / f"worker-{secrets.token_hex(4)}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "vault_api", "worker"], cwd=CHECKOUT, stdout=output, stderr=output,
            env=world.environment(VAULT_WORKER_BIND=f"127.0.0.1:{unused_port()}", **settings),
        )  # fmt: skip
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)


@dataclass
class Lent:
    """A lease as its requestor received it."""

    lease: Mapping[str, Any]
    credential: Mapping[str, Any] = field(repr=False)

    @property
    def id(self) -> str:
        return str(self.lease["lease"])

    @contextlib.asynccontextmanager
    async def session(self) -> AsyncIterator[asyncpg.Connection]:
        """A session of the lent account."""
        keys = {"username": "user", "password": "password", "host": "host", "port": "port", "database": "database"}
        connection = await asyncpg.connect(**{keys[name]: value for name, value in self.credential.items()})
        try:
            yield connection
        finally:
            connection.terminate()


async def new_target(world: World, home: Path) -> Target:
    """A target that one test module has for itself."""
    superuser = await asyncpg.connect(world.postgres.superuser_dsn)
    try:
        return await Target.make(world, superuser, home)
    finally:
        await superuser.close()


def leases_url(partner: str, lease: str = "") -> str:
    return f"/v1/partners/{partner}/leases" + (f"/{lease}" if lease else "")


def lend(vault: VaultProcess, world: World, partner: str, **claims: Any) -> Lent:
    answer = vault.http.post(
        leases_url(partner), headers=world.realm.bearer(partner, **claims), json={"template": "reporting"}
    )
    assert answer.status_code == 201, answer.text
    return Lent(**answer.json())


def state(vault: VaultProcess, world: World, partner: str, lease: str) -> dict[str, Any]:
    answer = vault.http.get(leases_url(partner, lease), headers=world.realm.bearer(partner))
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def wait_ended(vault: VaultProcess, world: World, partner: str, lease: str) -> dict[str, Any]:
    until = time.monotonic() + 30
    while (found := state(vault, world, partner, lease))["state"] != "ended":
        assert time.monotonic() < until, found
        time.sleep(0.1)
    return found


async def accounts(superuser: asyncpg.Connection) -> set[str]:
    """Every lent account that exists at the server."""
    return {str(row[0]) for row in await superuser.fetch("SELECT rolname FROM pg_roles WHERE rolname LIKE 'lease%'")}


async def due_now(database: asyncpg.Connection, lease: str) -> None:
    """Makes a lease expire in this moment, or its next attempt come."""
    await database.execute("UPDATE vault.lease SET expires_at = now(), due_at = now() WHERE lease = $1", lease)
