"""The vault as its keeper sees it: credentials go in, and none comes out."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx

from admin_sync.errors import AdminSyncError, Misconfigured
from identity.client_key import ClientKey
from identity.secret import Secret, SecretUnreadable, read_secret

CLIENT: Final = "emergency-keeper"
_TIMEOUT: Final = 10.0
_URL: Final = "ADMIN_SYNC_VAULT_URL"
_KEY: Final = "ADMIN_SYNC_KEEPER_KEY_FILE"
_ISSUER: Final = "TRADEPULSE_ISSUER"


class CustodyUnavailable(AdminSyncError):
    """The vault did not do what was asked; it may be asked again. The text ends with the problem's stable code."""


@dataclass(frozen=True, slots=True)
class Held:
    """One credential in custody: `state` is pending, sealed or released."""

    environment: str
    account: str
    version: int
    state: str
    request: str | None


@dataclass(frozen=True, slots=True)
class CustodySettings:
    """Where the vault is, and as whom it is spoken to."""

    url: str
    issuer: str
    key: Secret = field(repr=False)


def custody_settings(environ: Mapping[str, str]) -> CustodySettings:
    """Raises Misconfigured, naming every variable that is missing."""
    missing = [name for name in (_URL, _ISSUER, _KEY) if not environ.get(name)]
    if missing:
        raise Misconfigured(f"set {', '.join(missing)}: the vault keeps emergency credentials (docs/break-glass.md)")
    try:
        key = read_secret(Path(environ[_KEY]), name=_KEY)
    except SecretUnreadable as problem:
        raise Misconfigured(str(problem)) from None
    return CustodySettings(environ[_URL].rstrip("/"), environ[_ISSUER].rstrip("/"), key)


class Custody:
    """The vault's custody, through one HTTP client. Every method raises CustodyUnavailable."""

    def __init__(self, settings: CustodySettings, http: httpx.Client) -> None:
        self._settings = settings
        self._http = http
        self._key = ClientKey(CLIENT, settings.key, audience=settings.issuer)

    def keep(self, environment: str, account: str, credential: Secret) -> int:
        """Give a new credential into custody; the version by which it is confirmed."""
        answer = self._call("PUT", f"/v1/break-glass/{environment}/{account}", {"credential": credential.text()})
        return int(answer["version"])

    def confirm(self, environment: str, account: str, version: int) -> None:
        """Say that it is in force."""
        self._call("POST", f"/v1/break-glass/{environment}/{account}/confirmations", {"version": version})

    def held(self) -> dict[tuple[str, str], Held]:
        """What is in custody, by environment and account."""
        listed = self._call("GET", "/v1/break-glass", None)["accounts"]
        found = [
            Held(one["environment"], one["account"], int(one["version"]), one["state"], one["request"])
            for one in listed
        ]
        return {(one.environment, one.account): one for one in found}

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._token()}"}
        try:
            answer = self._http.request(
                method, f"{self._settings.url}{path}", headers=headers, json=body, timeout=_TIMEOUT
            )
        except httpx.HTTPError as problem:
            raise CustodyUnavailable(
                f"the vault did not answer ({type(problem).__name__}); check that it runs"
            ) from None
        told = _object(answer)
        if answer.status_code != 200:
            raise CustodyUnavailable(f"the vault refused: {told.get('detail', 'no detail')} [{_code(told)}]")
        return told

    def _token(self) -> str:
        """A token for one call: calls are rare, and a token that is not kept cannot be taken."""
        form = {"grant_type": "client_credentials", **self._key.form(time.time())}
        try:
            answer = self._http.post(
                f"{self._settings.issuer}/protocol/openid-connect/token", data=form, timeout=_TIMEOUT
            )
        except httpx.HTTPError as problem:
            raise CustodyUnavailable(f"no token for {CLIENT}: {type(problem).__name__}") from None
        token = _object(answer).get("access_token")
        if answer.status_code != 200 or not isinstance(token, str):
            raise CustodyUnavailable(
                f"no token for {CLIENT}: Keycloak answered {answer.status_code}; check {_KEY} and the client"
            )
        return token


def _object(answer: httpx.Response) -> dict[str, Any]:
    try:
        told = json.loads(answer.content)
    except ValueError:
        told = None
    return told if isinstance(told, dict) else {}


def _code(told: Mapping[str, Any]) -> str:
    return str(told.get("type", "no code")).rpartition(":")[2]
