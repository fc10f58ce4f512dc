"""May they hold this, and until when: the policy, asked for the call and for every scope of the lease."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from identity.problem import Problem
from vault_api.gate import Admitted, Caller, Gate
from vault_api.leases import problems
from vault_api.leases.templates import LeasePolicy, Template

_SHORTEST = timedelta(seconds=10)
_JITTER = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """A template that this caller may hold, and until when the decisions say so."""

    admitted: Admitted
    template: Template
    permissions: tuple[str, ...]
    until: datetime


class Admission:
    """Asks the policy about leases. `draw` gives numbers from [0, 1)."""

    def __init__(self, gate: Gate, policy: LeasePolicy, *, draw: Callable[[], float] = random.random) -> None:
        self._gate = gate
        self._policy = policy
        self._draw = draw

    async def template(self, caller: Caller, name: str) -> Template:
        """The template of that name, if it is open to the partner.

        Raises Problem (401 step-up, 403, 404, 422), PolicyUnavailable, AuditUnavailable.
        """
        template = self._policy.templates.get(name)
        if template is None or not template.open_to(caller.partner):
            # First whether they may ask here at all: the operator's file names partners, and whoever belongs to none
            # of them must not be able to tell those from partners that do not exist.
            admitted = await self._gate.admit(caller)
            raise await self._gate.refused(admitted, problems.unknown_template())
        return template

    async def allow(self, caller: Caller, template: Template) -> Allowed:
        """The caller, if the policy allows the call and every permission that the template's scopes need.

        Raises Problem (401 step-up, 403, 404), PolicyUnavailable, AuditUnavailable.
        """
        told: Mapping[str, str] = {} if template.broker is None else {"broker": template.broker}
        first = await self._gate.admit(caller, told)
        permissions = self._policy.permissions(template)
        decisions = [first.decision]
        for permission in permissions:
            decisions.append((await self._gate.admit(caller, told, permission=permission)).decision)
        roles = sorted({reason for decision in decisions for reason in decision.reasons})
        ends = min(decision.valid_until for decision in decisions)
        return Allowed(
            admitted=replace(first, decision=replace(first.decision, reasons=tuple(roles), valid_until=ends)),
            template=template,
            permissions=tuple(sorted({caller.call.permission, *permissions})),
            # Beyond this PostgreSQL and datetime disagree about what a date is, and no lease goes there.
            until=datetime.fromtimestamp(min(ends, 32_503_680_000), UTC),
        )

    def ends(self, allowed: Allowed, ttl: int | None, *, now: datetime) -> datetime:
        """When a lease that is wanted for `ttl` seconds ends: somewhat earlier, and never after what allows it.

        Leases that were asked for together thus do not end together. Raises Problem 409.
        """
        seconds = min(ttl or allowed.template.ttl, allowed.template.max_ttl)
        ends = min(now + timedelta(seconds=seconds * (1.0 - _JITTER * self._draw())), allowed.until)
        if ends - now < _SHORTEST:
            raise too_short()
        return ends


def too_short() -> Problem:
    """What allows the lease is about to end."""
    return Problem(
        409,
        "lease-too-short",
        "What allows this lease is about to end",
        "Log in again or have the grant prolonged, then ask for the lease again.",
    )
