"""The rows of both formats, as typed calls: one function of the schema `vault` and one transaction each.

All of them raise `DatabaseUnavailable`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from vault_api.legacy.phase import Phase
from vault_api.store.database import Database
from vault_api.store.repository import NO_PARTNER, Line, ToStore


@dataclass(frozen=True, slots=True, kw_only=True)
class LegacyHead:
    """Which versions of a connection the two tables have, 0 for none, and the facts of the earlier one."""

    connection: str
    broker: str
    legacy: int
    present: int
    access_expires_at: datetime | None
    refresh_expires_at: datetime | None
    scopes: Sequence[str] | None
    stored_at: datetime | None
    stored_by: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LegacyHeld:
    """What a release found in the earlier table."""

    outcome: str
    payload: bytes | None = field(repr=False)
    expires_at: datetime | None
    scopes: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class LegacyStored:
    """What a store came to; `payload` only for a repetition, to compare with."""

    outcome: str
    broker: str | None
    version: int | None
    payload: bytes | None = field(repr=False)
    stored_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A connection in both tables."""

    connection: str
    legacy: int
    present: int
    payload: bytes | None = field(repr=False)
    key_version: int | None
    access_sealed: bytes | None = field(repr=False)
    refresh_sealed: bytes | None = field(repr=False)
    same_facts: bool


class LegacyRepository:
    """Both tables. `appended` is told the chain of every audit line that was committed here."""

    def __init__(self, database: Database, *, appended: Callable[[str], None] = lambda _: None) -> None:
        self._database = database
        self._appended = appended

    async def partners(self) -> Sequence[str]:
        """Every partner that the vault keeps something for which can still be opened."""
        rows = await self._database.rows("SELECT partner FROM vault.partner WHERE shredded_at IS NULL ORDER BY partner")
        return [str(row[0]) for row in rows]

    async def heads(self, partner: str, connections: Sequence[str]) -> Mapping[str, LegacyHead]:
        """By connection; what is in no table is not there."""
        found = await self._database.rows("SELECT * FROM vault.legacy_heads($1, $2)", partner, list(connections))
        return {row["connection"]: LegacyHead(**row) for row in found}

    async def release(self, partner: str, connection: str, version: int, line: Line) -> LegacyHeld:
        """The payload of exactly that version; `moved` if it is another one by now."""
        row = await self._database.row(
            "SELECT * FROM vault.legacy_release($1, $2, $3, $4)", partner, connection, version, line
        )
        self._appended(partner)
        return LegacyHeld(
            outcome=row["outcome"], payload=row["payload"], expires_at=row["expires_at"], scopes=row["scopes"] or ()
        )

    async def store(self, phase: Phase, partner: str, row: ToStore, payload: bytes, line: Line) -> LegacyStored:
        """Stores into the tables of the phase."""
        found = await self._database.row(
            "SELECT * FROM vault.legacy_store($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
            int(phase), partner, row.connection, row.expected, row.broker, payload, row.key_version, row.access,
            row.refresh, row.access_expires_at, row.refresh_expires_at, list(row.scopes), row.idempotency,
            row.subject, line,
        )  # fmt: skip
        self._appended(partner)
        return LegacyStored(**found)

    async def pairs(self, partner: str, *, after: str | None, limit: int) -> Sequence[Pair]:
        """Connections of both tables in the order of their names."""
        found = await self._database.rows("SELECT * FROM vault.legacy_rows($1, $2, $3)", partner, after, limit)
        return [Pair(**row) for row in found]

    async def fill(self, partner: str, pair: Pair, *, key_version: int, access: bytes, refresh: bytes | None) -> bool:
        """Whether the present row was written; not so if one of them has moved since it was read."""
        row = await self._database.row(
            "SELECT vault.legacy_fill($1, $2, $3, $4, $5, $6, $7) AS done",
            partner, pair.connection, pair.legacy, pair.present, key_version, access, refresh,
        )  # fmt: skip
        return bool(row["done"])

    async def switch(self, before: Phase, after: Phase, dwell: timedelta, line: Line) -> str:
        """`switched`, `phase_differs` or `too_soon`; recorded in any case."""
        row = await self._database.row(
            "SELECT vault.legacy_switch($1, $2, $3, $4) AS outcome", int(before), int(after), dwell, line
        )
        self._appended(NO_PARTNER)
        return str(row["outcome"])
