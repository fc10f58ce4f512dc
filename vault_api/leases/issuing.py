"""Issue and renew leases: the order in which decision, row, target and line come.

    issue: decisions ─▶ row `creating` ─▶ target ─▶ row `active` and line ─▶ the credential is told
    renew: decisions ─▶ target ─▶ row and line

A crash after any arrow leaves a row that the keeper ends; nobody was told the credential by then.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import structlog

from identity.audit.errors import AuditUnavailable
from identity.problem import Problem
from vault_api.connections.service import ConnectionService
from vault_api.gate import Admitted, Caller, Gate
from vault_api.leases import problems
from vault_api.leases.admission import Admission, Allowed
from vault_api.leases.holder import holder_of
from vault_api.leases.holdings import LeaseHoldings
from vault_api.leases.keeper import LeaseKeeper
from vault_api.leases.repository import Beginning, LeaseRepository, LeaseRow
from vault_api.leases.schemas import LeaseRequest
from vault_api.leases.seals import LeaseSeals
from vault_api.leases.targets import Made, Target, TargetRefused, Targets, TargetUnavailable
from vault_api.leases.templates import LeasePolicy, Template
from vault_api.metrics import Metrics
from vault_api.permissions import Call
from vault_api.sealing.keys import PartnerKey
from vault_api.store.database import DatabaseUnavailable
from vault_api.tokens import AccessToken
from vault_api.trail.record import Trail

_log = structlog.get_logger("vault_api.leases")

_UNRECORDED = "the request could not be recorded"
_MAKING = timedelta(seconds=60)
"""After this long a lease that is still being made counts as given up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A lease and its credential on its way to the one who asked."""

    row: LeaseRow
    made: Made = field(repr=False)


class LeaseIssuing:
    """Makes leases, and makes them last."""

    def __init__(
        self,
        repository: LeaseRepository,
        holdings: LeaseHoldings,
        keeper: LeaseKeeper,
        admission: Admission,
        *,
        policy: LeasePolicy,
        targets: Targets,
        seals: LeaseSeals,
        connections: ConnectionService,
        trail: Trail,
        gate: Gate,
        metrics: Metrics,
    ) -> None:
        self._repository = repository
        self._holdings = holdings
        self._keeper = keeper
        self._admission = admission
        self._policy = policy
        self._targets = targets
        self._seals = seals
        self._connections = connections
        self._trail = trail
        self._gate = gate
        self._metrics = metrics

    async def issue(self, caller: Caller, request: LeaseRequest) -> Issued:
        """A new lease. Raises Problem (401, 403, 404, 409, 422, 503), PolicyUnavailable, AuditUnavailable."""
        template = await self._admission.template(caller, request.template)
        allowed = await self._admission.allow(caller, template)
        admitted = allowed.admitted
        async with self._gate.recording(admitted):
            if (template.broker is None) != (request.connection is None):
                raise problems.wrong_connection()
            now = datetime.now(UTC)
            expires = self._admission.ends(allowed, request.ttl_seconds, now=now)
        token = None if request.connection is None else await self._token(caller, template, request.connection)
        target = self._targets[_kind(template), template.database or template.broker or ""]
        row = _beginning(allowed, request, expires=expires, now=now)
        admitted = replace(admitted, connection=None, resource=f"partners/{caller.partner}/leases/{row.lease}")
        # Before anything is made: what is made and cannot be sealed could not be ended either.
        key = None if token is None else await self._seals.key(admitted)
        await self._begin(admitted, row)
        try:
            made = await target.make(row.lease, template, row.expires_at, token)
        except (TargetUnavailable, TargetRefused) as error:
            raise await self._unmade(admitted, row.lease, error) from None
        await self._activate(admitted, row, made, (target, key))
        self._metrics.leases_issued.labels(row.kind).inc()
        return Issued(row=await self._holdings.row(admitted.partner, row.lease), made=made)

    async def renew(self, caller: Caller, lease: str, ttl: int | None) -> LeaseRow:
        """A later end for one's own lease. Raises as `issue` does."""
        admitted = await self._gate.admit(caller)
        row = await self._holdings.own(admitted, lease)
        async with self._gate.recording(admitted):
            if row.state != "active":
                raise problems.not_active()
        template = self._policy.templates.get(row.template)
        async with self._gate.recording(admitted):
            if template is None or not template.open_to(caller.partner):
                raise problems.not_renewable("template_gone")
            target = self._targets[row.kind, template.database or template.broker or ""]
            if not target.renewable:
                raise problems.not_renewable("not_of_this_kind")
            if row.expires_at >= row.max_until - timedelta(seconds=1):
                raise problems.not_renewable("at_maximum")
        allowed = await self._admission.allow(caller, template)
        async with self._gate.recording(allowed.admitted):
            ends = self._admission.ends(allowed, ttl, now=datetime.now(UTC))
        ends = min(max(ends, row.expires_at), row.max_until)
        try:
            # First at the target: the other way round, a crash would leave a lease that only says that it lives.
            await target.extend(lease, ends)
        except TargetUnavailable as error:
            raise await self._gate.refused(
                allowed.admitted, problems.target_unavailable(error.code), outcome="failure"
            ) from None
        line = self._trail.line(allowed.admitted.event("success"))
        try:
            renewed = await self._repository.renew(
                caller.partner, lease, line, subject=caller.principal.subject, renewals=row.renewals, expires_at=ends
            )
        except DatabaseUnavailable:
            raise AuditUnavailable(_UNRECORDED) from None
        if renewed is None:
            raise problems.not_active()
        return await self._holdings.row(caller.partner, lease)

    async def _token(self, caller: Caller, template: Template, connection: str) -> AccessToken:
        # Narrowing a token opens it, so it is a release like any other, with its own decision and line.
        resource = f"partners/{caller.partner}/connections/{connection}"
        releasing = replace(caller, call=Call.RELEASE, connection=connection, resource=resource)
        admitted = await self._connections.admit_release(releasing, connection)
        async with self._gate.recording(admitted):
            if admitted.told.get("broker") != template.broker:
                raise problems.wrong_connection()
        return (await self._connections.release(admitted, connection)).token

    async def _begin(self, admitted: Admitted, row: Beginning) -> None:
        limits, line = self._policy.limits, self._trail.line(admitted.event("denied"))
        try:
            outcome = await self._repository.begin(
                admitted.partner, row, line, per_partner=limits.per_partner, per_person=limits.per_person
            )
        except DatabaseUnavailable:
            raise AuditUnavailable(_UNRECORDED) from None
        if outcome != "begun":
            self._metrics.refusals.labels(admitted.call.event, outcome).inc()
            raise problems.cap_reached(outcome)

    async def _activate(
        self, admitted: Admitted, row: Beginning, made: Made, at: tuple[Target, PartnerKey | None]
    ) -> None:
        target, key = at
        kept = None if key is None or made.keep is None else self._seals.seal(key, row.lease, made.keep)
        try:
            active = await self._repository.activate(
                admitted.partner,
                row.lease,
                self._trail.line(admitted.event("success")),
                expires_at=min(row.expires_at, made.expires_at or row.expires_at),
                sealed=kept,
                key_version=None if key is None else key.version,
            )
        except DatabaseUnavailable:
            await self._take_back(target, row.lease, made)
            raise AuditUnavailable(_UNRECORDED) from None
        if not active:
            # It was ended while it was being made, perhaps before there was anything that the keeper could end.
            await self._take_back(target, row.lease, made)
            raise await self._unmade(admitted, row.lease, TargetUnavailable("too_slow"))

    async def _take_back(self, target: Target, lease: str, made: Made) -> None:
        """Ends what was made and will not be told. Never raises: what the row still knows of is the keeper's."""
        try:
            await target.end(lease, made.keep)
        except (TargetUnavailable, TargetRefused) as error:
            _log.critical("lease.orphan", lease=lease, problem=error.code)

    async def _unmade(self, admitted: Admitted, lease: str, error: TargetUnavailable | TargetRefused) -> Problem:
        """What may have been made is taken back by the keeper, now or as soon as the target answers."""
        if isinstance(error, TargetRefused):
            _log.critical("lease.target_refused", code=error.code, problem=str(error))
        problem = (
            problems.target_refused(error.code)
            if isinstance(error, TargetRefused)
            else problems.target_unavailable(error.code)
        )
        try:
            await self._repository.end(admitted.partner, None, reason="abandoned", lease=lease)
        except DatabaseUnavailable:
            raise AuditUnavailable(_UNRECORDED) from None
        if isinstance(error, TargetRefused):
            # It answers, so that nothing is there can be seen at once; otherwise it would count against the caps.
            await self._keeper.end_now(admitted.partner)
        return await self._gate.refused(admitted, problem, outcome="failure")


def _kind(template: Template) -> str:
    return "postgresql" if template.broker is None else "broker_token"


def _beginning(allowed: Allowed, request: LeaseRequest, *, expires: datetime, now: datetime) -> Beginning:
    principal, template = allowed.admitted.principal, allowed.template
    return Beginning(
        lease=secrets.token_hex(12),
        template=request.template,
        kind=_kind(template),
        target=template.database or request.connection or "",
        broker=template.broker,
        requestor=principal.actor,
        subject=principal.subject,
        session=principal.session,
        roles=allowed.admitted.decision.reasons,
        permissions=allowed.permissions,
        scopes=template.scopes,
        decision_id=allowed.admitted.decision.decision_id,
        holder=holder_of(principal),
        expires_at=expires,
        max_until=max(expires, now + timedelta(seconds=template.max_ttl)),
        due_at=now + _MAKING,
    )
