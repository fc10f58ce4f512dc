"""Errors as every service of ours shows them: RFC 9457 problem details.

`type` is stable (`urn:tradepulse:problem:<slug>`), `detail` says the next step, `trace_id` finds the
log lines. What a caller sent is never repeated, and every refused token gets one and the same body;
the reason is on the exception, for the audit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from identity.audit.log import AuditUnavailable
from identity.decision import Decision, PolicyUnavailable, StepUp
from identity.jwks import KeysUnavailable
from identity.reject import RejectReason, TokenRejected
from identity.schema_names import location
from identity.trace import trace_id

_MEDIA_TYPE = "application/problem+json"

_log = structlog.get_logger(__name__)


class Problem(Exception):
    """An answer that is an error.

    `slug` makes the stable type, `title` names the kind of problem, `detail` says what to do next,
    `extra` adds members of its own. `reason` never leaves the process.
    """

    def __init__(
        self,
        status: int,
        slug: str,
        title: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
        reason: str | None = None,
    ) -> None:
        super().__init__(f"{status} {slug}")
        self.status = status
        self.slug = slug
        self.title = title
        self.detail = detail
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})
        self.reason = reason

    def response(self) -> Response:
        """The problem as an HTTP response; it is not to be cached by anybody."""
        body = {
            **self.extra,
            "type": f"urn:tradepulse:problem:{self.slug}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "trace_id": trace_id(),
        }
        headers = {"Cache-Control": "no-store", **self.headers}
        return Response(orjson.dumps(body), self.status, headers, media_type=_MEDIA_TYPE)


def unauthorized(reason: RejectReason | str) -> Problem:
    """401 for a missing or refused token (RFC 6750 section 3): one body whatever the reason.

    Only a request without any token gets a challenge without an error code, as the RFC asks.
    """
    challenge = 'Bearer realm="tradepulse"'
    if reason != RejectReason.MISSING:
        challenge += ', error="invalid_token"'
    return Problem(
        401,
        "unauthorized",
        "Authentication is required",
        "Send a valid access token for this service in the Authorization header.",
        headers={"WWW-Authenticate": challenge},
        reason=str(reason),
    )


def step_up_required(demand: Decision | StepUp) -> Problem:
    """401 that asks for a stronger or fresher login (RFC 9470 section 3)."""
    step_up = demand.step_up if isinstance(demand, Decision) else demand
    if step_up is None:
        raise ValueError("the decision asks for no step-up; answer it with forbidden()")
    challenge = (
        'Bearer realm="tradepulse", error="insufficient_user_authentication", '
        'error_description="A stronger or more recent login is required", '
        f'acr_values="{step_up.acr.value}"'
    )
    extra: dict[str, Any] = {"acr_values": step_up.acr.value}
    if step_up.max_age is not None:
        challenge += f', max_age="{step_up.max_age}"'
        extra["max_age"] = step_up.max_age
    return Problem(
        401,
        "step-up-required",
        "A stronger or more recent login is required",
        "Log in again with the acr_values and max_age given here, then repeat the request.",
        headers={"WWW-Authenticate": challenge},
        extra=extra,
        reason="step_up_required",
    )


def forbidden(decision: Decision | None = None) -> Problem:
    """403: known who you are, and the answer is no. The decision id lets an administrator explain it."""
    extra = {"decision_id": decision.decision_id} if decision is not None else {}
    return Problem(
        403,
        "forbidden",
        "Not allowed",
        "Ask for a role that has this permission, and give the decision_id when you ask why.",
        extra=extra,
        reason=",".join(decision.reasons) if decision is not None else None,
    )


def not_found() -> Problem:
    """404 for what does not exist and for what the caller may not know to exist: one and the same."""
    return Problem(404, "not-found", "Not found", "Check the address; it may also belong to somebody else.")


def unavailable(slug: str, detail: str, *, retry_after: int) -> Problem:
    """503 with Retry-After in seconds: we do not know, and not knowing is never yes."""
    return Problem(
        503,
        slug,
        "Temporarily unavailable",
        detail,
        headers={"Retry-After": str(max(1, retry_after))},
    )


def install(app: FastAPI) -> None:
    """Make every error of `app` a problem: ours, FastAPI's, Starlette's and the unexpected ones.

    Add `TraceMiddleware` after it: what is added later is further out, and the trace id must be
    there for the answers of all the others.
    """
    for kind, handler in _HANDLERS.items():
        app.add_exception_handler(kind, handler)  # type: ignore[arg-type]
    app.add_middleware(UnexpectedErrors)


async def answer(request: Request, error: Exception) -> Response:
    """What `install` would have an application answer to this error; for code that runs outside of one.

    An error that nobody expects is logged, redacted, and answered with 500.
    """
    for kind in type(error).__mro__:
        if kind in _HANDLERS:
            answered: Response = await _HANDLERS[kind](request, error)
            return answered
    _log.error("request.failed", method=request.method, trace_id=trace_id(), exc_info=error)
    return _internal_error().response()


class ResponseAborted(Exception):
    """Closes the connection of a response that broke after its first byte; carries no detail."""


class UnexpectedErrors:
    """Answers 500 for what nobody caught, with the trace id and nothing else (pure ASGI).

    Starlette's own handler raises the error again for the server to print, message and all; an
    exception's message may quote what was sent to us, so it is logged here, redacted, instead.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception:  # noqa: BLE001 - the last one before the server, which would print it
            _log.exception("request.failed", method=scope["method"], trace_id=trace_id())
            if started:
                raise ResponseAborted from None
            await _internal_error().response()(scope, receive, send)


def _internal_error() -> Problem:
    return Problem(
        500,
        "internal-error",
        "Something failed on our side",
        "Repeat the request; if it fails again, report the trace_id.",
    )


async def _problem(_: Request, problem: Problem) -> Response:
    return problem.response()


async def _token_rejected(_: Request, error: TokenRejected) -> Response:
    return unauthorized(error.reason).response()


async def _keys_unavailable(_: Request, error: KeysUnavailable) -> Response:
    detail = "Tokens cannot be verified right now; repeat the request later."
    return unavailable("keys-unavailable", detail, retry_after=error.retry_after).response()


async def _policy_unavailable(_: Request, error: PolicyUnavailable) -> Response:
    _log.warning("policy.unavailable", problem=str(error))
    detail = "The policy engine gave no decision; repeat the request later."
    return unavailable("policy-unavailable", detail, retry_after=error.retry_after).response()


async def _audit_unavailable(_: Request, error: AuditUnavailable) -> Response:
    _log.warning("audit.unavailable", problem=str(error))
    detail = "The request could not be recorded, so it was not carried out; repeat it later."
    return unavailable("audit-unavailable", detail, retry_after=error.retry_after).response()


async def _http_exception(_: Request, error: HTTPException) -> Response:
    known = {
        404: not_found(),
        405: Problem(405, "method-not-allowed", "Method not allowed", "See the Allow header or the OpenAPI document."),
    }
    fallback = Problem(error.status_code, f"http-{error.status_code}", "The request was refused", "Check the request.")
    problem = known.get(error.status_code, fallback)
    problem.headers.update(error.headers or {})
    return problem.response()


async def _invalid(request: Request, error: RequestValidationError) -> Response:
    """422 that names the place and the kind of each mistake in our own words, never in the caller's."""
    mistakes = [
        {"location": location(request.app, mistake.get("loc", ())), "code": str(mistake.get("type", "invalid"))}
        for mistake in error.errors()[:20]
    ]
    return Problem(
        422,
        "invalid-request",
        "The request is not valid",
        "Correct the places listed in errors; the OpenAPI document describes each field.",
        extra={"errors": mistakes},
    ).response()


_HANDLERS: dict[type[BaseException], Any] = {
    Problem: _problem,
    TokenRejected: _token_rejected,
    KeysUnavailable: _keys_unavailable,
    PolicyUnavailable: _policy_unavailable,
    AuditUnavailable: _audit_unavailable,
    RequestValidationError: _invalid,
    HTTPException: _http_exception,
}
