"""Reads what the digest counts, one partner and some thousand lines at a time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import orjson

from vault_api.compliance.digest import Counted, Digest, Holdings, PartnerDigest, count, holdings_of
from vault_api.store.database import Database

_LINES = 20_000
"""Lines that one statement looks at, so that none of them takes long."""


async def gather(database: Database, partners: Sequence[str] | None, *, since: datetime, until: datetime) -> Digest:
    """The digest of the partners named, or of all. Raises DatabaseUnavailable."""
    if partners is None:
        partners = [str(row[0]) for row in await database.rows("SELECT partner FROM vault.partner ORDER BY partner")]
    found = [await _partner(database, partner, since=since, until=until) for partner in partners]
    return Digest(since=since, until=until, made_at=datetime.now(UTC), partners=tuple(found))


async def _partner(database: Database, partner: str, *, since: datetime, until: datetime) -> PartnerDigest:
    lines: list[Counted] = []
    first: int | None = (await database.row("SELECT vault.digest_first($1, $2) AS seq", partner, since))["seq"]
    while first is not None:
        found = await database.rows("SELECT * FROM vault.digest_events($1, $2, $3, $4)", partner, first, _LINES, until)
        first = None
        for row in found:
            first = row["following"]
            lines.append(
                Counted(
                    event=row["event"],
                    outcome=row["outcome"],
                    reason=row["reason"],
                    roles=row["roles"],
                    counted=row["counted"],
                )
            )
    return count(partner, await _holdings(database, partner), lines)


async def _holdings(database: Database, partner: str) -> Holdings:
    row = await database.row("SELECT * FROM vault.digest_holdings($1)", partner)
    return holdings_of(row, orjson.loads(row["keys"]))
