"""What is held: reading leases and ending them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from identity.audit.errors import AuditUnavailable
from identity.problem import not_found
from vault_api.gate import Admitted, Caller, Gate
from vault_api.leases.keeper import LeaseKeeper
from vault_api.leases.repository import LeaseRepository, LeaseRow
from vault_api.leases.templates import LeasePolicy
from vault_api.store.database import DatabaseUnavailable
from vault_api.trail.record import Trail

_UNRECORDED = "the request could not be recorded"


class LeaseHoldings:
    """Lists, describes and ends leases."""

    def __init__(
        self, repository: LeaseRepository, keeper: LeaseKeeper, *, policy: LeasePolicy, trail: Trail, gate: Gate
    ) -> None:
        self._repository = repository
        self._keeper = keeper
        self._policy = policy
        self._trail = trail
        self._gate = gate

    def templates(self, partner: str) -> tuple[str, ...]:
        """What the partner may ask for, sorted."""
        return tuple(sorted(name for name, template in self._policy.templates.items() if template.open_to(partner)))

    async def end(self, caller: Caller, lease: str) -> LeaseRow:
        """Ends one's own lease, or with `connection:revoke` anybody's. It may still be ending when this returns."""
        admitted = await self._gate.admit(caller)
        row = await self._found(admitted, lease)
        if row.subject != caller.principal.subject:
            admitted = await self._gate.admit(caller, permission="connection:revoke")
        line = self._trail.line(admitted.event("success"))
        try:
            ending = await self._repository.end(caller.partner, line, reason="revoked", lease=lease)
        except DatabaseUnavailable:
            raise AuditUnavailable(_UNRECORDED) from None
        if not ending:
            await self._trail.record(admitted.event("success", reason="already_ending"))
        await self._keeper.end_now(caller.partner)
        return await self.row(caller.partner, lease)

    async def end_for(
        self,
        admitted: Admitted,
        *,
        reason: str,
        partner: str | None = None,
        session: str | None = None,
        subject: str | None = None,
    ) -> Mapping[str, tuple[str, ...]]:
        """Ends the leases of a session, a person or a partner: logout, offboarding. Answers which were living.

        This is the entry for whoever learns of such an event; what cannot be ended at once is the worker's.
        """
        ended: dict[str, tuple[str, ...]] = {}
        try:
            for name in [partner] if partner is not None else await self._repository.partners():
                line = self._trail.line(admitted.event("success", partner=name, resource=f"partners/{name}/leases"))
                ending = await self._repository.end(name, line, reason=reason, session=session, subject=subject)
                if ending:
                    ended[name] = tuple(ending)
        except DatabaseUnavailable:
            raise AuditUnavailable(_UNRECORDED) from None
        # That it was asked for is an event also where nothing was living.
        await self._trail.record(admitted.event("success", reason=reason))
        for name in ended:
            await self._keeper.end_now(name)
        return ended

    async def describe(self, admitted: Admitted, lease: str) -> LeaseRow:
        """One lease. Raises Problem 404, AuditUnavailable."""
        try:
            row = await self._repository.one(admitted.partner, lease, self._trail.line(admitted.event("success")))
        except DatabaseUnavailable:
            raise AuditUnavailable(_UNRECORDED) from None
        if row is None:
            raise not_found()
        return row

    async def list(self, admitted: Admitted, *, after: str | None, limit: int) -> list[LeaseRow]:
        """At most `limit` leases from behind `after`. Raises AuditUnavailable."""
        line = self._trail.line(admitted.event("success"))
        try:
            return list(await self._repository.page(admitted.partner, after=after, limit=limit, line=line))
        except DatabaseUnavailable:
            raise AuditUnavailable(_UNRECORDED) from None

    async def own(self, admitted: Admitted, lease: str) -> LeaseRow:
        """The caller's own lease. Raises Problem 404, AuditUnavailable, both recorded."""
        row = await self._found(admitted, lease)
        if row.subject != admitted.principal.subject:
            raise await self._gate.refused(admitted, not_found())
        return row

    async def _found(self, admitted: Admitted, lease: str) -> LeaseRow:
        try:
            row = await self._repository.one(admitted.partner, lease, None)
        except DatabaseUnavailable:
            raise AuditUnavailable(_UNRECORDED) from None
        if row is None:
            raise await self._gate.refused(admitted, not_found())
        return row

    async def row(self, partner: str, lease: str) -> LeaseRow:
        """A lease that was just written, as part of a call that has its line. Raises AuditUnavailable."""
        with suppress(DatabaseUnavailable):
            row = await self._repository.one(partner, lease, None)
            if row is not None:
                return row
        raise AuditUnavailable(_UNRECORDED)
