"""What the vault asks of PostgreSQL, as typed calls: one function of the schema `vault` each.

Every method is one round trip and one transaction that ends before it returns; what is done for a
caller has its audit line in it.
All of them raise `DatabaseUnavailable`, after which nothing may be assumed to have been recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from vault_api.store.database import Database

NO_PARTNER = "-"
"""The tenant under which lines about no partner are kept; not a name that a partner can have."""

Line = Sequence[str]


@dataclass(frozen=True, slots=True)
class KeyContext:
    """A pinned key: the root key version it was derived under and its 16-byte fingerprint."""

    root_version: int
    fingerprint: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ToStore:
    """A sealed token set on its way into the row whose version `expected` is (0: no row yet)."""

    connection: str
    expected: int
    broker: str
    key_version: int
    access: bytes = field(repr=False)
    refresh: bytes | None = field(repr=False)
    access_expires_at: datetime | None
    refresh_expires_at: datetime | None
    scopes: Sequence[str]
    idempotency: bytes | None
    subject: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What a store came to; `access` and `refresh` are there only for a repetition, to compare with."""

    outcome: Literal["created", "replaced", "replayed", "precondition_failed", "broker_differs", "not_found"]
    broker: str | None
    version: int | None
    key_version: int | None
    access: bytes | None = field(repr=False)
    refresh: bytes | None = field(repr=False)
    access_expires_at: datetime | None
    refresh_expires_at: datetime | None
    scopes: Sequence[str]
    stored_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What a release found; `sealed` is there only for outcome `success`, which is then already recorded."""

    outcome: Literal["success", "not_found", "expired", "key_needed", "refresh_due"]
    broker: str | None
    version: int | None
    key_version: int | None
    sealed: bytes | None = field(repr=False)
    expires_at: datetime | None
    scopes: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """Everything about a connection that is not secret; without a version nothing was ever stored for it."""

    connection: str
    broker: str
    created_at: datetime
    created_by: str
    state: str
    state_reason: str | None
    state_since: datetime
    linked_by: str | None
    linked_at: datetime | None
    approved_by: str | None
    approved_at: datetime | None
    relink_at: datetime | None
    awaiting_approval: bool
    version: int | None
    key_version: int | None
    has_refresh_token: bool
    access_expires_at: datetime | None
    refresh_expires_at: datetime | None
    scopes: Sequence[str]
    stored_at: datetime | None
    stored_by: str | None
    last_released_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditPage:
    """Lines of one chain as they are stored, the hash before the first of them, and where the chain stands."""

    prev: str | None
    lines: Sequence[str]
    head_seq: int
    head_hash: str
    shipped_seq: int


class Repository:
    """The vault's rows.

    appended: told the chain of every audit line that was committed here, so that it is shipped soon
    """

    def __init__(self, database: Database, *, appended: Callable[[str], None] = lambda _: None) -> None:
        self._database = database
        self._appended = appended

    async def store(self, partner: str, row: ToStore, line: Line) -> Stored:
        """Stores a token set, or says why not."""
        found = await self._database.row(
            "SELECT * FROM vault.store($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
            partner,
            row.connection,
            row.expected,
            row.broker,
            row.key_version,
            row.access,
            row.refresh,
            row.access_expires_at,
            row.refresh_expires_at,
            list(row.scopes),
            row.idempotency,
            row.subject,
            line,
        )
        self._appended(partner)
        return Stored(
            outcome=found["outcome"],
            broker=found["broker"],
            version=found["version"],
            key_version=found["key_version"],
            access=found["access_sealed"],
            refresh=found["refresh_sealed"],
            access_expires_at=found["access_expires_at"],
            refresh_expires_at=found["refresh_expires_at"],
            scopes=found["scopes"] or (),
            stored_at=found["stored_at"],
        )

    async def broker_to_release(self, partner: str, connection: str, line: Line) -> str | None:
        """The connection's broker; None if there is no such connection, and then that is recorded."""
        found = await self._database.row(
            "SELECT vault.broker_to_release($1, $2, $3) AS broker", partner, connection, line
        )
        broker: str | None = found["broker"]
        if broker is None:
            self._appended(partner)
        return broker

    async def release(self, partner: str, connection: str, ready: Sequence[int], line: Line) -> Held:
        """The sealed access token, if it is there, is fresh enough, and one of the keys `ready` opens it."""
        found = await self._database.row(
            "SELECT * FROM vault.release($1, $2, $3, $4)", partner, connection, ready, line
        )
        self._appended(partner)
        return Held(
            outcome=found["outcome"],
            broker=found["broker"],
            version=found["version"],
            key_version=found["key_version"],
            sealed=found["sealed"],
            expires_at=found["expires_at"],
            scopes=found["scopes"] or (),
        )

    async def connection(self, partner: str, connection: str, line: Line) -> Connection | None:
        """One connection, None if there is none of that name."""
        found = await self._database.rows(
            "SELECT * FROM vault.connections($1, $2, NULL, 1, 'credential.read', $3)", partner, connection, line
        )
        self._appended(partner)
        return Connection(**found[0]) if found else None

    async def connections(self, partner: str, *, after: str | None, limit: int, line: Line) -> Sequence[Connection]:
        """At most `limit` connections in the order of their names, from behind `after`."""
        found = await self._database.rows(
            "SELECT * FROM vault.connections($1, NULL, $2, $3, 'connection.list', $4)", partner, after, limit, line
        )
        self._appended(partner)
        return [Connection(**row) for row in found]

    async def audit(self, partner: str, *, after: int, limit: int, line: Line) -> AuditPage:
        """At most `limit` lines of the partner's chain from behind sequence number `after`."""
        found = await self._database.row("SELECT * FROM vault.read_audit($1, $2, $3, $4)", partner, after, limit, line)
        self._appended(partner)
        return AuditPage(
            prev=found["prev"],
            lines=found["lines"] or (),
            head_seq=found["head_seq"],
            head_hash=found["head_hash"],
            shipped_seq=found["shipped_seq"],
        )

    async def record(
        self,
        partner: str,
        connection: str | None,
        line: Line,
        *,
        event: str,
        outcome: str,
        reason: str | None,
        key_version: int | None = None,
    ) -> None:
        """Appends a line about something that was refused or failed, and nothing else."""
        await self._database.row(
            "SELECT vault.record($1, $2, $3, $4, $5, $6, $7)",
            partner,
            connection,
            line,
            event,
            outcome,
            reason,
            key_version,
        )
        self._appended(partner)

    async def key_contexts(self, partner: str) -> dict[int, KeyContext]:
        """Every pinned key of a partner by its version."""
        found = await self._database.rows("SELECT * FROM vault.key_contexts($1)", partner)
        return {row["key_version"]: KeyContext(row["root_version"], row["fingerprint"]) for row in found}

    async def pin_key(self, partner: str, key_version: int, context: KeyContext) -> KeyContext:
        """Pins a key at its first use; answers what is pinned, which may be what another worker was first with."""
        found = await self._database.row(
            "SELECT * FROM vault.pin_key($1, $2, $3, $4)",
            partner,
            key_version,
            context.root_version,
            context.fingerprint,
        )
        return KeyContext(found["root_version"], found["fingerprint"])
