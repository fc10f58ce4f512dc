"""The gate: nobody reaches a partner's things but through here.

    request ─ bearer ─ verify ─▶ Caller ─ OPA ─▶ Admitted ─▶ the work, which takes an Admitted and nothing less

Every refusal but that of a request without any token is recorded before it is answered. Tokens that
are refused have a line each only up to a rate (`trail/rejected.py`), because anybody can send them:
beyond it they are counted, and a `token.rejected.summary` says how many; the answer is the same. Whoever
has proven who they are, member or not, has a line for each refusal, whatever the rate.

An answer gives nothing away: a partner that the caller does not belong to, one that does not exist, and
a connection that is not there are one 404. They also do the same work (one decision, one recorded
line), so the clock tells nothing either.

Whoever simulates a member of a partner (`simulation/`) is that member here for a few readings, and nobody for all
else. Both are decided before the policy is asked.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import structlog
from starlette.requests import Request

from identity.audit.errors import AuditUnavailable
from identity.audit.event import AuditEvent, event_by
from identity.bearer import bearer_token
from identity.decision import Decision, PolicyUnavailable
from identity.jwks import KeysUnavailable
from identity.opa import OpaClient
from identity.principal import Principal
from identity.problem import Problem, forbidden, not_found, step_up_required
from identity.reject import RejectReason, TokenRejected
from identity.simulation import HEADER, reads_only
from identity.trace import trace_id
from identity.verify import TokenVerifier
from vault_api import names
from vault_api.metrics import Metrics
from vault_api.permissions import Call
from vault_api.simulation import standing
from vault_api.simulation.repository import SimulationRepository
from vault_api.store.database import DatabaseUnavailable
from vault_api.trail.record import Trail
from vault_api.trail.rejected import RejectedTokens

PLATFORM = "-"
"""What stands for the partner in a call that is about none: no partner can be called that."""

_log = structlog.get_logger("vault_api.gate")


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """A verified caller and what they ask for; nothing is decided yet.

    `partner` and `connection` are as the address says and may name nothing that exists.
    """

    call: Call
    principal: Principal
    partner: str
    connection: str | None
    resource: str
    ip: str | None
    simulation: str | None = None
    """The simulation that the request belongs to; `principal` is then the member that it shows."""

    def event(self, outcome: str, **members: object) -> AuditEvent:
        """An audit event about this request.

        It is about the partner only if the caller belongs to it: otherwise anybody could write into
        anybody's trail.
        """
        account = self.partner if self.principal.membership(self.partner) is not None else None
        filled = {
            "partner": account,
            "action": self.call.permission,
            "resource": self.resource,
            "ip": self.ip,
            **members,
        }
        if self.simulation is not None:
            decided = members.get("roles", ())
            filled["roles"] = (f"simulation:{self.simulation}", *(decided if isinstance(decided, tuple) else ()))
        return event_by(self.principal, self.call.event, outcome, **filled)


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted(Caller):
    """A caller whom the policy allows this call on this partner. Built by `Gate.admit` only."""

    decision: Decision
    told: Mapping[str, str]
    """What the policy was told about the resource, beyond its partner."""

    def event(self, outcome: str, **members: object) -> AuditEvent:
        """An audit event about this request, on the partner's account."""
        filled = {
            "partner": None if self.call.platform else self.partner,
            "decision_id": self.decision.decision_id,
            "roles": self.decision.reasons,
            **members,
        }
        # Not super(): slots=True makes a new class, which zero-argument super() does not know.
        return Caller.event(self, outcome, **filled)


class Gate:
    """Verifies who calls, asks the policy, and records every no."""

    def __init__(
        self,
        verifier: TokenVerifier,
        policy: OpaClient,
        trail: Trail,
        rejected: RejectedTokens,
        metrics: Metrics,
        *,
        simulations: SimulationRepository,
        environment: str,
    ) -> None:
        self._simulations = simulations
        self._verifier = verifier
        self._policy = policy
        self._trail = trail
        self._rejected_tokens = rejected
        self._metrics = metrics
        self._environment = environment

    async def caller(
        self,
        request: Request,
        call: Call,
        partner: str = PLATFORM,
        connection: str | None = None,
        *,
        among: str = "connections",
    ) -> Caller:
        """Who sends this request. `among` says what the partner has of which `connection` is the name of one.

        Raises TokenRejected (401), KeysUnavailable (503), AuditUnavailable (503), and Problem (403) and
        PolicyUnavailable (503) for a request under a simulation.
        """
        resource = "platform" if call.platform else _resource(partner, connection, among)
        ip = request.client.host if request.client else None
        token = None
        try:
            token = bearer_token(request)
            principal = await self._verifier.verify(token)
        except TokenRejected as error:
            self._metrics.tokens.labels(error.reason.value).inc()
            # A request without any token is how every well-behaved client begins; it is only counted.
            if error.reason != RejectReason.MISSING:
                await self._rejected(call, resource, ip, reason=error.reason.value, token=token)
            raise
        except KeysUnavailable:
            self._metrics.tokens.labels("keys_unavailable").inc()
            await self._rejected(call, resource, ip, reason="keys_unavailable", token=token, outcome="failure")
            raise
        self._metrics.tokens.labels("accepted").inc()
        caller = Caller(
            call=call, principal=principal, partner=partner, connection=connection, resource=resource, ip=ip
        )
        given = request.headers.getlist(HEADER)
        return await self._simulated(caller, given) if given else caller

    async def _simulated(self, caller: Caller, given: Sequence[str]) -> Caller:
        """The member whom a simulation shows, for a call that it may make."""
        simulation, role = standing.number(given), None
        principal = caller.principal
        if simulation is not None and principal.session is not None and names.is_partner(caller.partner):
            try:
                role = await self._simulations.role(caller.partner, simulation, principal.subject, principal.session)
            except DatabaseUnavailable:
                raise AuditUnavailable("nobody can say whether the simulation stands") from None
        if role is None or not await self._may_simulate(caller):
            raise await self.refused(caller, standing.over())
        member = replace(caller, principal=standing.as_member(principal, caller.partner, role), simulation=simulation)
        if caller.call not in standing.READINGS:
            raise await self.refused(member, reads_only())
        return member

    async def _may_simulate(self, caller: Caller) -> bool:
        """Whether the permission is held still. How fresh the login is counted when the simulation began."""
        try:
            decision = await self._policy.decide(
                caller.principal, standing.PERMISSION, environment=self._environment, partner=caller.partner
            )
        except PolicyUnavailable:
            await self._trail.record(caller.event("failure", reason="policy_unavailable"))
            raise
        return decision.allow or decision.step_up is not None

    async def admit(
        self, caller: Caller, resource: Mapping[str, str] | None = None, *, permission: str | None = None
    ) -> Admitted:
        """The caller, if the policy allows the call; `resource` is what else the policy should know.

        `permission` asks for another one than the call's own, where what is asked for needs more than that.

        Raises Problem (401 step-up, 403, 404), PolicyUnavailable (503), AuditUnavailable (503).
        """
        try:
            decision = await self._policy.decide(
                caller.principal,
                permission or caller.call.permission,
                environment=self._environment,
                partner=None if caller.call.platform else caller.partner,
                resource=resource
                if caller.simulation is None
                else {**(resource or {}), "simulation": caller.simulation},
            )
        except PolicyUnavailable:
            await self._trail.record(caller.event("failure", reason="policy_unavailable"))
            raise
        nameable = caller.call.platform or (
            names.is_partner(caller.partner) and (caller.connection is None or names.is_connection(caller.connection))
        )
        if decision.allow and nameable:
            return Admitted(
                call=caller.call,
                principal=caller.principal,
                partner=caller.partner,
                connection=caller.connection,
                resource=caller.resource,
                ip=caller.ip,
                simulation=caller.simulation,
                decision=decision,
                told=dict(resource or {}),
            )
        problem = self._refusal(caller, decision)
        reason = ",".join(decision.reasons) if not decision.allow else "not_found"
        _log.info("refused", event_name=caller.call.event, reason=reason, decision_id=decision.decision_id)
        await self._trail.record(caller.event("denied", reason=reason or "denied", decision_id=decision.decision_id))
        raise problem

    async def refused(self, caller: Caller, problem: Problem, *, outcome: str = "denied") -> Problem:
        """Records why a request that passed the gate is refused after all; the caller raises what is returned.

        Raises AuditUnavailable.
        """
        reason = problem.reason or problem.slug.replace("-", "_")
        connection = caller.connection if isinstance(caller, Admitted) else None
        await self._trail.record(caller.event(outcome, reason=reason), connection=connection)
        return problem

    @asynccontextmanager
    async def recording(self, caller: Caller) -> AsyncIterator[None]:
        """Records a Problem that is raised inside, such as a malformed body, before it goes on its way."""
        try:
            yield
        except Problem as problem:
            raise await self.refused(caller, problem) from None

    async def _rejected(
        self, call: Call, resource: str, ip: str | None, *, reason: str, token: str | None, outcome: str = "denied"
    ) -> None:
        await self._rejected_tokens.record(
            AuditEvent(
                event=call.event,
                outcome=outcome,
                reason=reason,
                actor=None if token is None else f"token:{self._verifier.name(token)}",
                action=call.permission,
                resource=resource,
                ip=ip,
                trace_id=trace_id(),
            )
        )

    def _refusal(self, caller: Caller, decision: Decision) -> Problem:
        if decision.allow:
            return not_found()
        if decision.step_up is not None:
            return step_up_required(decision)
        if not caller.call.platform and caller.principal.membership(caller.partner) is None:
            # 403 would say that the partner exists.
            return not_found()
        return forbidden(decision)


def _resource(partner: str, connection: str | None, among: str) -> str:
    """How audit lines name what was asked for. What could be no name is not repeated: it may be anything."""
    shown = partner if names.is_partner(partner) else "?"
    if connection is None:
        return f"partners/{shown}"
    return f"partners/{shown}/{among}/{connection if names.is_connection(connection) else '?'}"
