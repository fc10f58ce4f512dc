"""Campaigns, items and decisions as rows. Everything here runs inside a transaction that somebody else began."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import asyncpg
import orjson
import rfc8785

from admin_sync.access.store.database import Connection
from admin_sync.certification.item import Item
from admin_sync.certification.outcome import Decision, Verdict
from admin_sync.model import Json

OPEN, CLOSING, CLOSED = "open", "closing", "closed"

_CAMPAIGN: Final = (
    "SELECT quarter, state, opened_at, opened_by, due, circumstances, roster, closing_at, closed_by, closed_at,"
    " figures, commit_name, evidence FROM access.campaign"
)


@dataclass(frozen=True, slots=True)
class Campaign:
    """One certification."""

    quarter: str
    state: str
    opened_at: datetime
    opened_by: str
    due: datetime
    circumstances: dict[str, Json]
    """Roster, policy and how far back the record of use goes."""
    roster: list[str]
    """The addresses that the roster had as employed."""
    closing_at: datetime | None
    closed_by: str | None
    closed_at: datetime | None
    figures: dict[str, Json] | None
    commit: str | None
    evidence: str | None
    """SHA-256 of the signed envelope."""


async def campaigns(connection: Connection) -> list[Campaign]:
    """All of them, the latest first."""
    return [_campaign(row) for row in await connection.fetch(f"{_CAMPAIGN} ORDER BY quarter DESC")]


async def find(connection: Connection, quarter: str, lock: str = "") -> Campaign | None:
    """One, if it exists. `lock` is `FOR SHARE` for who decides and `FOR UPDATE` for who closes."""
    row = await connection.fetchrow(f"{_CAMPAIGN} WHERE quarter = $1 {lock}", quarter)
    return None if row is None else _campaign(row)


async def insert(connection: Connection, campaign: Campaign, items: Sequence[Item]) -> None:
    """A new campaign with everything that it asks about."""
    await connection.execute(
        "INSERT INTO access.campaign (quarter, opened_at, opened_by, due, circumstances, roster)"
        " VALUES ($1, $2, $3, $4, $5, $6)",
        campaign.quarter,
        campaign.opened_at,
        campaign.opened_by,
        campaign.due,
        orjson.dumps(campaign.circumstances).decode(),
        orjson.dumps(campaign.roster).decode(),
    )
    await connection.copy_records_to_table(
        "campaign_item",
        schema_name="access",
        columns=("quarter", "key", "number", "hash", "content"),
        records=[
            (campaign.quarter, one.key, number, one.hash, rfc8785.dumps(one.record()).decode())
            for number, one in enumerate(items, start=1)
        ],
    )


async def items(connection: Connection, quarter: str, keys: Iterable[str] | None = None) -> list[Item]:
    """What a campaign asks about, in the order of the file; only some of it, if keys are given."""
    wanted = None if keys is None else list(keys)
    rows = await connection.fetch(
        "SELECT content FROM access.campaign_item WHERE quarter = $1 AND ($2::text[] IS NULL OR key = ANY ($2))"
        " ORDER BY number",
        quarter,
        wanted,
    )
    return [Item.of(orjson.loads(row["content"])) for row in rows]


async def decisions(connection: Connection, quarter: str, keys: Iterable[str] | None = None) -> list[Decision]:
    """What was said, the earliest first; only about some items, if keys are given."""
    wanted = None if keys is None else list(keys)
    rows = await connection.fetch(
        "SELECT key, verdict, hash, reason, person, account, capacity, acr, auth_time, session, given_at"
        " FROM access.campaign_decision WHERE quarter = $1 AND ($2::text[] IS NULL OR key = ANY ($2))"
        " ORDER BY given_at, key",
        quarter,
        wanted,
    )
    return [
        Decision(
            item=row["key"],
            hash=row["hash"],
            verdict=Verdict(row["verdict"]),
            reason=row["reason"],
            reviewer=row["person"],
            capacity=row["capacity"],
            sub=row["account"],
            acr=row["acr"],
            auth_time=row["auth_time"],
            session=row["session"],
            at=row["given_at"],
        )
        for row in rows
    ]


async def decide(connection: Connection, quarter: str, decision: Decision) -> bool:
    """Add a decision. False where somebody said the same before; the first stands."""
    done = await connection.execute(
        "INSERT INTO access.campaign_decision (quarter, key, verdict, hash, reason, person, account, capacity, acr,"
        " auth_time, session, given_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"
        " ON CONFLICT DO NOTHING",
        quarter,
        decision.item,
        decision.verdict.value,
        decision.hash,
        decision.reason,
        decision.reviewer,
        decision.sub,
        decision.capacity,
        decision.acr,
        decision.auth_time,
        decision.session,
        decision.at,
    )
    return str(done).endswith(" 1")


async def close_begun(connection: Connection, quarter: str, at: datetime, by: str) -> None:
    """From now on no decision is taken."""
    await connection.execute(
        "UPDATE access.campaign SET state = 'closing', closing_at = $2, closed_by = $3 WHERE quarter = $1",
        quarter,
        at,
        by,
    )


async def close_done(
    connection: Connection, quarter: str, at: datetime, *, figures: Json, commit: str | None, evidence: str
) -> None:
    """It is over, and this is what it came to."""
    await connection.execute(
        "UPDATE access.campaign SET state = 'closed', closed_at = $2, figures = $3, commit_name = $4, evidence = $5"
        " WHERE quarter = $1",
        quarter,
        at,
        orjson.dumps(figures).decode(),
        commit,
        evidence,
    )


def _campaign(row: asyncpg.Record) -> Campaign:
    return Campaign(
        quarter=row["quarter"],
        state=row["state"],
        opened_at=row["opened_at"],
        opened_by=row["opened_by"],
        due=row["due"],
        circumstances=orjson.loads(row["circumstances"]),
        roster=orjson.loads(row["roster"]),
        closing_at=row["closing_at"],
        closed_by=row["closed_by"],
        closed_at=row["closed_at"],
        figures=None if row["figures"] is None else orjson.loads(row["figures"]),
        commit=row["commit_name"],
        evidence=row["evidence"],
    )
