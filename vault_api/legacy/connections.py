"""Store, release, describe and list while rows of the earlier format are there.

Everything that the present format serves is done by `ConnectionService` itself; what is here is the choice
between the two, and the earlier one.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import structlog

from identity.audit.errors import AuditUnavailable
from identity.problem import unavailable
from vault_api import problems
from vault_api.connections.outcomes import STORE_PROBLEMS, to_store
from vault_api.connections.schemas import Credential, CredentialStored, TokenSet
from vault_api.connections.service import ConnectionService, Release, StoreResult
from vault_api.gate import Admitted, Caller
from vault_api.legacy.format import LegacyKey, LegacyTokens, LegacyUnreadable
from vault_api.legacy.phase import Phase, Phases
from vault_api.legacy.repository import LegacyHead, LegacyRepository, LegacyStored
from vault_api.store.database import DatabaseUnavailable
from vault_api.tokens import AccessToken

_log = structlog.get_logger("vault_api.legacy")

_UNRECORDED = "the request could not be recorded"


class ConnectionsInMigration(ConnectionService):
    """Connections in two formats, as the phase says."""

    def __init__(self, rows: LegacyRepository, phases: Phases, key: LegacyKey, *parts: Any, **more: Any) -> None:
        super().__init__(*parts, **more)
        self._rows = rows
        self._phases = phases
        self._legacy_key = key

    async def store(
        self, admitted: Admitted, connection: str, tokens: TokenSet, *, expected: int, idempotency: bytes | None
    ) -> StoreResult:
        """Stores into the tables of the phase; raises as the present format's store does."""
        for fresh in (False, True):
            try:
                phase = await self._phases.now(fresh=fresh)
            except DatabaseUnavailable:
                raise AuditUnavailable(_UNRECORDED) from None
            if phase == Phase.NEW_ONLY:
                return await super().store(admitted, connection, tokens, expected=expected, idempotency=idempotency)
            stored = await self._stored(phase, admitted, connection, tokens, expected=expected, idempotency=idempotency)
            if stored is not None:
                return stored
        raise unavailable("phase-moving", "The row format is being switched; repeat the request.", retry_after=1)

    async def admit_release(self, caller: Caller, connection: str) -> Admitted:
        """The caller, if the policy allows them a release from the connection's broker."""
        if self._brokers.of(caller.partner, connection) is None:
            # Only whoever might release at all makes the vault look.
            await self._gate.admit(caller)
            head = await self._head(caller.partner, connection)
            if head is not None and head.legacy > 0:
                self._brokers.remember(caller.partner, connection, head.broker)
        return await super().admit_release(caller, connection)

    async def release(self, admitted: Admitted, connection: str) -> Release:
        """The access token of the newest version, whichever table has it."""
        for _ in range(3):
            head = await self._head(admitted.partner, connection)
            if head is None or not await self._is_legacy(head):
                self._metrics.legacy_reads.labels("present").inc()
                return await super().release(admitted, connection)
            released = await self._release(admitted, head)
            if released is not None:
                self._metrics.legacy_reads.labels("earlier").inc()
                return released
        # Three stores came in between.
        raise unavailable("phase-moving", "The connection is being stored again and again; repeat.", retry_after=1)

    async def describe(self, admitted: Admitted, connection: str) -> Credential:
        """Everything about a connection but its tokens."""
        return next(iter(await self._with_legacy(admitted.partner, [await super().describe(admitted, connection)])))

    async def list(self, admitted: Admitted, *, after: str | None, limit: int) -> Sequence[Credential]:
        """At most `limit` connections from behind `after`."""
        return await self._with_legacy(admitted.partner, await super().list(admitted, after=after, limit=limit))

    async def _stored(
        self,
        phase: Phase,
        admitted: Admitted,
        connection: str,
        tokens: TokenSet,
        *,
        expected: int,
        idempotency: bytes | None,
    ) -> StoreResult | None:
        """None if the phase was not that one any more."""
        await self._require_no_approval(admitted)
        partner, key = admitted.partner, await self._current_key(admitted)
        row = to_store(key, admitted, connection, tokens, expected=expected, idempotency=idempotency)
        payload = self._legacy_key.seal(LegacyTokens(tokens.access_token, tokens.refresh_token))
        try:
            found = await self._rows.store(phase, partner, row, payload, self._trail.line(admitted.event("success")))
        except DatabaseUnavailable:
            raise AuditUnavailable(_UNRECORDED) from None
        if found.outcome == "phase_stale":
            return None
        if found.outcome == "replayed":
            await self._require_repeated(admitted, connection, tokens, found)
        elif found.outcome not in ("created", "replaced"):
            self._metrics.refusals.labels(admitted.call.event, found.outcome).inc()
            raise STORE_PROBLEMS[found.outcome]()
        else:
            self._metrics.stores.inc()
        return StoreResult(
            stored=CredentialStored.model_validate(
                {
                    "connection": connection,
                    "broker": found.broker,
                    "version": found.version,
                    "key_version": key.version,
                    "expires_at": tokens.expires_at,
                    "refresh_expires_at": tokens.refresh_expires_at,
                    "scopes": tokens.scopes,
                    "stored_at": found.stored_at,
                }
            ),
            created=found.version == 1,
            replayed=found.outcome == "replayed",
        )

    async def _require_repeated(
        self, admitted: Admitted, connection: str, tokens: TokenSet, found: LegacyStored
    ) -> None:
        if found.payload is None:
            # Made in the last phase: only the present table has it.
            raise await self._gate.refused(admitted, problems.precondition_failed())
        held = await self._tokens(admitted, connection, found.payload)
        if held != LegacyTokens(tokens.access_token, tokens.refresh_token) or found.broker != tokens.broker:
            raise await self._gate.refused(admitted, problems.idempotency_key_reused())

    async def _release(self, admitted: Admitted, head: LegacyHead) -> Release | None:
        line = self._trail.line(admitted.event("success"))
        if head.broker != admitted.told.get("broker"):
            raise await self._damaged(admitted, head.legacy)
        try:
            held = await self._rows.release(admitted.partner, head.connection, head.legacy, line)
        except DatabaseUnavailable:
            raise AuditUnavailable(_UNRECORDED) from None
        if held.outcome == "moved":
            return None
        if held.payload is None:
            self._metrics.refusals.labels(admitted.call.event, held.outcome).inc()
            raise problems.reconnect_needed(held.expires_at, head.legacy)
        token = (await self._tokens(admitted, head.connection, held.payload)).access
        self._metrics.releases.inc()
        return Release(
            connection=head.connection,
            broker=head.broker,
            version=head.legacy,
            token=AccessToken(token.reveal()),
            expires_at=held.expires_at,
            scopes=held.scopes,
        )

    async def _tokens(self, admitted: Admitted, connection: str, payload: bytes) -> LegacyTokens:
        try:
            return self._legacy_key.open(payload)
        except LegacyUnreadable:
            self._metrics.integrity_failures.inc()
            _log.critical("integrity.failed", partner=admitted.partner, connection=connection, format="earlier")
            raise await self._gate.refused(admitted, problems.integrity_error(), outcome="failure") from None

    async def _is_legacy(self, head: LegacyHead) -> bool:
        try:
            phase = await self._phases.now()
        except DatabaseUnavailable:
            raise AuditUnavailable(_UNRECORDED) from None
        if phase == Phase.NEW_ONLY or head.legacy == 0:
            return False
        return head.legacy > head.present or (head.legacy == head.present and phase.prefers_legacy)

    async def _head(self, partner: str, connection: str) -> LegacyHead | None:
        try:
            return (await self._rows.heads(partner, [connection])).get(connection)
        except DatabaseUnavailable:
            raise AuditUnavailable(_UNRECORDED) from None

    async def _with_legacy(self, partner: str, found: Sequence[Credential]) -> Sequence[Credential]:
        try:
            heads = await self._rows.heads(partner, [one.connection for one in found])
        except DatabaseUnavailable:
            raise AuditUnavailable(_UNRECORDED) from None
        return [await self._merged(one, heads.get(one.connection)) for one in found]

    async def _merged(self, one: Credential, head: LegacyHead | None) -> Credential:
        if head is None or head.stored_at is None or not await self._is_legacy(head):
            return one
        now = datetime.now(UTC)
        return one.model_copy(
            update={
                "state": "active" if one.state == "pending_link" else one.state,
                "version": head.legacy,
                "stored_at": head.stored_at,
                "stored_by": head.stored_by,
                "age_seconds": max(0, int((now - head.stored_at).total_seconds())),
                "expires_at": head.access_expires_at,
                "expired": head.access_expires_at is not None and head.access_expires_at <= now,
                "refresh_expires_at": head.refresh_expires_at,
                "scopes": tuple(head.scopes or ()),
            }
        )
