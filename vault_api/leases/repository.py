"""The rows of leases, as typed calls: one function of the schema `vault` and one transaction each.

All of them raise `DatabaseUnavailable`, after which nothing may be assumed to have happened.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from vault_api.store.database import Database
from vault_api.store.repository import Line


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """A lease that is about to be made."""

    lease: str
    template: str
    kind: str
    target: str
    broker: str | None
    requestor: str
    subject: str
    session: str | None
    roles: Sequence[str]
    permissions: Sequence[str]
    scopes: Sequence[str]
    decision_id: str
    holder: str = field(repr=False)
    expires_at: datetime
    max_until: datetime
    due_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseRow:
    """Everything about a lease that is not secret."""

    lease: str
    template: str
    kind: str
    target: str
    broker: str | None
    requestor: str
    subject: str
    session: str | None
    roles: Sequence[str]
    permissions: Sequence[str]
    scopes: Sequence[str]
    decision_id: str
    state: str
    issued_at: datetime
    expires_at: datetime
    max_until: datetime
    renewals: int
    reason: str | None
    ended_at: datetime | None
    irrevocable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A lease that a worker is to end now, and the claim by which it says what came of it."""

    lease: str
    template: str
    kind: str
    target: str
    broker: str | None
    reason: str
    session: str | None
    roles: Sequence[str]
    decision_id: str
    sealed: bytes | None = field(repr=False)
    key_version: int | None
    claim: int
    attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Living:
    """A lease that lives and what the policy is to be asked about it again."""

    lease: str
    broker: str | None
    permissions: Sequence[str]
    holder: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """Leases of one partner in one state; `due` of them wait to be ended."""

    partner: str
    state: str
    irrevocable: bool
    leases: int
    due: int


class LeaseRepository:
    """Leases in PostgreSQL. `appended` is told the chain of every audit line that was committed here."""

    def __init__(self, database: Database, *, appended: Callable[[str], None] = lambda _: None) -> None:
        self._database = database
        self._appended = appended

    async def partners(self) -> Sequence[str]:
        """Every partner that the vault keeps something for."""
        return [str(row[0]) for row in await self._database.rows("SELECT partner FROM vault.partner ORDER BY partner")]

    async def begin(self, partner: str, row: Beginning, line: Line, *, per_partner: int, per_person: int) -> str:
        """`begun`, or `partner_cap` or `person_cap`, which are then recorded."""
        found = await self._database.row(
            "SELECT vault.lease_begin($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14::jsonb, "
            "$15, $16, $17, $18, $19, $20) AS outcome",
            partner, row.lease, row.template, row.kind, row.target, row.broker, row.requestor, row.subject,
            row.session, list(row.roles), list(row.permissions), list(row.scopes), row.decision_id, row.holder,
            row.expires_at, row.max_until, row.due_at, per_partner, per_person, line,
        )  # fmt: skip
        self._appended(partner)
        return str(found["outcome"])

    async def activate(
        self,
        partner: str,
        lease: str,
        line: Line,
        *,
        expires_at: datetime,
        sealed: bytes | None,
        key_version: int | None,
    ) -> bool:
        """Whether the lease now lives; not so if it was given up in between."""
        found = await self._database.row(
            "SELECT vault.lease_activate($1, $2, $3, $4, $5, $6) AS active",
            partner, lease, expires_at, sealed, key_version, line,
        )  # fmt: skip
        self._appended(partner)
        return bool(found["active"])

    async def renew(
        self, partner: str, lease: str, line: Line, *, subject: str, renewals: int, expires_at: datetime
    ) -> datetime | None:
        """The new end, None if the lease does not live any more or was renewed by somebody else just now."""
        found = await self._database.row(
            "SELECT vault.lease_renew($1, $2, $3, $4, $5, $6) AS expires_at",
            partner, lease, subject, renewals, expires_at, line,
        )  # fmt: skip
        self._appended(partner)
        ends: datetime | None = found["expires_at"]
        return ends

    async def one(self, partner: str, lease: str, line: Line | None, *, event: str = "lease.read") -> LeaseRow | None:
        """One lease. Without a line the reading is part of a call that has its own."""
        found = await self._database.rows(
            "SELECT * FROM vault.leases($1, $2, NULL, 1, $3, $4)", partner, lease, event, line
        )
        self._appended(partner)
        return LeaseRow(**found[0]) if found else None

    async def page(self, partner: str, *, after: str | None, limit: int, line: Line) -> Sequence[LeaseRow]:
        """At most `limit` leases in the order of their ids, from behind `after`."""
        found = await self._database.rows(
            "SELECT * FROM vault.leases($1, NULL, $2, $3, 'lease.list', $4)", partner, after, limit, line
        )
        self._appended(partner)
        return [LeaseRow(**row) for row in found]

    async def end(
        self,
        partner: str,
        line: Line | None,
        *,
        reason: str,
        lease: str | None = None,
        session: str | None = None,
        subject: str | None = None,
    ) -> Sequence[str]:
        """Makes leases end: one, those of a session or a person, or all. Answers which ones were living."""
        found = await self._database.row(
            "SELECT vault.lease_end($1, $2, $3, $4, $5, $6) AS ending", partner, lease, session, subject, reason, line
        )
        self._appended(partner)
        return list(found["ending"])

    async def claim(self, partner: str, *, limit: int, hold: timedelta, lease: str | None = None) -> Sequence[Claimed]:
        """Leases to be ended now, which nobody else takes for as long as `hold`."""
        found = await self._database.rows(
            "SELECT * FROM vault.lease_claim($1, $2, $3, $4)", partner, lease, limit, hold
        )
        return [Claimed(**row) for row in found]

    async def ended(self, partner: str, lease: str, claim: int, line: Line) -> bool:
        """Whether this claim was the last one, and thus the one that may say that the lease is gone."""
        found = await self._database.row(
            "SELECT vault.lease_ended($1, $2, $3, $4) AS ended", partner, lease, claim, line
        )
        self._appended(partner)
        return bool(found["ended"])

    async def stays(
        self, partner: str, lease: str, claim: int, line: Line | None, *, failure: str, retry: timedelta, stuck: bool
    ) -> None:
        """Says that the lease is not gone yet, and when to try again."""
        await self._database.row(
            "SELECT vault.lease_stays($1, $2, $3, $4, $5, $6, $7)",
            partner, lease, claim, failure, retry, stuck, line,
        )  # fmt: skip
        self._appended(partner)

    async def living(self, partner: str) -> Sequence[Living]:
        """The partner's active leases."""
        return [Living(**row) for row in await self._database.rows("SELECT * FROM vault.lease_holders($1)", partner)]

    async def census(self) -> Sequence[Counted]:
        """How many leases of which partner are in which state."""
        return [Counted(**row) for row in await self._database.rows("SELECT * FROM vault.lease_census()")]
