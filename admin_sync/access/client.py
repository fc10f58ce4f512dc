"""The access service as a person's program calls it: one call, one answer, every problem an exit code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import httpx

from admin_sync.errors import AdminSyncError
from identity.login import PersonAuth, PersonSession
from identity.trust import authorities

_FAILED, _BAD_INPUT, _NOT_ALLOWED, _REFUSED = 1, 3, 4, 5
_EXITS: Final[Mapping[int, int]] = {
    401: _NOT_ALLOWED,
    403: _NOT_ALLOWED,
    404: _BAD_INPUT,
    409: _REFUSED,
    422: _BAD_INPUT,
}
_SECONDS: Final = 20.0

_MISTAKES: Final[Mapping[str, str]] = {
    "missing": "has to be given",
    "extra_forbidden": "is unknown to the service; is this program older than it?",
    "string_too_short": "is too short",
    "string_too_long": "is too long",
    "datetime_from_date_parsing": "is no time such as 2027-01-31T18:00Z",
    "datetime_parsing": "is no time such as 2027-01-31T18:00Z",
    "timezone_aware": "needs an offset, such as the Z of 2027-01-31T18:00Z",
}
"""What a place of a body has that is wrong, by the code that the service names; others are said as they are."""


class AccessProblem(AdminSyncError):
    """What the service answered instead of doing it; the text has its code, what is wrong and the next step."""

    def __init__(self, text: str, exit_code: int) -> None:
        super().__init__(text)
        self.exit_code = exit_code

    def hinted(self, code: str, hint: str) -> AccessProblem:
        """The same with a next step, where it is the problem of that code."""
        text = str(self)
        return AccessProblem(f"{text} {hint}", self.exit_code) if text.startswith(f"{code}:") else self


class AccessClient:
    """Calls as the person who is logged in. A demand to step up opens a login, once for each call.

    Raises AccessProblem, and LoginFailed from the person's session.
    """

    def __init__(self, url: str, session: PersonSession) -> None:
        # No proxy and no .netrc: neither may see a token or choose another one.
        self._http = httpx.Client(
            base_url=url.rstrip("/"),
            auth=PersonAuth(session, url),
            verify=authorities(),
            timeout=_SECONDS,
            trust_env=False,
            follow_redirects=False,
        )

    def close(self) -> None:
        """Gives connections back."""
        self._http.close()

    def get(self, path: str, **query: str | int | None) -> dict[str, Any]:
        """What the service has at a path under `/access/v1`."""
        given = {name: value for name, value in query.items() if value is not None}
        return self._answer("GET", path, params=given)

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Does something there. Members that are None are left out."""
        told = {name: value for name, value in body.items() if value is not None}
        return self._answer("POST", path, json=told)

    def _answer(self, method: str, path: str, **arguments: Any) -> dict[str, Any]:
        try:
            reply = self._http.request(method, f"/access/v1{path}", **arguments)
            told = reply.json()
        except (httpx.HTTPError, ValueError) as problem:
            # Never the message: it can quote an address that somebody configured with more than an address.
            raise AccessProblem(
                f"access-unreachable: the access service does not answer ({type(problem).__name__}); see that "
                "ADMIN_SYNC_ACCESS_URL names it and look whether it was done before you repeat this",
                _FAILED,
            ) from None
        if not isinstance(told, dict):
            raise AccessProblem("access-unreachable: the answer is not one of the access service", _FAILED)
        if reply.is_success:
            return told
        raise AccessProblem(said(told), exit_code(reply.status_code))


def exit_code(status: int) -> int:
    """What a program ends with whom a service answered so."""
    return _EXITS.get(status, _FAILED)


def said(problem: Mapping[str, Any]) -> str:
    """A problem of one of our services in one line for each of its reasons, each with its stable code first."""
    code = str(problem.get("type", "")).rpartition(":")[2] or "refused"
    reasons = problem.get("reasons")
    if isinstance(reasons, list) and reasons:
        return "\n".join(f"{one.get('code')}: {one.get('detail')}" for one in reasons if isinstance(one, dict))
    mistakes = [_mistake(one) for one in problem.get("errors", ()) if isinstance(one, dict)]
    if mistakes:
        return f"{code}: {'; '.join(mistakes)}"
    if code == "not-found":
        return f"{code}: nothing of that name is anything of yours; see `admin-sync requests`"
    return f"{code}: {problem.get('detail', problem.get('title', ''))}"


def _mistake(one: Mapping[str, Any]) -> str:
    place, code = one.get("location", ()), str(one.get("code", "invalid"))
    steps = place.strip("/").split("/") if isinstance(place, str) else [str(step) for step in place]
    named = ".".join(steps[1:] if steps[:1] == ["body"] else steps)
    return f"{named or 'the request'} {_MISTAKES.get(code, code.replace('_', ' '))}"
