"""The keeper: ends every lease that is due, until its target agrees, and asks the policy about the rest.

It is a task of the worker, and any number of workers may run it: a lease is claimed in PostgreSQL, the
claim is a number that counts up, and only the last claim may say that the lease is gone. No transaction is
open while a target is asked. What does not end after some attempts is `irrevocable`: an alarm, a line,
a gauge, and attempts go on.

A person's roles can end while a lease lives: a grant runs out, the partner is removed, the bundle is frozen.
So the policy is asked again, with what it was told at the issue, and a no that no login would cure
ends the lease. Without an answer nothing changes; the lease still ends by itself.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import timedelta

import structlog

from identity.audit.event import AuditEvent
from identity.decision import PolicyUnavailable
from identity.opa import OpaClient
from vault_api.leases.holder import principal_of
from vault_api.leases.repository import Claimed, Counted, LeaseRepository, Living
from vault_api.leases.seals import LeaseSeals
from vault_api.leases.targets import TargetRefused, Targets, TargetUnavailable
from vault_api.metrics import Metrics
from vault_api.store.database import DatabaseUnavailable
from vault_api.trail.record import Trail

_log = structlog.get_logger("vault_api.leases")

ACTOR = "vault-worker"
STUCK_AFTER = 5
"""Failed attempts after which a lease counts as irrevocable."""
_TARGET_SECONDS = 15.0
_HOLD = timedelta(seconds=30)
_LONGEST_RETRY = 300.0
_AT_ONCE = 20
_NOW_SECONDS = 8.0
_REASONS = {"expired", "abandoned", "revoked", "logout", "offboarding", "policy"}


class LeaseKeeper:
    """Ends leases. `recheck` seconds lie between two questions to the policy about the same lease."""

    name = "leases"
    every = 2.0

    def __init__(
        self,
        repository: LeaseRepository,
        targets: Targets,
        seals: LeaseSeals,
        *,
        policy: OpaClient,
        trail: Trail,
        metrics: Metrics,
        environment: str,
        recheck: float = 5.0,
    ) -> None:
        self._repository = repository
        self._targets = targets
        self._seals = seals
        self._policy = policy
        self._trail = trail
        self._metrics = metrics
        self._environment = environment
        self._recheck = recheck
        self._rechecked_at = float("-inf")

    async def run_once(self) -> None:
        """Ends what is due at every partner, and now and then asks the policy about what lives."""
        census = await self._repository.census()
        self._measure(census)
        due = {counted.partner for counted in census if counted.due > 0}
        if time.monotonic() - self._rechecked_at >= self._recheck:
            for partner in sorted({counted.partner for counted in census if counted.state == "active"}):
                if await self._review(partner):
                    due.add(partner)
            self._rechecked_at = time.monotonic()
        for partner in sorted(due):
            await self._end_due(partner)

    async def end_now(self, partner: str) -> None:
        """Ends what is due at one partner, as far as that is possible soon. Never raises; the rest is the worker's."""
        try:
            async with asyncio.timeout(_NOW_SECONDS):
                await self._end_due(partner)
        except (DatabaseUnavailable, TimeoutError):
            _log.warning("lease.left_to_worker", partner=partner)

    async def _end_due(self, partner: str) -> None:
        while claimed := await self._repository.claim(partner, limit=_AT_ONCE, hold=_HOLD):
            await asyncio.gather(*(self._end(partner, lease) for lease in claimed))

    async def _end(self, partner: str, claimed: Claimed) -> None:
        try:
            async with asyncio.timeout(_TARGET_SECONDS):
                await self._at_target(partner, claimed)
        except (TargetUnavailable, TargetRefused) as error:
            await self._stays(partner, claimed, error.code)
        except TimeoutError:
            await self._stays(partner, claimed, "too_slow")
        else:
            line = self._trail.line(_event(partner, claimed, "success"))
            if await self._repository.ended(partner, claimed.lease, claimed.claim, line):
                # Operators choose the reasons of their revocations, and every one would make a label of its own.
                reason = claimed.reason.partition(":")[0]
                self._metrics.leases_ended.labels(claimed.kind, reason if reason in _REASONS else "other").inc()

    async def _at_target(self, partner: str, claimed: Claimed) -> None:
        name = claimed.target if claimed.kind == "postgresql" else claimed.broker or ""
        target = self._targets.get((claimed.kind, name))
        if target is None:
            # The operator took the target out of the file while something was still lent there.
            raise TargetUnavailable("target_unknown")
        kept = None
        if claimed.sealed is not None and claimed.key_version is not None:
            kept = await self._seals.open(partner, claimed.lease, claimed.sealed, claimed.key_version)
        await target.end(claimed.lease, kept)

    async def _stays(self, partner: str, claimed: Claimed, code: str) -> None:
        stuck = claimed.attempts >= STUCK_AFTER
        if stuck:
            _log.critical("lease.irrevocable", partner=partner, lease=claimed.lease, problem=code)
        else:
            _log.warning("lease.not_ended", partner=partner, lease=claimed.lease, problem=code)
        told = claimed.attempts in (1, STUCK_AFTER)
        await self._repository.stays(
            partner,
            claimed.lease,
            claimed.claim,
            self._trail.line(_event(partner, claimed, "failure")) if told else None,
            failure=f"irrevocable_{code}" if stuck else code,
            retry=timedelta(seconds=min(2.0 ** min(claimed.attempts, 20), _LONGEST_RETRY)),
            stuck=stuck,
        )

    async def _review(self, partner: str) -> bool:
        """Whether a lease of the partner is to end now."""
        ending = False
        for lease in await self._repository.living(partner):
            try:
                reason = await self._objection(partner, lease)
            except PolicyUnavailable:
                _log.warning("lease.review_postponed", partner=partner)
                return ending
            except ValueError:
                reason = "holder_unreadable"
            if reason is not None:
                event = AuditEvent(
                    event="lease.revoke",
                    outcome="success",
                    actor=ACTOR,
                    partner=partner,
                    resource=f"partners/{partner}/leases/{lease.lease}",
                )
                await self._repository.end(partner, self._trail.line(event), reason=reason, lease=lease.lease)
                ending = True
        return ending

    async def _objection(self, partner: str, lease: Living) -> str | None:
        """Why the policy would not allow this lease any more, None if it still would."""
        principal = principal_of(lease.holder)
        for permission in lease.permissions:
            decision = await self._policy.decide(
                principal,
                permission,
                environment=self._environment,
                partner=partner,
                resource={} if lease.broker is None else {"broker": lease.broker},
            )
            # A login that is only not fresh any more was fresh when it had to be.
            if not decision.allow and decision.step_up is None:
                first = "frozen" if "frozen" in decision.reasons else min(decision.reasons, default="denied")
                return f"policy:{first}"
        return None

    def _measure(self, census: Sequence[Counted]) -> None:
        for state in ("creating", "active", "ending"):
            self._metrics.leases.labels(state).set(sum(one.leases for one in census if one.state == state))
        self._metrics.leases_irrevocable.set(sum(one.leases for one in census if one.irrevocable))


def _event(partner: str, claimed: Claimed, outcome: str) -> AuditEvent:
    return AuditEvent(
        event="lease.ended",
        outcome=outcome,
        actor=ACTOR,
        partner=partner,
        resource=f"partners/{partner}/leases/{claimed.lease}",
        decision_id=claimed.decision_id,
        session=claimed.session,
        roles=tuple(claimed.roles),
    )
