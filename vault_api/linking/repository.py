"""What linking asks of PostgreSQL, as typed calls: one function of 0004_link.sql each, one transaction each.

All raise `DatabaseUnavailable`, after which nothing may be assumed to have been recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from vault_api.store.database import Database
from vault_api.store.repository import Line


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """An attempt on its way into the database; the verifier is sealed."""

    connection: str
    broker: str
    subject: str
    session: str
    state_hash: bytes
    nonce_hash: bytes | None
    key_version: int
    verifier: bytes = field(repr=False)
    redirect_uri: str
    scopes: Sequence[str]
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """An attempt that was taken up; everything but the outcome is there only if it is `taken`."""

    outcome: str
    connection: str
    broker: str
    key_version: int
    verifier_sealed: bytes = field(repr=False)
    nonce_hash: bytes | None
    redirect_uri: str
    scopes: Sequence[str]
    next_version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedSet:
    """A sealed token set for one version of a connection. `relink_at`: when the broker wants the person again."""

    version: int
    key_version: int
    access: bytes = field(repr=False)
    refresh: bytes | None = field(repr=False)
    access_expires_at: datetime | None
    refresh_expires_at: datetime | None
    relink_at: datetime | None
    scopes: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What came of an approval; the sealed values are there only for `moved`."""

    outcome: str
    next_version: int
    version: int | None
    key_version: int | None
    access_sealed: bytes | None = field(repr=False)
    refresh_sealed: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToRevoke:
    """Tokens that a broker has to be told about; `version` is what they were sealed for."""

    number: int
    version: int
    broker: str
    key_version: int
    access_sealed: bytes = field(repr=False)
    refresh_sealed: bytes | None = field(repr=False)
    queued_at: datetime


class LinkRepository:
    """`appended` is told the chain of every audit line that was committed here."""

    def __init__(self, database: Database, *, appended: Callable[[str], None]) -> None:
        self._database = database
        self._appended = appended

    async def start(self, partner: str, attempt: Attempt, line: Line) -> str:
        """`started`, or `broker_differs`."""
        row = await self._database.row(
            "SELECT vault.link_start($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) AS outcome",
            partner, attempt.connection, attempt.broker, attempt.subject, attempt.session, attempt.state_hash,
            attempt.nonce_hash, attempt.key_version, attempt.verifier, attempt.redirect_uri, list(attempt.scopes),
            attempt.expires_at, line,
        )  # fmt: skip
        self._appended(partner)
        return str(row["outcome"])

    async def take(self, partner: str, state_hash: bytes, subject: str, session: str, line: Line) -> Taken:
        """The attempt with that state, once; the outcome says why not."""
        row = await self._database.row(
            "SELECT * FROM vault.link_take($1, $2, $3, $4, $5)", partner, state_hash, subject, session, line
        )
        self._appended(partner)
        return Taken(**{**row, "scopes": row["scopes"] or ()})

    async def finish(
        self, partner: str, connection: str, kept: SealedSet, *, subject: str, approval_until: datetime | None,
        line: Line,
    ) -> tuple[str, int]:  # fmt: skip
        """`active` or `pending_approval` and the version, or `moved` and the version to seal for; or `revoked`."""
        row = await self._database.row(
            "SELECT * FROM vault.link_finish($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
            partner, connection, subject, kept.version, kept.key_version, kept.access, kept.refresh,
            kept.access_expires_at, kept.refresh_expires_at, kept.relink_at, list(kept.scopes), approval_until, line,
        )  # fmt: skip
        self._appended(partner)
        return str(row["outcome"]), int(row["version"])

    async def approve(
        self, partner: str, connection: str, subject: str, resealed: tuple[SealedSet, bytes] | None, line: Line
    ) -> Decided:
        """Approves what is pending, as it is sealed or as `resealed`: that, and the SHA-256 of what it was made of."""
        given: tuple[int | bytes | None, ...] = (None,) * 5
        if resealed is not None:
            made, of = resealed
            given = (made.version, made.key_version, made.access, made.refresh, of)
        row = await self._database.row(
            "SELECT * FROM vault.link_approve($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            partner,
            connection,
            subject,
            *given,
            line,
        )
        self._appended(partner)
        return Decided(**row)

    async def revoke(self, partner: str, connection: str, line: Line) -> str:
        """`revoked`, or `not_found`."""
        row = await self._database.row("SELECT vault.revoke($1, $2, $3) AS outcome", partner, connection, line)
        self._appended(partner)
        return str(row["outcome"])

    async def revocations(self, partner: str, connection: str) -> Sequence[ToRevoke]:
        """What is still to be said to the broker."""
        rows = await self._database.rows("SELECT * FROM vault.revocations($1, $2)", partner, connection)
        return [ToRevoke(**row) for row in rows]

    async def settle(self, partner: str, connection: str, number: int, outcome: str, line: Line) -> None:
        """Says what the broker made of it; the tokens are gone then."""
        await self._database.rows(
            "SELECT vault.settle_revocation($1, $2, $3, $4, $5)", partner, connection, number, outcome, line
        )
        self._appended(partner)
