"""`GET /authorize`: may this request go on, and with which internal token? Made for nginx's `auth_request`.

    204  X-TradePulse-Authorization: Bearer <internal token>
    401  no token, one that is refused, or one that is too weak (RFC 9470): WWW-Authenticate says which
    403  a good token that opens nothing here, or a service that is not configured
    503  it cannot be known now; Retry-After says when to ask again

The answer without a token has no such header, so a proxy that takes it over has nothing to hand on.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from identity.audit.errors import AuditUnavailable
from identity.bearer import bearer_token
from identity.problem import Problem
from identity.reject import RejectReason, TokenRejected
from session_broker.access import ServiceRule
from session_broker.admission import Admission
from session_broker.broker import Broker, broker_of
from session_broker.ended import EndedUnavailable
from session_broker.migration.phase_file import PhaseUnavailable
from session_broker.problems import away, refused
from session_broker.requests import SERVICE_HEADER, client_address, peer, single
from session_broker.verify import KeysUnavailable


async def authorize(request: Request) -> Response:
    """Answers the proxy."""
    broker = broker_of(request)
    ip = client_address(request, broker.settings.proxies)
    service, token = None, None
    try:
        if peer(request) not in broker.settings.proxies:
            # Whoever asks here gets an internal token in the answer; that is for the proxy alone.
            raise refused("proxy_unknown")
        service, rule = service_of(broker, single(request, SERVICE_HEADER))
        token = bearer_token(request)
        admission = await broker.door.admit(token, service, rule, ip)
    except Exception as error:
        await record_refusal(broker, error, service, ip, token)
        raise
    return Response(None, 204, {**admission.headers, "Cache-Control": "no-store"})


def service_of(broker: Broker, name: str | None) -> tuple[str, ServiceRule]:
    """The service of that name. Raises Problem (403): a service that is not configured takes nobody."""
    rule = None if name is None else broker.access.services.get(name)
    if name is None or rule is None:
        raise refused("service_unknown")
    return name, rule


async def admitted(broker: Broker, token: str, name: str, rule: ServiceRule, ip: str | None) -> Admission:
    """A caller other than the proxy, admitted; a refusal is recorded and raised."""
    try:
        return await broker.door.admit(token, name, rule, ip)
    except Exception as error:
        await record_refusal(broker, error, name, ip, token)
        raise


async def record_refusal(
    broker: Broker, error: Exception, service: str | None, ip: str | None, token: str | None
) -> None:
    """Write down why a request is refused, and count it. A request without any token is only counted: that is
    how every well-behaved client begins. Raises AuditUnavailable, and the problem for what we could not look up."""
    named = None if token is None else broker.name_of(token)
    match error:
        case TokenRejected(reason=RejectReason.MISSING):
            broker.metrics.refusals.labels(RejectReason.MISSING.value).inc()
        case TokenRejected():
            await broker.trail.refused(error.reason.value, service, ip, token_name=named)
        case Problem():
            outcome = "failure" if error.status >= 500 else "denied"
            reason = error.reason or error.slug.replace("-", "_")
            await broker.trail.refused(reason, service, ip, token_name=named, outcome=outcome)
        case KeysUnavailable():
            await broker.trail.refused("keys_unavailable", service, ip, token_name=named, outcome="failure")
        case EndedUnavailable():
            await broker.trail.refused("ended_unavailable", service, ip, token_name=named, outcome="failure")
            raise away("ended_unavailable", error.retry_after) from None
        case PhaseUnavailable():
            await broker.trail.refused("phase_unavailable", service, ip, token_name=named, outcome="failure")
            raise away("phase_unavailable", error.retry_after) from None
        case AuditUnavailable():
            broker.metrics.refusals.labels("audit_unavailable").inc()
        case _:
            pass
