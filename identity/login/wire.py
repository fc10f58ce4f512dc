"""How we ask the issuer: bounded in time and size, no redirect, no proxy and no .netrc from the environment."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from identity.login.errors import Code, LoginFailed
from identity.strict_json import StrictJsonError, loads_object
from identity.trust import authorities

_MAX_BYTES: Final = 262_144


class Unanswered(Exception):
    """No usable answer came. `sent`: whether the request may have reached the issuer."""

    def __init__(self, text: str, *, sent: bool) -> None:
        super().__init__(text)
        self.sent = sent

    def failed(self) -> LoginFailed:
        """The same as an error for people."""
        return LoginFailed(Code.UNREACHABLE, f"{self}; see that it runs and that this host reaches it, then try again")


@dataclass(frozen=True, slots=True)
class Reply:
    """A complete answer; `document` is empty where it was no JSON object. `body` may hold tokens."""

    status: int
    body: bytes = field(repr=False)

    @property
    def document(self) -> Mapping[str, Any]:
        """The answer as a JSON object."""
        try:
            return loads_object(self.body, max_bytes=_MAX_BYTES)
        except StrictJsonError:
            return {}

    @property
    def error(self) -> str:
        """The OAuth error code (RFC 6749, section 5.2), or the status where there is none."""
        code = self.document.get("error")
        plain = isinstance(code, str) and len(code) <= 64 and code.replace("_", "").isalnum()
        return str(code) if plain else f"status {self.status}"


class Wire:
    """Requests to one issuer, synchronous. `timeout` is in seconds, for each step and for the whole."""

    def __init__(self, timeout: float = 20.0) -> None:
        self._timeout = timeout
        self._tls = authorities()

    def get(self, url: str) -> Reply:
        """Raises Unanswered."""
        return self._ask("GET", url, None)

    def post(self, url: str, form: Mapping[str, str]) -> Reply:
        """Raises Unanswered."""
        return self._ask("POST", url, form)

    def _ask(self, method: str, url: str, form: Mapping[str, str] | None) -> Reply:
        where = f"{urlsplit(url).scheme}://{urlsplit(url).netloc}"
        deadline = time.monotonic() + self._timeout
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        try:
            with (
                httpx.Client(verify=self._tls, timeout=self._timeout, trust_env=False, follow_redirects=False) as http,
                http.stream(method, url, data=form, headers=headers) as answer,
            ):
                body = bytearray()
                for part in answer.iter_raw():
                    body += part
                    if len(body) > _MAX_BYTES or time.monotonic() > deadline:
                        raise Unanswered(f"{where} answered too slowly or too much", sent=True)
                return Reply(answer.status_code, bytes(body))
        except httpx.HTTPError as error:
            # Not the error's own text, and no chain to it: both lead to the request, which holds a token.
            unsent = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
            raise Unanswered(f"{where} does not answer ({type(error).__name__})", sent=not unsent) from None
