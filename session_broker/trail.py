"""Audit lines of the session broker, durable before the answer that they record.

`session.admitted` once for each grant that is made, `session.refused` for every refusal (beyond a rate
they are counted and summed up), `session.ended` for every logout token.
"""

from __future__ import annotations

from identity.audit.event import AuditEvent, event_by
from identity.audit.log import AuditLog
from identity.audit.rejected import RejectedTokens
from identity.trace import trace_id
from session_broker.cache import Grant
from session_broker.metrics import Metrics
from session_broker.verify import VerifiedIdentity


class Trail:
    """Writes lines into `api_events.jsonl`. Raises `AuditUnavailable`, which is answered with 503."""

    def __init__(self, log: AuditLog, metrics: Metrics) -> None:
        self._log = log
        self._metrics = metrics
        self._refused = RejectedTokens(self, metrics.summarised.inc)

    async def record(self, event: AuditEvent) -> None:
        """Write one line."""
        await self._log.append(event)

    async def admitted(self, grant: Grant, service: str, ip: str | None) -> None:
        """A grant was made: who may now reach the service, by whose token."""
        identity = grant.identity
        await self.record(
            event_by(
                grant.principal,
                "session.admitted",
                "success",
                action="session:exchange" if identity.principal is None else "session:admit",
                resource=f"services/{service}/tokens/{identity.token_name}",
                reason=f"provider:{identity.provider}",
                ip=ip,
            )
        )

    async def admitted_legacy(self, identity: VerifiedIdentity, service: str, ip: str | None) -> None:
        """In a migration's first phase: a legacy token went on as it came."""
        await self.record(
            AuditEvent(
                event="session.admitted",
                outcome="success",
                actor=f"{identity.provider}:{identity.subject}",
                action="session:admit",
                resource=f"services/{service}/tokens/{identity.token_name}",
                reason=f"provider:{identity.provider}",
                trace_id=trace_id(),
                ip=ip,
            )
        )

    async def refused(
        self, reason: str, service: str | None, ip: str | None, *, token_name: str | None, outcome: str = "denied"
    ) -> None:
        """A request was turned away, or could not be decided (`outcome` is then `failure`)."""
        self._metrics.refusals.labels(reason).inc()
        await self._refused.record(
            AuditEvent(
                event="session.refused",
                outcome=outcome,
                reason=reason,
                actor=None if token_name is None else f"token:{token_name}",
                action="session:admit",
                resource=None if service is None else f"services/{service}",
                trace_id=trace_id(),
                ip=ip,
            )
        )

    async def ended(
        self,
        provider: str,
        outcome: str,
        *,
        reason: str | None,
        session: str | None,
        subject: str | None,
        ip: str | None,
    ) -> None:
        """A logout token was taken or refused."""
        await self.record(
            AuditEvent(
                event="session.ended",
                outcome=outcome,
                reason=reason,
                actor=f"provider:{provider}",
                action="session:end",
                resource=None if subject is None else f"subjects/{subject}",
                session=session,
                trace_id=trace_id(),
                ip=ip,
            )
        )

    async def close(self) -> None:
        """Write what was only counted so far, and close the log."""
        await self._refused.close()
        self._log.close()
