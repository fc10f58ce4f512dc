"""How the vault logs in to OpenBao: with a token that somebody keeps fresh, as an AppRole, or with a JWT.

Whatever proves who we are is in a file and is read again at each login, so that an agent may replace it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import httpx
import orjson

from identity.outbound import exchange
from identity.secret import Secret, SecretUnreadable, read_secret
from identity.strict_json import StrictJsonError, loads_object

_MAX_BYTES = 65_536
_RENEW_AT = 0.7
"""The share of a token's life after which another one is asked for."""


class LoginRefused(Exception):
    """OpenBao does not let us in, or the file with our proof cannot be read. The text is one clear line."""


class Login(Protocol):
    """Gives the token to ask with."""

    async def token(self, http: httpx.AsyncClient, url: str, headers: Mapping[str, str], *, seconds: float) -> Secret:
        """Raises LoginRefused, OutboundError."""
        ...

    def forget(self) -> None:
        """The token was refused; the next one has to be a fresh one."""


class TokenFile:
    """A token in a file, which an agent may replace at any time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._token: Secret | None = None

    async def token(self, http: httpx.AsyncClient, url: str, headers: Mapping[str, str], *, seconds: float) -> Secret:
        del http, url, headers, seconds
        if self._token is None:
            self._token = _read(self._path, "VAULT_OPENBAO_TOKEN_FILE")
        return self._token

    def forget(self) -> None:
        self._token = None


@dataclass(frozen=True, slots=True)
class Proof:
    """A file whose content goes into the login request as `field`; `setting` is the variable that named it."""

    field: str
    path: Path
    setting: str


class MethodLogin:
    """A login that answers a token with a life of its own: `POST /v1/auth/<mount>/login`."""

    def __init__(self, mount: str, proofs: tuple[Proof, ...], fields: Mapping[str, str]) -> None:
        self._path = f"/v1/auth/{mount.strip('/')}/login"
        self._proofs = proofs
        self._fields = dict(fields)
        self._token: Secret | None = None
        self._until = 0.0
        self._one = asyncio.Lock()

    async def token(self, http: httpx.AsyncClient, url: str, headers: Mapping[str, str], *, seconds: float) -> Secret:
        async with self._one:
            if self._token is None or time.monotonic() >= self._until:
                self._token = await self._log_in(http, url, headers, seconds)
            return self._token

    def forget(self) -> None:
        self._token = None

    async def _log_in(self, http: httpx.AsyncClient, url: str, headers: Mapping[str, str], seconds: float) -> Secret:
        asked = time.monotonic()
        proof = {one.field: _read(one.path, one.setting).text() for one in self._proofs}
        reply = await exchange(
            http, "POST", url + self._path, max_bytes=_MAX_BYTES, timeout=seconds,
            content=orjson.dumps({**self._fields, **proof}), headers={**headers, "Content-Type": "application/json"},
        )  # fmt: skip
        if reply.status != 200:
            raise LoginRefused(f"OpenBao does not let us log in at {self._path} ({reply.status})")
        try:
            auth = loads_object(reply.body, max_bytes=_MAX_BYTES)["auth"]
            token, seconds = auth["client_token"], float(auth["lease_duration"])
        except (StrictJsonError, KeyError, TypeError, ValueError):
            raise LoginRefused("what answers the login is not OpenBao") from None
        if not isinstance(token, str) or not token:
            raise LoginRefused("OpenBao answered the login without a token")
        # Zero is a token that does not end; it is refused one day all the same, and then asked for anew.
        self._until = asked + seconds * _RENEW_AT if seconds > 0 else float("inf")
        return Secret(token)


def _read(path: Path, setting: str) -> Secret:
    try:
        return read_secret(path, name=setting)
    except SecretUnreadable as error:
        raise LoginRefused(str(error)) from None
