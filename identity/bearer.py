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
from identity.problem import Problem, unauthorized
from identity.reject import RejectReason, TokenRejected
from identity.trace import trace_id
from identity.verify import TokenVerifier

_CREDENTIALS = re.compile(r"([A-Za-z]+) ([A-Za-z0-9._~+/-]+=*)\Z")


def bearer_token(request: Request) -> str:
    """The access token in the request's only Authorization header.

    Raises `Problem`: 401 when there is none or it is not one Bearer token, 400 when one is in the URL.
    """
    if "access_token" in request.query_params:
        raise Problem(
            400,
            "token-in-url",
            "An access token must not be in the URL",
            "Send the token in the Authorization header, and replace this one: URLs are logged.",
            headers={"WWW-Authenticate": 'Bearer realm="tradepulse", error="invalid_request"'},
            reason="token_in_url",
        )
    values = request.headers.getlist("authorization")
    if not values:
        raise unauthorized(RejectReason.MISSING)
    match = _CREDENTIALS.match(values[0]) if len(values) == 1 else None
    if match is None or match.group(1).lower() != "bearer":
        raise unauthorized(RejectReason.MALFORMED)
    return match.group(2)


class Caller:
    """A FastAPI dependency: `Annotated[Principal, Depends(Caller(verifier, audit))]`.

    A refused token is recorded with its reason before it is answered; a request without any token
    is not, since that is how every well-behaved client begins. Raises `Problem` (401, 400),
    `KeysUnavailable` and `AuditUnavailable`, all of which `problem.install` answers.
    """

    def __init__(self, verifier: TokenVerifier, audit: AuditLog | None = None) -> None:
        self._verifier = verifier
        self._audit = audit

    async def __call__(self, request: Request) -> Principal:
        try:
            token = bearer_token(request)
        except Problem as problem:
            if problem.reason != RejectReason.MISSING:
                await self._record(request, problem.reason, None)
            raise
        try:
            return await self._verifier.verify(token)
        except TokenRejected as rejection:
            await self._record(request, rejection.reason, self._verifier.name(token))
            raise unauthorized(rejection.reason) from None

    async def _record(self, request: Request, reason: str | None, token_name: str | None) -> None:
        if self._audit is None:
            return
        await self._audit.append(
            AuditEvent(
                event="token.rejected",
                outcome="denied",
                action=f"{request.method} {request.url.path}",
                resource=None if token_name is None else f"token:{token_name}",
                reason=None if reason is None else str(reason),
                trace_id=trace_id(),
                ip=request.client.host if request.client else None,
            )
        )
