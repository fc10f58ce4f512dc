"""What a phase makes of a request: who is let through, and which tokens go on.

    token ─ legacy? ─▶ does the phase take it? ─▶ doorkeeper (a legacy one by the bridge) ─▶ Admission

Without a migration there is no desk and no code path by which a legacy token could be accepted.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Final

from identity.problem import Problem
from identity.reject import RejectReason, TokenRejected
from identity.secret import Secret
from session_broker.access import LEGACY, ServiceRule
from session_broker.admission import Admission
from session_broker.cache import Grant, key_of
from session_broker.doorkeeper import Doorkeeper
from session_broker.metrics import Metrics
from session_broker.migration.bridge import Bridge
from session_broker.migration.legacy_token import LegacyTokens
from session_broker.migration.phase import Phase
from session_broker.migration.phase_file import PhaseFile
from session_broker.migration.roles import for_groups
from session_broker.migration.usage import Usage
from session_broker.problems import refused
from session_broker.refusals import Refusals
from session_broker.requests import LEGACY_HEADER, NEW_HEADER, TOKEN_HEADER
from session_broker.trail import Trail

_MINTED_FOR: Final = "session-broker"
"""The application that a legacy token names which was made here."""

_RECORDED: Final = 20_000


class Desk:
    """Admits by phase.

    deprecated:  since when legacy tokens are deprecated (unix seconds), for RFC 9745
    sunset:      when they end, for RFC 8594; None where no date is set
    """

    def __init__(
        self,
        *,
        doorkeeper: Doorkeeper,
        bridge: Bridge,
        tokens: LegacyTokens,
        phase: PhaseFile,
        usage: Usage,
        trail: Trail,
        metrics: Metrics,
        window: float,
        deprecated: int,
        sunset: int | None,
    ) -> None:
        self._doorkeeper = doorkeeper
        self._bridge = bridge
        self._tokens = tokens
        self._phase = phase
        self._usage = usage
        self._trail = trail
        self._metrics = metrics
        self._deprecated = deprecated
        self._sunset = sunset
        self._recorded = Refusals(size=_RECORDED, seconds=window)

    async def admit(self, token: str, name: str, rule: ServiceRule, ip: str | None) -> Admission:
        """What goes on to a service. Raises what the doorkeeper raises, and PhaseUnavailable (503)."""
        phase = self._phase.now()
        if not self._bridge.knows(token):
            return await self._new(phase, token, name, rule, ip)
        if not phase.takes_legacy:
            raise TokenRejected(RejectReason.LEGACY_ENDED)
        found = self._bridge.legacy(token)
        client = self._usage.label(found.client)
        # One who is refused further on still comes with such a token, and would be shut out by the last step.
        self._usage.used(found.client)
        self._metrics.migration.labels("legacy", client, phase.label).inc()
        legacy = Secret(token)
        if not phase.legacy_first:
            grant = await self._doorkeeper.admit(token, name, rule, ip)
            headers = {**_headers(phase, grant.token, legacy), **self._notices()}
            return Admission(grant=grant, headers=headers, legacy=legacy)
        await self._legacy_alone(token, name, rule, ip)
        found_grant = await self._perhaps(token, name, rule, ip) if phase.hands_new else None
        new = None if found_grant is None else found_grant.token
        return Admission(grant=found_grant, headers=_headers(phase, new, legacy), legacy=legacy)

    async def _perhaps(self, token: str, name: str, rule: ServiceRule, ip: str | None) -> Grant | None:
        """The internal token to go on beside a legacy one, if there is one.

        Who is not linked yet, or has no factor, gets none; and while the legacy token is the one that counts, neither
        that nor a Keycloak that is away may cost anybody the session that they have. The metric says how many are left.
        """
        try:
            return await self._doorkeeper.admit(token, name, rule, ip)
        except Problem as problem:
            self._metrics.unmatched.labels(problem.reason or problem.slug).inc()
            return None

    async def _new(self, phase: Phase, token: str, name: str, rule: ServiceRule, ip: str | None) -> Admission:
        if not phase.takes_new:
            raise TokenRejected(RejectReason.NEW_NOT_YET)
        grant = await self._doorkeeper.admit(token, name, rule, ip)
        self._metrics.migration.labels("new", grant.principal.client, phase.label).inc()
        legacy = self._written_twice(grant) if phase.hands_legacy else None
        return Admission(grant=grant, headers=_headers(phase, grant.token, legacy), legacy=legacy)

    def _written_twice(self, grant: Grant) -> Secret | None:
        """A legacy token for a caller who came with another; None for whoever has no legacy role."""
        principal = grant.principal
        roles = for_groups(principal.groups)
        if not roles or principal.email is None:
            return None
        ends = int(min(principal.expires_at, grant.identity.expires_at))
        return Secret(
            self._tokens.mint(
                subject=principal.subject, email=principal.email, roles=roles, client=_MINTED_FOR, expires_at=ends
            )
        )

    async def _legacy_alone(self, token: str, name: str, rule: ServiceRule, ip: str | None) -> None:
        """A service names whom it takes, the legacy platform as well; each token is recorded once while remembered."""
        if LEGACY not in rule.providers:
            raise refused("provider_not_for_service")
        key = key_of(token, name)
        if self._recorded.find(key) is None:
            await self._trail.admitted_legacy(self._bridge.identity(token), name, ip)
            self._recorded.keep(key, "recorded")

    def _notices(self) -> Mapping[str, str]:
        notices = {"Deprecation": f"@{self._deprecated}"}
        if self._sunset is not None:
            notices["Sunset"] = format_datetime(datetime.fromtimestamp(self._sunset, UTC), usegmt=True)
        return notices


def _headers(phase: Phase, new: Secret | None, legacy: Secret | None) -> Mapping[str, str]:
    """Who is believed stands in `Authorization`. Where that is the legacy token and there is none, nobody does."""
    first, beside, name = (legacy, new, NEW_HEADER) if phase.legacy_first else (new, legacy, LEGACY_HEADER)
    headers = {}
    if first is not None:
        headers[TOKEN_HEADER] = f"Bearer {first.text()}"
    if beside is not None and (phase.hands_new and phase.hands_legacy):
        headers[name] = beside.text()
    return headers
