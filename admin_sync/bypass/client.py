"""A person's calls to the access service about a bypass: ask for one, agree to one.

Each makes a half of the code here, sends what recognises it, and gives the half to its caller to show once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote

from admin_sync.access.client import AccessClient
from admin_sync.bypass.carried import HANDING, comment
from admin_sync.bypass.code import new_half, verifier


@dataclass(frozen=True, slots=True)
class Half:
    """The request as the service shows it, and the half that was made for it."""

    request: Mapping[str, Any]
    text: str = field(repr=False)


class BypassCalls:
    """The calls of one person. Every method raises AccessProblem and LoginFailed."""

    def __init__(self, service: AccessClient) -> None:
        self._service = service
        self._known: dict[str, Any] = {}

    def longest(self) -> int:
        """For how many seconds a code can be asked for."""
        return int(self._offered()["bypass_longest"])

    def ask(self, subject: str, environment: str, why: str, until: datetime) -> Half:
        """Make the request; with the half that the person keeps."""
        half = new_half()
        body = {
            "kind": "mfa_bypass",
            "payload": {"half": verifier(half, self._realm_of(environment), subject).model_dump()},
            "environments": [environment],
            "justification": why,
            "expires": until.isoformat(),
            "subject": subject,
        }
        return Half(self._service.post("/requests", body), half)

    def find(self, request: str) -> Mapping[str, Any]:
        """A request, as the service shows it."""
        return self._service.get(f"/requests/{quote(request, safe='')}")

    def _offered(self) -> dict[str, Any]:
        if not self._known:
            self._known = self._service.get("/catalogue")
        return self._known

    def _realm_of(self, environment: str) -> str:
        # One that does not exist is the service's to refuse, with all that is wrong besides.
        return str(self._offered()["realms"].get(environment, environment))

    def approve(self, found: Mapping[str, Any], said: str | None) -> Half:
        """Agree to a request as it was found, for security; with the half that is to be handed to the person."""
        half = new_half()
        made = verifier(half, self._realm_of(found["environments"][0]), found["subject"])
        body = {"hash": found["hash"], "comment": comment(said, made), "as": HANDING}
        return Half(self._service.post(f"/requests/{quote(found['id'], safe='')}/approvals", body), half)
