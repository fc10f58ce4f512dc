"""Approving what somebody else linked, and revoking a connection."""

from __future__ import annotations

import hashlib

from identity.audit.errors import AuditUnavailable
from identity.problem import Problem, not_found
from vault_api import problems as vault_problems
from vault_api.gate import Admitted, Gate
from vault_api.keyring import KeyContextMismatch, Keyring, KeyUnavailable
from vault_api.linking import problems
from vault_api.linking.repository import Decided, LinkRepository, SealedSet
from vault_api.linking.schemas import Approved
from vault_api.metrics import Metrics
from vault_api.sealing.envelope import Place, SealError, open_sealed, seal
from vault_api.store.database import DatabaseUnavailable
from vault_api.tokens import AccessToken, RefreshToken
from vault_api.trail.record import Trail

_TRIES = 4


class LinkDecisions:
    """Says yes to links and ends connections."""

    def __init__(
        self, repository: LinkRepository, keyring: Keyring, trail: Trail, gate: Gate, metrics: Metrics
    ) -> None:
        self._repository = repository
        self._keyring = keyring
        self._trail = trail
        self._gate = gate
        self._metrics = metrics

    async def approve(self, admitted: Admitted, connection: str) -> Approved:
        """Makes what is pending the connection's credential. Raises Problem (403, 404, 409, 5xx), AuditUnavailable."""
        line = self._trail.line(admitted.event("success"))
        resealed: tuple[SealedSet, bytes] | None = None
        for _ in range(_TRIES):
            try:
                found = await self._repository.approve(
                    admitted.partner, connection, admitted.principal.subject, resealed, line
                )
            except DatabaseUnavailable:
                raise AuditUnavailable("the approval could not be recorded") from None
            if found.outcome == "approved":
                return Approved(connection=connection, version=found.next_version)
            if found.outcome != "moved":
                # Recorded with the row.
                self._metrics.refusals.labels(admitted.call.event, found.outcome).inc()
                raise _REFUSALS.get(found.outcome, not_found)()
            try:
                made = await self._resealed(admitted.partner, connection, found)
                resealed = made, hashlib.sha256(found.access_sealed or b"").digest()
            except Problem as problem:
                raise await self._gate.refused(admitted, problem, outcome="failure") from None
        raise await self._gate.refused(admitted, problems.busy())

    async def revoke(self, admitted: Admitted, connection: str) -> None:
        """Ends a connection; its broker is told by a worker. Raises Problem 404, AuditUnavailable."""
        line = self._trail.line(admitted.event("success"))
        try:
            outcome = await self._repository.revoke(admitted.partner, connection, line)
        except DatabaseUnavailable:
            raise AuditUnavailable("the revocation could not be recorded") from None
        if outcome != "revoked":
            self._metrics.refusals.labels(admitted.call.event, outcome).inc()
            raise not_found()

    async def _resealed(self, partner: str, connection: str, found: Decided) -> SealedSet:
        """What is pending, sealed for the version that the connection has come to meanwhile. Raises Problem."""
        if found.version is None or found.key_version is None or found.access_sealed is None:
            raise vault_problems.integrity_error()
        try:
            key = await self._keyring.key(partner, found.key_version)
            current = (await self._keyring.keys(partner)).current()
            sealed: list[bytes | None] = []
            for kind, value in ((AccessToken.kind, found.access_sealed), (RefreshToken.kind, found.refresh_sealed)):
                if value is None:
                    sealed.append(None)
                    continue
                plain = open_sealed(key, Place(partner, connection, kind, found.version), value)
                sealed.append(seal(current, Place(partner, connection, kind, found.next_version), plain))
        except KeyUnavailable as error:
            raise vault_problems.key_unavailable(error) from None
        except KeyContextMismatch as error:
            raise vault_problems.key_context_mismatch(error) from None
        except SealError:
            raise vault_problems.integrity_error() from None
        return SealedSet(
            version=found.next_version, key_version=current.version, access=sealed[0] or b"", refresh=sealed[1],
            access_expires_at=None, refresh_expires_at=None, relink_at=None, scopes=(),
        )  # fmt: skip


_REFUSALS = {
    "nothing_pending": problems.nothing_pending,
    "own_link": problems.own_link,
    "approval_expired": problems.approval_expired,
}
