"""A person's calls to the access service about a bypass: ask for one, agree to one. With their own login.

Each call makes a half of the code here, sends what recognises it, and gives the half to its caller to show once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

import httpx

from admin_sync.bypass.carried import HANDING, comment
from admin_sync.bypass.code import new_half, verifier
from admin_sync.console import FAILED, NOT_ALLOWED, REFUSED
from admin_sync.errors import AdminSyncError
from identity.login import PersonAuth, PersonSession

_TIMEOUT: Final = 15.0
_ENDS: Final[Mapping[int, int]] = {401: NOT_ALLOWED, 403: NOT_ALLOWED, 404: NOT_ALLOWED, 409: REFUSED, 422: REFUSED}


class CallRefused(AdminSyncError):
    """The access service said no, or did not answer. The text ends with the problem's stable code."""

    def __init__(self, text: str, code: int = FAILED) -> None:
        super().__init__(text)
        self.exit_code = code


@dataclass(frozen=True, slots=True)
class Half:
    """The request as the service shows it, and the half that was made for it."""

    request: Mapping[str, Any]
    text: str = field(repr=False)


class BypassCalls:
    """`realm_of` gives the realm of an environment. Every method raises CallRefused and LoginFailed."""

    def __init__(self, session: PersonSession, url: str, realm_of: Callable[[str], str]) -> None:
        self._session = session
        self._url = url.rstrip("/")
        self._realm_of = realm_of

    def ask(self, subject: str | None, environment: str, why: str, until: datetime) -> Half:
        """Make the request, for oneself without `subject`; with the half that the person keeps."""
        address = subject or self._session.who().email
        if not address:
            raise CallRefused("your login has no e-mail address; name the person whom it is for", NOT_ALLOWED)
        half = new_half()
        body: dict[str, Any] = {
            "kind": "mfa_bypass",
            "payload": {"half": verifier(half, self._realm_of(environment), address).model_dump()},
            "environments": [environment],
            "justification": why,
            "expires": until.isoformat().replace("+00:00", "Z"),
        }
        if subject is not None:
            body["subject"] = subject
        return Half(self._call("POST", "/requests", body), half)

    def find(self, request: str) -> Mapping[str, Any]:
        """A request of this kind, as the service shows it."""
        found = self._call("GET", f"/requests/{quote(request, safe='')}", None)
        if found.get("kind") != "mfa_bypass":
            raise CallRefused(f"{request} is no bypass; agree to it with `admin-sync approve {request}`", REFUSED)
        return found

    def approve(self, found: Mapping[str, Any], said: str | None) -> Half:
        """Agree to a request as it was found, for security; with the half that is to be handed to the person."""
        half = new_half()
        made = verifier(half, self._realm_of(found["environments"][0]), found["subject"])
        body = {"hash": found["hash"], "comment": comment(said, made), "as": HANDING}
        path = f"/requests/{quote(found['id'], safe='')}/approvals"
        return Half(self._call("POST", path, body), half)

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None) -> dict[str, Any]:
        try:
            with httpx.Client(auth=PersonAuth(self._session, self._url), trust_env=False, timeout=_TIMEOUT) as http:
                answer = http.request(method, f"{self._url}/access/v1{path}", json=body)
        except httpx.HTTPError as problem:
            raise CallRefused(f"{self._url} did not answer ({type(problem).__name__}); see if it runs") from None
        try:
            told = json.loads(answer.content)
        except ValueError:
            told = None
        if not isinstance(told, dict):
            raise CallRefused(f"{self._url} answered {answer.status_code} with something that is not ours")
        if not answer.is_success:
            code = str(told.get("type", "no code")).rpartition(":")[2]
            said = f"{told.get('title', 'refused')}: {told.get('detail', 'no detail')} [{code}]"
            raise CallRefused(said, _ENDS.get(answer.status_code, FAILED))
        return told
