"""The one access token of a request (RFC 6750), and the caller that it proves.

A request with two tokens, or with one in the URL, is refused: two parts of a system could each
believe another one, and URLs end up in logs.
"""

from __future__ import annotations

import re

from fastapi import Request

from identity.audit.event import AuditEvent
from identity.audit.log import AuditLog
from identity.principal import Principal
from identity.reject import RejectReason, TokenRejected
from identity.trace import trace_id
from identity.verify import TokenVerifier

_CREDENTIALS = re.compile(r"([A-Za-z]+) ([A-Za-z0-9._~+/-]+=*)\Z")


def bearer_token(request: Request) -> str:
    """The access token in the request's only Authorization header.

    Raises `TokenRejected`, which `problem.install` answers with 401.
    """
    if "access_token" in request.query_params:
        raise TokenRejected(RejectReason.IN_URL)
    values = request.headers.getlist("authorization")
    if not values:
        raise TokenRejected(RejectReason.MISSING)
    match = _CREDENTIALS.match(values[0]) if len(values) == 1 else None
    if match is None or match.group(1).lower() != "bearer":
        raise TokenRejected(RejectReason.MALFORMED)
    return match.group(2)


class Caller:
    """A FastAPI dependency: `Annotated[Principal, Depends(Caller(verifier, audit))]`.

    A refused token is recorded with its reason before it is answered; a request without any token
    is not, since that is how every well-behaved client begins. Raises `TokenRejected`,
    `KeysUnavailable` and `AuditUnavailable`, all of which `problem.install` answers.
    """

    def __init__(self, verifier: TokenVerifier, audit: AuditLog | None = None) -> None:
        self._verifier = verifier
        self._audit = audit

    async def __call__(self, request: Request) -> Principal:
        token = None
        try:
            token = bearer_token(request)
            return await self._verifier.verify(token)
        except TokenRejected as rejection:
            if rejection.reason != RejectReason.MISSING:
                await self._record(request, rejection.reason, token)
            raise

    async def _record(self, request: Request, reason: RejectReason, token: str | None) -> None:
        if self._audit is None:
            return
        await self._audit.append(
            AuditEvent(
                event="token.rejected",
                outcome="denied",
                action=f"{request.method} {request.url.path}",
                resource=None if token is None else f"token:{self._verifier.name(token)}",
                reason=reason.value,
                trace_id=trace_id(),
                ip=request.client.host if request.client else None,
            )
        )
