"""The operator's side of campaigns: open, begin to close, close. Each is one transaction, as `access_reconciler`.

Closing has two transactions with the commit between them. After the first no decision is taken any more, so whatever
ends the process in between, the next run finds the same decisions and comes to the same outcome.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime

from admin_sync.access.campaigns import store
from admin_sync.access.campaigns.store import Campaign
from admin_sync.access.settings import DatabaseSettings
from admin_sync.access.store.database import BrokenRule, Database
from admin_sync.access.store.ledger import Ledger
from admin_sync.certification.item import Item
from admin_sync.certification.outcome import Decision
from admin_sync.errors import Refused
from admin_sync.model import Json
from identity.audit.event import AuditEvent
from identity.secret import read_secret


@dataclass(frozen=True, slots=True)
class Held:
    """A campaign with everything in it."""

    campaign: Campaign
    items: list[Item]
    decisions: list[Decision]


class Office:
    """Campaigns as their operator handles them. `actor` is how audit lines call the operator."""

    def __init__(self, database: Database, *, node: str, actor: str) -> None:
        self._database = database
        self._node = node
        self._actor = actor

    async def moment(self) -> datetime:
        """What time it is, by PostgreSQL and the trail."""
        async with self._database.transaction() as connection:
            return await Ledger(connection, self._node).now()

    async def campaigns(self) -> list[Campaign]:
        """All of them, the latest first."""
        async with self._database.transaction() as connection:
            return await store.campaigns(connection)

    async def held(self, quarter: str) -> Held | None:
        """One of them, if it exists."""
        async with self._database.transaction() as connection:
            campaign = await store.find(connection, quarter)
            if campaign is None:
                return None
            found = await store.items(connection, quarter)
            return Held(campaign, found, await store.decisions(connection, quarter))

    async def counts(self) -> dict[str, tuple[int, int]]:
        """How many items each campaign has, and about how many of them somebody decided."""
        rows = await self._database.rows(
            "SELECT i.quarter, count(*) AS items, count(d.key) AS decided FROM access.campaign_item i LEFT JOIN"
            " (SELECT DISTINCT quarter, key FROM access.campaign_decision) d USING (quarter, key) GROUP BY i.quarter"
        )
        return {row["quarter"]: (row["items"], row["decided"]) for row in rows}

    async def requesters(self) -> dict[str, str]:
        """Who asked for every request there is, by its id."""
        rows = await self._database.rows("SELECT content::jsonb ->> 'id' AS id, requester FROM access.request")
        return {row["id"]: row["requester"] for row in rows}

    async def open(self, campaign: Campaign, items: Sequence[Item]) -> Campaign:
        """Open a campaign. Raises Refused where another is open, or where this quarter had its own."""
        try:
            async with self._database.transaction() as connection:
                ledger = Ledger(connection, self._node)
                now = await ledger.now()
                # However long the snapshot took, reviewers have all of their time.
                due = now + (campaign.due - campaign.opened_at)
                opened = replace(campaign, opened_at=now, due=due, opened_by=self._actor)
                for one in await store.campaigns(connection):
                    if one.quarter == opened.quarter or one.state != store.CLOSED:
                        raise Refused(f"the campaign {one.quarter} is {one.state}; a quarter has one, one at a time")
                await store.insert(connection, opened, items)
                await ledger.append(self._event("opened", opened.quarter, f"{len(items)} bindings"))
        except BrokenRule:
            raise Refused("another campaign was opened at the same moment; see certify status") from None
        return opened

    async def begin_to_close(self, quarter: str) -> Campaign:
        """Take no more decisions. Safe to repeat. Raises Refused where there is no such campaign, or it is closed."""
        async with self._database.transaction() as connection:
            ledger = Ledger(connection, self._node)
            campaign = await store.find(connection, quarter, "FOR UPDATE")
            if campaign is None:
                raise Refused(f"there is no campaign {quarter}; see certify status")
            if campaign.state == store.CLOSED:
                raise Refused(f"the campaign {quarter} was closed by {campaign.closed_by}; its evidence is signed")
            if campaign.state == store.CLOSING:
                return campaign
            at = await ledger.now()
            await store.close_begun(connection, quarter, at, self._actor)
            await ledger.append(self._event("closing", quarter))
            return replace(campaign, state=store.CLOSING, closing_at=at, closed_by=self._actor)

    async def close(self, quarter: str, figures: Json, commit: str | None, evidence: str) -> None:
        """Say what it came to. `evidence` is the SHA-256 of the signed envelope."""
        async with self._database.transaction() as connection:
            ledger = Ledger(connection, self._node)
            at = await ledger.now()
            await store.close_done(connection, quarter, at, figures=figures, commit=commit, evidence=evidence)
            said = f"evidence {evidence}, commit {commit or 'none'}"
            await ledger.append(self._event("closed", quarter, said))

    def _event(self, what: str, quarter: str, detail: str | None = None) -> AuditEvent:
        return AuditEvent(
            event=f"certification.{what}",
            outcome="success",
            actor=self._actor,
            action="certify",
            resource=f"campaign {quarter}" + (f" ({detail})" if detail else ""),
        )


@asynccontextmanager
async def opened(settings: DatabaseSettings, *, node: str, actor: str) -> AsyncIterator[Office]:
    """The office over a database. Raises DatabaseUnavailable and SecretUnreadable."""
    password = read_secret(settings.database_password_file, name="ACCESS_DATABASE_PASSWORD_FILE").text()
    database = await Database.connect(
        settings.database_url, password, size=2, statement_seconds=settings.statement_seconds, name="certify"
    )
    try:
        yield Office(database, node=node, actor=actor)
    finally:
        await database.close()
