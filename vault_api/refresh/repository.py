"""What refreshing asks of PostgreSQL, as typed calls. All raise `DatabaseUnavailable`."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import orjson

from vault_api.store.database import Database
from vault_api.store.repository import Line
from vault_api.worker.claims import LEASE, Claim


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """What is to be refreshed; everything but the outcome is there only for `go`.

    interrupted: how often in a row this refresh token was sent by somebody who never said what came of it
    """

    outcome: str
    broker: str
    version: int
    key_version: int
    refresh_sealed: bytes = field(repr=False)
    access_expires_at: datetime | None
    refresh_expires_at: datetime | None
    scopes: Sequence[str]
    stored_at: datetime
    refresh_by: datetime | None
    state: str
    interrupted: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSet:
    """A refreshed token set, sealed for the version after the one that was refreshed."""

    key_version: int
    access: bytes = field(repr=False)
    refresh: bytes = field(repr=False)
    access_expires_at: datetime | None
    refresh_expires_at: datetime | None
    scopes: Sequence[str]
    due_at: datetime | None
    refresh_by: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """What came of a refresh that gave nothing.

    final: the connection has to be connected again · due_at: when to try again · hold: until when a
    release gives out what there is · alert: what the partner is told, if anything
    """

    reason: str
    final: bool = False
    due_at: datetime | None = None
    hold: datetime | None = None
    alert: str | None = None
    detail: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Census:
    """How refreshing is doing, over all partners."""

    scheduled: int
    overdue: int
    oldest_overdue_seconds: float
    failing: int
    circuits_open: int


class RefreshRepository:
    """`appended` is told the chain of every audit line that was committed here."""

    def __init__(self, database: Database, *, appended: Callable[[str], None]) -> None:
        self._database = database
        self._appended = appended

    async def begin(self, claim: Claim) -> Begun:
        """What to send, and the intent to send it."""
        row = await self._database.row(
            "SELECT * FROM vault.refresh_begin($1, $2, $3)", claim.partner, claim.connection, claim.fence
        )
        return Begun(**row)

    async def sending(self, claim: Claim) -> bool:
        """The last word before the broker is called, from which the claim lasts anew; False: it is no longer ours."""
        row = await self._database.row(
            "SELECT vault.refresh_sending($1, $2, $3, $4) AS ours",
            claim.partner, claim.connection, claim.fence, LEASE,
        )  # fmt: skip
        return bool(row["ours"])

    async def commit(self, claim: Claim, version: int, new: NewSet, line: Line) -> str:
        """`committed`; or `gone`, `superseded`, `fenced`, and then nothing was kept."""
        row = await self._database.row(
            "SELECT vault.refresh_commit($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) AS outcome",
            claim.partner, claim.connection, claim.fence, version, new.key_version, new.access, new.refresh,
            new.access_expires_at, new.refresh_expires_at, list(new.scopes), new.due_at, new.refresh_by, line,
        )  # fmt: skip
        self._appended(claim.partner)
        return str(row["outcome"])

    async def fail(self, claim: Claim, version: int, failed: Failed, line: Line) -> str:
        """`reconnect_needed` or `retry`; or `gone`, `superseded`, `fenced`: somebody else's word counts."""
        row = await self._database.row(
            "SELECT vault.refresh_fail($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) AS outcome",
            claim.partner, claim.connection, claim.fence, version, failed.reason, failed.final, False, failed.due_at,
            failed.hold, secrets.token_hex(16), failed.alert, orjson.dumps(failed.detail).decode(), line,
        )  # fmt: skip
        self._appended(claim.partner)
        return str(row["outcome"])

    async def put_off(self, partner: str, connection: str, until: datetime) -> None:
        """Lets releases give out what there is until then."""
        await self._database.rows("SELECT vault.put_off_refresh($1, $2, $3)", partner, connection, until)

    async def relink(self, claim: Claim, warn: timedelta, line: Line) -> datetime | None:
        """Tells, or ends, a connection whose broker wants the person again; when to look next."""
        row = await self._database.row(
            "SELECT vault.relink_check($1, $2, $3, $4, $5) AS due",
            claim.partner, claim.connection, warn, secrets.token_hex(16), line,
        )  # fmt: skip
        self._appended(claim.partner)
        found: datetime | None = row["due"]
        return found

    async def report(self, broker: str, *, well: bool, threshold: int, pause: timedelta, longest: timedelta) -> None:
        """What an answer says about its broker, for all processes."""
        await self._database.rows(
            "SELECT vault.circuit_report($1, $2, $3, $4, $5)", broker, well, threshold, pause, longest
        )

    async def census(self) -> Census:
        """How refreshing is doing."""
        return Census(**await self._database.row("SELECT * FROM vault.refresh_census()"))
