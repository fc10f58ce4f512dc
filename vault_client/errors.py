"""What can go wrong, as exceptions: one for each kind of answer, with the problem's stable type inside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_PREFIX = "urn:tradepulse:problem:"


@dataclass
class VaultError(Exception):
    """A problem that the vault answered with (RFC 9457).

    `kind` is the stable end of its type, such as `precondition-failed`; `detail` says the next step, and
    `trace_id` is what to tell an operator. Nothing that was sent is in it.
    """

    status: int
    kind: str
    title: str
    detail: str
    trace_id: str
    more: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __str__(self) -> str:
        return f"{self.title} ({self.kind}). {self.detail} trace_id {self.trace_id}"


class NotAuthenticated(VaultError):
    """401: the bearer token is missing, expired or not for this vault."""


class StepUpRequired(NotAuthenticated):
    """401 with RFC 9470: log in again, at least as `acr_values` says and at most `max_age` seconds ago."""

    @property
    def acr_values(self) -> str:
        """The assurance level to log in with."""
        return str(self.more.get("acr_values", ""))

    @property
    def max_age(self) -> int | None:
        """How old the login may be, in seconds; None if that does not matter."""
        age = self.more.get("max_age")
        return age if isinstance(age, int) else None


class NotAllowed(VaultError):
    """403: who you are is known, and the answer is no."""


class NotFound(VaultError):
    """404: it is not there, or not yours to know of."""


class Conflict(VaultError):
    """409, 412, 428: the state is not one in which this can be done; `kind` says which."""


class BadRequest(VaultError):
    """400, 413, 422: the request means nothing; the OpenAPI document describes each field."""


class Unavailable(VaultError):
    """408, 429, 500, 503: not now. `retry_after` is in seconds where the vault says it."""

    retry_after: int | None = None


class Unreachable(Exception):
    """No answer came: the vault may or may not have done what was asked. The text names the server only."""


_BY_STATUS: Mapping[int, type[VaultError]] = {
    400: BadRequest,
    401: NotAuthenticated,
    403: NotAllowed,
    404: NotFound,
    408: Unavailable,
    409: Conflict,
    412: Conflict,
    413: BadRequest,
    422: BadRequest,
    428: Conflict,
    429: Unavailable,
}


def error_of(status: int, document: object, retry_after: str | None) -> VaultError:
    """The exception for an answer that is no success."""
    said = document if isinstance(document, Mapping) else {}
    kind = str(said.get("type", "")).removeprefix(_PREFIX) or f"http-{status}"
    made = _BY_STATUS.get(status, Unavailable if status >= 500 else BadRequest)
    if kind == "step-up-required":
        made = StepUpRequired
    known = {"type", "title", "status", "detail", "trace_id"}
    error = made(
        status=status,
        kind=kind,
        title=str(said.get("title", "The vault refused the request")),
        detail=str(said.get("detail", "")),
        trace_id=str(said.get("trace_id", "unknown")),
        more={name: value for name, value in said.items() if name not in known},
    )
    if isinstance(error, Unavailable) and retry_after is not None and retry_after.isdigit():
        error.retry_after = int(retry_after)
    return error
