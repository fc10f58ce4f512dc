"""Claims on scheduled work: taken over all partners at once, by whichever worker comes first.

A claim is a row of `vault.schedule` that is ours for a while. Its fence counts claims: whoever comes back
late, with a smaller number than the row has by then, changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from vault_api.brokers.oauth import ANSWER_SECONDS
from vault_api.store.database import Database

LEASE = timedelta(seconds=3 * ANSWER_SECONDS)
"""How long a claim lasts: beyond the slowest answer of a broker, with room for what comes before and after."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One connection's work, ours until the lease is over."""

    partner: str
    connection: str
    broker: str | None
    fence: int
    attempts: int
    work: str


class Claims:
    """The schedule in PostgreSQL. All methods raise DatabaseUnavailable."""

    def __init__(self, database: Database, *, lease: timedelta = LEASE) -> None:
        self._database = database
        self._lease = lease

    async def due(self, work: str, *, limit: int) -> Sequence[Claim]:
        """At most `limit` claims on what is due and nobody else holds."""
        rows = await self._database.rows("SELECT * FROM vault.claim_due($1, $2, $3)", work, limit, self._lease)
        return [Claim(**row, work=work) for row in rows]

    async def of(self, partner: str, connection: str, version: int) -> tuple[str, Claim | None]:
        """A claim on one connection's refresh, if it can be had; else why not."""
        row = await self._database.row(
            "SELECT * FROM vault.claim_refresh($1, $2, $3, $4)", partner, connection, version, self._lease
        )
        if row["outcome"] != "taken":
            return str(row["outcome"]), None
        return "taken", Claim(
            partner=partner, connection=connection, broker=row["broker"], fence=row["fence"],
            attempts=row["attempts"], work="refresh",
        )  # fmt: skip

    async def give_back(self, claim: Claim, *, due: datetime | None, attempts: int) -> bool:
        """Ends the claim; False if it was no longer ours."""
        row = await self._database.row(
            "SELECT vault.release_claim($1, $2, $3, $4, $5, $6) AS ours",
            claim.partner, claim.connection, claim.work, claim.fence, due, attempts,
        )  # fmt: skip
        return bool(row["ours"])
