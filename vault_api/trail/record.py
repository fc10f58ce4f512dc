"""Writing down what was refused or failed, before it is answered."""

from __future__ import annotations

import asyncio

import structlog

from identity.audit.errors import AuditUnavailable
from identity.audit.event import AuditEvent
from vault_api.metrics import Metrics
from vault_api.store.database import DatabaseUnavailable
from vault_api.store.repository import NO_PARTNER, Line, Repository
from vault_api.trail.line import pieces

_log = structlog.get_logger("vault_api.trail")


class Trail:
    """The audit trail as the rest of the vault sees it.

    node:   the name of this host in audit lines
    at_once: how many refusals are recorded at the same time; the others wait. Whoever sends bad
             tokens by the thousand can thus not take the connections that good requests need.
    """

    def __init__(self, repository: Repository, metrics: Metrics, *, node: str, at_once: int = 3) -> None:
        self._repository = repository
        self._metrics = metrics
        self._node = node
        self._slots = asyncio.Semaphore(at_once)

    def line(self, event: AuditEvent) -> Line:
        """The pieces that a function of the schema `vault` completes and appends."""
        return pieces(event, node=self._node)

    async def record(self, event: AuditEvent, *, connection: str | None = None) -> None:
        """Appends the event to its partner's chain, or to that of no partner.

        Raises AuditUnavailable: what cannot be recorded is not answered either, not even with a no.
        """
        try:
            async with asyncio.timeout(5.0), self._slots:
                await self._repository.record(
                    event.partner or NO_PARTNER,
                    connection,
                    self.line(event),
                    event=event.event,
                    outcome=event.outcome,
                    reason=event.reason,
                    key_version=event.key_version,
                )
        except (DatabaseUnavailable, TimeoutError):
            raise AuditUnavailable("the refusal could not be recorded") from None
        if event.outcome != "success":
            # What stands behind a colon is a number, and every number would make a label of its own.
            self._metrics.refusals.labels(event.event, (event.reason or "none").partition(":")[0]).inc()
