"""Beginning and ending a simulation: what has to be true, and the two lines that say that it happened."""

from __future__ import annotations

import secrets

from identity.audit.errors import AuditUnavailable
from identity.problem import Problem, not_found
from vault_api import names, problems
from vault_api.brokers.catalog import CatalogUnavailable
from vault_api.gate import Admitted, Caller, Gate
from vault_api.problems import invalid
from vault_api.simulation.directory import Directory
from vault_api.simulation.repository import SimulationRepository, ToBegin
from vault_api.simulation.schemas import Choice, Choices, Simulation, SimulationRequest
from vault_api.store.database import DatabaseUnavailable
from vault_api.store.repository import Line
from vault_api.trail.record import Trail

_UNRECORDED = "the simulation could not be recorded"


class Simulations:
    """What can be done about simulations."""

    def __init__(self, repository: SimulationRepository, directory: Directory, trail: Trail, gate: Gate) -> None:
        self._repository = repository
        self._directory = directory
        self._trail = trail
        self._gate = gate

    async def choices(self, admitted: Admitted) -> Choices:
        """What can be looked at. Raises Problem 503 and AuditUnavailable."""
        try:
            known = await self._directory.partners()
        except CatalogUnavailable as error:
            raise await self._gate.refused(admitted, problems.catalog_unavailable(error), outcome="failure") from None
        await self._trail.record(admitted.event("success"))
        return Choices(
            partners=tuple(
                Choice(partner=name, persona=one.persona, roles=tuple(sorted(one.roles)))
                for name, one in sorted(known.items())
            )
        )

    async def begin(self, admitted: Admitted, wanted: SimulationRequest) -> Simulation:
        """Open one. Raises Problem (403, 404, 422, 503) and AuditUnavailable."""
        partner, principal = admitted.partner, admitted.principal
        try:
            facts = (await self._directory.partners()).get(partner)
        except CatalogUnavailable as error:
            raise await self._refused(admitted, problems.catalog_unavailable(error), outcome="failure") from None
        if facts is None:
            raise await self._refused(admitted, not_found())
        if principal.kind != "person" or principal.session is None or principal.organizations:
            raise await self._refused(admitted, not_for_members())
        if wanted.role not in facts.roles:
            raise await self._refused(admitted, invalid("this partner hands out no such `role`"))
        number = secrets.token_hex(16)
        # An event makes text from outside safe, and cuts it.
        reason = str(admitted.event("success", reason=wanted.reason).reason)
        one = ToBegin(
            partner=partner,
            simulation=number,
            subject=principal.subject,
            session=principal.session,
            role=wanted.role,
            reason=reason,
            seconds=wanted.seconds,
            told=f"{number} as {wanted.role}: {reason}",
        )
        try:
            ends_at = await self._repository.begin(one, *self._lines(admitted))
        except DatabaseUnavailable:
            raise AuditUnavailable(_UNRECORDED) from None
        return Simulation(simulation=number, partner=partner, persona=facts.persona, role=wanted.role, ends_at=ends_at)

    async def end(self, caller: Caller, number: str) -> None:
        """End one's own, for which nothing has to be allowed. Raises Problem 404 and AuditUnavailable."""
        if names.is_partner(caller.partner):
            lines = self._lines(caller)
            try:
                if await self._repository.end(caller.partner, number, caller.principal.subject, *lines):
                    return
            except DatabaseUnavailable:
                raise AuditUnavailable(_UNRECORDED) from None
        raise await self._refused(caller, not_found())

    def _lines(self, caller: Caller) -> tuple[Line, Line]:
        """The line of the partner's trail, and that of the platform's."""
        own, platform = caller.event("success", partner=caller.partner), caller.event("success", partner=None)
        return self._trail.line(own), self._trail.line(platform)

    async def _refused(self, caller: Caller, problem: Problem, *, outcome: str = "denied") -> Problem:
        """Records a refusal where the partner may not even exist: in the platform's trail. Raises AuditUnavailable."""
        reason = problem.reason or problem.slug.replace("-", "_")
        await self._trail.record(caller.event(outcome, reason=reason, partner=None))
        return problem


def not_for_members() -> Problem:
    """403: whoever belongs to a partner looks at no partner in this way."""
    return Problem(
        403,
        "not-for-members",
        "A simulation is for staff",
        "Only a person of the platform, in a login session of their own, who belongs to no partner can begin one.",
        reason="not_for_members",
    )
