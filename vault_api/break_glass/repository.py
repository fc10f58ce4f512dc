"""The rows of emergency credentials, as typed calls: one function of the schema `vault`, one transaction each.

All of them raise `DatabaseUnavailable`, after which nothing may be assumed to have happened.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from vault_api.break_glass.seals import Sealed, Slot
from vault_api.store.database import Database
from vault_api.store.repository import NO_PARTNER, Line

PATIENCE = timedelta(seconds=60)
"""How long a change of a credential may take before somebody else may begin another one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A credential in custody; the value is not among it. `request` is the one that it was released for."""

    environment: str
    account: str
    version: int
    state: str
    root_version: int
    salt: bytes = field(repr=False)
    kept_at: datetime
    confirmed_at: datetime | None
    request: str | None
    released_at: datetime | None


class CustodyRepository:
    """Emergency credentials in PostgreSQL. `appended` is told the chain of every line that was committed here."""

    def __init__(self, database: Database, *, appended: Callable[[str], None]) -> None:
        self._database = database
        self._appended = appended

    async def next_version(self, environment: str, account: str) -> int:
        """The version that a new credential has."""
        found = await self._database.row("SELECT vault.break_glass_next($1, $2) AS version", environment, account)
        return int(found["version"])

    async def keep(self, slot: Slot, sealed: Sealed, by: str, line: Line) -> str:
        """`kept`, or `in_progress` or `superseded`, which are then recorded."""
        found = await self._database.row(
            "SELECT vault.break_glass_keep($1, $2, $3, $4, $5, $6, $7, $8, $9) AS outcome",
            slot.environment, slot.account, slot.version, sealed.root_version, sealed.salt, sealed.value, by,
            PATIENCE, line,
        )  # fmt: skip
        self._appended(NO_PARTNER)
        return str(found["outcome"])

    async def confirm(self, slot: Slot, line: Line) -> bool:
        """Whether that version was pending and can be released from now on."""
        found = await self._database.row(
            "SELECT vault.break_glass_confirm($1, $2, $3, $4) AS done",
            slot.environment, slot.account, slot.version, line,
        )  # fmt: skip
        self._appended(NO_PARTNER)
        return bool(found["done"])

    async def kept(self, environment: str | None = None, account: str | None = None) -> Sequence[Kept]:
        """What is in custody: of one account, or all."""
        found = await self._database.rows("SELECT * FROM vault.break_glass_kept($1, $2)", environment, account)
        return [Kept(**row) for row in found]

    async def release(self, slot: Slot, request: str, subject: str, line: Line) -> bytes | None:
        """The sealed value, once; None if this version or request had its release."""
        found = await self._database.row(
            "SELECT vault.break_glass_release($1, $2, $3, $4, $5, $6) AS sealed",
            slot.environment, slot.account, slot.version, request, subject, line,
        )  # fmt: skip
        self._appended(NO_PARTNER)
        value: bytes | None = found["sealed"]
        return value
