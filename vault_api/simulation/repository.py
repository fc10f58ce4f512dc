"""The rows of simulations, as typed calls. All raise DatabaseUnavailable."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from vault_api.store.database import Database
from vault_api.store.repository import NO_PARTNER, Line


@dataclass(frozen=True, slots=True, kw_only=True)
class ToBegin:
    """A simulation that begins. `told` is what the lines of both trails say of it, its end apart."""

    partner: str
    simulation: str
    subject: str
    session: str
    role: str
    reason: str
    seconds: int
    told: str


class SimulationRepository:
    """Simulations in PostgreSQL. `appended` is told the chain of every line that was committed here."""

    def __init__(self, database: Database, *, appended: Callable[[str], None]) -> None:
        self._database = database
        self._appended = appended

    async def begin(self, one: ToBegin, line: Line, platform_line: Line) -> datetime:
        """Open it and write both lines; when it ends."""
        found = await self._database.row(
            "SELECT vault.simulation_begin($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) AS ends_at",
            one.partner, one.simulation, one.subject, one.session, one.role, one.reason, one.seconds, one.told,
            line, platform_line,
        )  # fmt: skip
        self._written(one.partner)
        ends_at: datetime = found["ends_at"]
        return ends_at

    async def role(self, partner: str, simulation: str, subject: str, session: str) -> str | None:
        """The role of one that stands for this account in this session; None for every other."""
        found = await self._database.row(
            "SELECT vault.simulation_role($1, $2, $3, $4) AS role", partner, simulation, subject, session
        )
        role: str | None = found["role"]
        return role

    async def end(self, partner: str, simulation: str, subject: str, line: Line, platform_line: Line) -> bool:
        """Whether it stood until now, and was this account's."""
        found = await self._database.row(
            "SELECT vault.simulation_end($1, $2, $3, $4, $5) AS done",
            partner, simulation, subject, line, platform_line,
        )  # fmt: skip
        self._written(partner)
        return bool(found["done"])

    def _written(self, partner: str) -> None:
        self._appended(partner)
        self._appended(NO_PARTNER)
