"""A person's calls: to the access service about openings, and to the vault for a credential. With their own login."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

import httpx

from admin_sync.access.client import exit_code, said
from admin_sync.break_glass.credential import Credential
from admin_sync.console import FAILED
from admin_sync.errors import AdminSyncError
from identity.login import PersonAuth, PersonSession
from identity.secret import Secret

_TIMEOUT: Final = 15.0


class CallRefused(AdminSyncError):
    """A service said no, or did not answer. The text begins with the problem's stable code."""

    def __init__(self, text: str, code: int = FAILED) -> None:
        super().__init__(text)
        self.exit_code = code


class Responder:
    """The calls of somebody who opens, closes or reviews. Every method raises CallRefused and LoginFailed."""

    def __init__(self, session: PersonSession, access_url: str, vault_url: str) -> None:
        self._session = session
        self._access = access_url.rstrip("/")
        self._vault = vault_url.rstrip("/")

    def offered(self) -> dict[str, Any]:
        """What can be asked for: how long an account is open at most, and what the realms are called."""
        return self._call(self._access, "GET", "/access/v1/catalogue", None)

    def ask(self, account: str, environment: str, why: str, until: datetime) -> dict[str, Any]:
        """Make the request; as the access service shows it."""
        body = {
            "kind": "break_glass",
            "payload": {"account": account},
            "environments": [environment],
            "justification": why,
            "expires": until.isoformat().replace("+00:00", "Z"),
        }
        return self._call(self._access, "POST", "/access/v1/requests", body)

    def credential(self, request: str) -> tuple[Credential, str, str]:
        """The credential, once: with the environment and the account that it opens."""
        proof = self._call(self._access, "POST", f"/access/v1/break-glass/{quote(request, safe='')}/proof", None)
        environment, account = str(proof["environment"]), str(proof["account"])
        path = f"/v1/break-glass/{quote(environment, safe='')}/{quote(account, safe='')}/release"
        released = self._call(self._vault, "POST", path, {"proof": proof["proof"]})
        return Credential.read(Secret(str(released["credential"]))), environment, account

    def openings(self) -> list[dict[str, Any]]:
        """The openings that this person may know of, newest first."""
        return list(self._call(self._access, "GET", "/access/v1/break-glass", None)["openings"])

    def close(self, request: str) -> dict[str, Any]:
        """Ask for an opening to be closed now."""
        return self._call(self._access, "POST", f"/access/v1/break-glass/{quote(request, safe='')}/closure", None)

    def review(self, request: str, verdict: str, findings: str) -> dict[str, Any]:
        """Say what an opening was used for."""
        body = {"verdict": verdict, "findings": findings}
        return self._call(self._access, "POST", f"/access/v1/break-glass/{quote(request, safe='')}/review", body)

    def _call(self, service: str, method: str, path: str, body: Mapping[str, Any] | None) -> dict[str, Any]:
        try:
            with httpx.Client(auth=PersonAuth(self._session, service), trust_env=False, timeout=_TIMEOUT) as http:
                answer = http.request(method, f"{service}{path}", json=body)
        except httpx.HTTPError as problem:
            raise CallRefused(f"{service} did not answer ({type(problem).__name__}); see if it runs") from None
        try:
            told = json.loads(answer.content)
        except ValueError:
            told = None
        if not isinstance(told, dict):
            raise CallRefused(f"{service} answered {answer.status_code} with something that is not ours")
        if not answer.is_success:
            raise CallRefused(said(told), exit_code(answer.status_code))
        return told
