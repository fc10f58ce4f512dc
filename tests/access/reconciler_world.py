"""Approved requests in a real database, for the tests of the reconciler."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import asyncpg

from admin_sync.access.request import Approval, Request
from admin_sync.access.settings import DatabaseSettings
from admin_sync.access.state import State
from admin_sync.access.store.database import Database
from admin_sync.access.store.ledger import Ledger
from admin_sync.access.store.migrate import migrate
from identity.audit.event import AuditEvent

CHECKOUT = Path(__file__).resolve().parents[2]
ROSTER = CHECKOUT / "configs" / "hr" / "roster.csv"
VOICES = (("manager.one", "manager"), ("owner.one", "system_owner"))

Result = TypeVar("Result")


def at(name: str) -> str:
    """Somebody's address."""
    return f"{name}@tradepulse.example"


def now(work: Coroutine[Any, Any, Result]) -> Result:
    """What a coroutine gives, for tests that are no coroutines."""
    return asyncio.run(work)


@dataclass
class RequestBase:
    """A database of requests that nothing else uses."""

    postgres: Any
    name: str
    folder: Path

    def settings(self, role: str = "access_reconciler") -> DatabaseSettings:
        password = self.folder / f"{role}-password"
        password.touch(mode=0o600)
        password.write_text(self.postgres.passwords[role])
        return DatabaseSettings(database_url=self.url(role), database_password_file=password)

    def url(self, role: str) -> str:
        return f"postgresql://{role}@{self.postgres.host}:{self.postgres.port}/{self.name}"

    def sql(self, statement: str, *values: Any) -> list[Any]:
        """Rows, as the superuser, whom no trigger stops who asks for that."""

        async def rows() -> list[Any]:
            connection = await asyncpg.connect(self.postgres.dsn("postgres", self.name))
            try:
                return list(await connection.fetch(statement, *values))
            finally:
                await connection.close()

        return now(rows())

    def state(self, number: int) -> str:
        return str(self.sql("SELECT state FROM access.request WHERE number = $1", number)[0]["state"])

    def result(self, number: int) -> tuple[str, str | None]:
        row = self.sql("SELECT result::text AS result, reason FROM access.request WHERE number = $1", number)[0]
        return str(row["result"]), row["reason"]

    def approved(
        self,
        number: int,
        *,
        user: str = "quant.one",
        role: str = "viewer",
        environments: Iterable[str] = ("dev",),
        seconds: float = 3600.0,
        voices: Iterable[tuple[str, str]] = VOICES,
    ) -> Request:
        """A request that was made and approved, both through the service's own role."""

        async def made() -> Request:
            password = self.postgres.passwords["access_app"]
            database = await Database.connect(self.url("access_app"), password, size=1)
            try:
                return await self._made(database, number, user, role, tuple(environments), seconds, tuple(voices))
            finally:
                await database.close()

        return now(made())

    async def _made(
        self,
        database: Database,
        number: int,
        user: str,
        role: str,
        environments: tuple[str, ...],
        seconds: float,
        voices: tuple[tuple[str, str], ...],
    ) -> Request:
        async with database.transaction() as connection:
            ledger = Ledger(connection, "test")
            asked = await ledger.now()
            request = Request(
                number=number,
                kind="grant",
                requester=at(user),
                requester_account=f"account-{user}",
                subject=at(user),
                payload={"role": role},
                environments=environments,
                justification="To look at what broke last night.",
                asked_at=asked,
                expires=asked + timedelta(seconds=seconds),
            )
            await ledger.insert(request, requester_person=at(user), subject_person=at(user))
            await ledger.append(_line("request.opened", request), number=number)
        async with database.transaction() as connection:
            ledger = Ledger(connection, "test")
            moment = await ledger.now()
            for name, capacity in voices:
                await ledger.approve(
                    number,
                    Approval(
                        person=at(name), by=at(name), account=f"account-{name}", capacity=capacity, hash=request.hash,
                        at=moment, acr="aal2", auth_time=int(moment.timestamp()), session="s",
                        realm="dev",
                    ),
                )  # fmt: skip
            await ledger.move(number, State.APPROVED, at=moment, by=at(voices[-1][0]))
            await ledger.append(_line("request.approved", request), number=number)
        return request


def request_base(postgres: Any, name: str, folder: Path) -> RequestBase:
    """A new database with the schema of requests."""

    async def make() -> None:
        connection = await asyncpg.connect(postgres.superuser_dsn)
        try:
            await connection.execute(f"CREATE DATABASE {name} OWNER access_owner")
            await connection.execute(f"GRANT CONNECT ON DATABASE {name} TO access_app, access_reconciler")
        finally:
            await connection.close()
        address = f"postgresql://access_owner@{postgres.host}:{postgres.port}/{name}"
        await migrate(address, postgres.passwords["access_owner"])

    now(make())
    return RequestBase(postgres, name, folder)


def _line(event: str, request: Request) -> AuditEvent:
    return AuditEvent(event=event, outcome="success", actor="test", action="request", resource=request.id)


def later(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)
