"""What people see when something went wrong: a page that says what, and what to do next. One table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from identity.form import BadForm
from identity.jwks import KeysUnavailable
from identity.problem import Problem
from workspace.login.places import local
from workspace.login.realm import RealmAway
from workspace.render import page
from workspace.session.store import StoreUnavailable
from workspace.upstream.answer import LoginNeeded, Refused, ServiceAway, SimulationOver, StepUpNeeded


@dataclass(frozen=True, slots=True)
class Said:
    """A page about a failure. `retry_after` is in seconds."""

    status: int
    title: str
    next: str
    retry_after: int | None = None


def _away(what: str, retry_after: int) -> Said:
    return Said(503, f"{what} does not answer", "Nothing was changed. Try again in a moment.", retry_after)


_SAYS: Final[dict[type[Exception], Callable[[Any], Said]]] = {
    Problem: lambda problem: Said(problem.status, problem.title, problem.detail),
    Refused: lambda refused: Said(refused.status, refused.title, refused.detail),
    ServiceAway: lambda away: _away(away.service.capitalize(), away.retry_after),
    RealmAway: lambda away: _away("The login service", away.retry_after),
    KeysUnavailable: lambda away: _away("The login service", away.retry_after),
    StoreUnavailable: lambda away: _away("The workspace's database", away.retry_after),
    BadForm: lambda problem: Said(400, "That form cannot be read", f"Go back and send it again: {problem}."),
    HTTPException: lambda error: (
        Said(404, "There is no such page", "Check the address, or go to the first page.")
        if error.status_code == 404
        else Said(error.status_code, "That does not work here", "Go back and use the page's own buttons.")
    ),
}

FAILURES: Final = (*_SAYS, StepUpNeeded, LoginNeeded, SimulationOver)
"""What `fail` knows how to answer."""


def fail(request: Request, error: Exception) -> Response:
    """The answer to somebody whose request failed."""
    if isinstance(error, LoginNeeded):
        return _go(request, f"/auth/login?{urlencode({'next': _here(request)})}")
    if isinstance(error, SimulationOver):
        return _go(request, "/simulation/over")
    if isinstance(error, StepUpNeeded):
        asked = {"next": _here(request), "level": error.level.value}
        if error.max_age is not None:
            asked["max_age"] = str(error.max_age)
        return _go(request, f"/confirm?{urlencode(asked)}")
    said = next(says(error) for kind, says in _SAYS.items() if isinstance(error, kind))
    response = page(request, "error.html", status=said.status, title=said.title, next=said.next)
    if said.retry_after is not None:
        response.headers["Retry-After"] = str(said.retry_after)
    return response


def _go(request: Request, url: str) -> Response:
    if request.headers.get("hx-request") == "true":
        # A redirect would be followed inside the page; this one moves the whole window.
        return Response(status_code=204, headers={"HX-Redirect": url})
    return RedirectResponse(url, 303)


def _here(request: Request) -> str:
    """The page somebody is on: of a change, the one that has the form."""
    if request.method == "GET":
        return local(request.url.path + (f"?{request.url.query}" if request.url.query else ""))
    from_page = urlsplit(request.headers.get("referer", ""))
    return local(from_page.path + (f"?{from_page.query}" if from_page.query else ""))
