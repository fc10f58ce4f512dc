"""Who calls, how sure we are of it, and what the policy engine says where a permission exists.

    request ─ bearer ─ verify ─▶ Principal (a person) ─ stepped up? ─▶ the desk
                                        └─ OPA, for audit:view and role:assign

Who may approve is no permission: the desk reads it from the configuration and the roster.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from starlette.requests import Request

from admin_sync.access.metrics import Metrics
from admin_sync.access.store.database import Database, DatabaseUnavailable
from admin_sync.access.store.ledger import Ledger
from admin_sync.load.document import Document
from identity.audit.errors import AuditUnavailable
from identity.audit.event import AuditEvent, event_by
from identity.audit.rejected import RejectedTokens
from identity.bearer import bearer_token
from identity.decision import StepUp
from identity.opa import OpaClient
from identity.principal import AssuranceLevel, Principal
from identity.problem import Problem, forbidden, step_up_required
from identity.reject import RejectReason, TokenRejected
from identity.trace import trace_id
from identity.verify import TokenVerifier


class Trail:
    """Lines that belong to no transaction of the desk: what was refused. `appended` is told of each."""

    def __init__(self, database: Database, metrics: Metrics, *, node: str, appended: Callable[[str], object]) -> None:
        self._database = database
        self._metrics = metrics
        self._node = node
        self._appended = appended

    async def record(self, event: AuditEvent) -> None:
        """Raises AuditUnavailable: what cannot be recorded is not answered either, not even with a no."""
        try:
            async with self._database.transaction() as connection:
                await Ledger(connection, self._node).append(event)
        except DatabaseUnavailable:
            raise AuditUnavailable("the refusal could not be recorded") from None
        self._appended("-")
        self._metrics.refusals.labels(event.event, (event.reason or "none").partition(":")[0].partition(",")[0]).inc()


class Gate:
    """Verifies callers; `environment` is the one whose realm vouches for them."""

    def __init__(
        self,
        verifier: TokenVerifier,
        policy: OpaClient,
        trail: Trail,
        metrics: Metrics,
        *,
        environment: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._verifier = verifier
        self._policy = policy
        self._environment = environment
        self._clock = clock
        self.rejected = RejectedTokens(trail, metrics.summarised.inc)

    async def person(self, request: Request) -> Principal:
        """The person who sends a request. Raises TokenRejected (401), Problem (403), and what nobody knows (503)."""
        token = None
        try:
            token = bearer_token(request)
            principal = await self._verifier.verify(token)
        except TokenRejected as rejection:
            # A request without any token is how every well-behaved client begins.
            if rejection.reason != RejectReason.MISSING:
                await self.rejected.record(
                    AuditEvent(
                        event="token.rejected",
                        outcome="denied",
                        action="access",
                        resource=None if token is None else f"token:{self._verifier.name(token)}",
                        reason=rejection.reason.value,
                        trace_id=trace_id(),
                        ip=request.client.host if request.client else None,
                    )
                )
            raise
        if principal.kind != "person" or not principal.email:
            await self.rejected.record(event_by(principal, "access.refused", "denied", reason="not_a_person"))
            raise Problem(
                403,
                "not-a-person",
                "Requests are between people",
                "Log in as a person who has an e-mail address; a service asks for nothing here.",
                reason="not_a_person",
            )
        return principal

    def stepped_up(self, principal: Principal, document: Document) -> None:
        """Whether the person proved enough, recently enough, for a decision. Raises Problem (401, RFC 9470).

        It takes a login session: a token that was exchanged for another proves nothing fresh.
        """
        sensitive = document.policies.assurance.sensitive
        level = AssuranceLevel(sensitive.level)
        longest = int(sensitive.max_age.total_seconds())
        proved = principal.auth_time
        fresh = proved is not None and -30 <= self._clock() - proved <= longest
        if not fresh or principal.session is None or principal.assurance_level < level:
            raise step_up_required(StepUp(level, longest))

    async def allowed(self, principal: Principal, permission: str) -> bool:
        """Whether the policy gives a person a permission here and now. Raises PolicyUnavailable."""
        return (await self._policy.decide(principal, permission, environment=self._environment)).allow

    async def could(self, principal: Principal, permission: str) -> bool:
        """Whether the policy gives it to a person who logs in as strongly as it takes. Raises PolicyUnavailable."""
        decision = await self._policy.decide(principal, permission, environment=self._environment)
        return decision.allow or decision.step_up is not None

    async def require(self, principal: Principal, permission: str) -> None:
        """Raises Problem (401 to step up, 403) unless the policy gives the permission, and PolicyUnavailable."""
        decision = await self._policy.decide(principal, permission, environment=self._environment)
        if decision.allow:
            return
        raise step_up_required(decision) if decision.step_up is not None else forbidden(decision)
