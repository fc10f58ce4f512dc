"""What both drivers share: the client that logs in, the person, and the loopback end of the journey."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, Protocol, Self
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx

PATIENCE = 30.0
"""Seconds after which a login that makes no progress is given up."""


class LoginStuck(Exception):
    """The login did not end at the client; the text says on which page and what that page complained of."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """What the token endpoint answered. The tokens never show in a repr."""

    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    id_token: str | None = field(repr=False)
    expires_in: int


@dataclass(slots=True)
class Person:
    """Somebody who logs in, with what they know and what they hold."""

    username: str
    password: str = field(repr=False)
    new_password: str | None = field(default=None, repr=False)
    """What to choose when Keycloak asks for a new password; afterwards it is the password."""
    security_key: dict[str, Any] | None = field(default=None, repr=False)
    totp_secret: str | None = field(default=None, repr=False)
    factor: str = "security-key"
    """Which factor to enrol when asked: `security-key` or `authenticator-app`."""


class Login(Protocol):
    """One way of logging in."""

    name: str

    def login(self, person: Person, *, acr: str | None = None, essential: bool = False, fresh: bool = True) -> Tokens:
        """Tokens of a completed login. `fresh` forgets earlier sessions first.

        `acr` asks for an assurance level, as a wish (`acr_values`) or, with `essential`, as a claims request that
        Keycloak must meet or refuse (OpenID Connect Core 5.5.1.1). Raises LoginStuck.
        """
        ...


@dataclass(frozen=True, slots=True)
class NativeApp:
    """The client that logs in: a public one with PKCE and a loopback redirect."""

    realm_url: str
    client_id: str = "tradepulse-cli"
    scope: str = "openid"


class Callback:
    """The loopback listener of one login and the request that leads to it."""

    def __init__(self, app: NativeApp, acr: str | None, essential: bool) -> None:
        self.app = app
        self.answer: dict[str, str] = {}
        self.arrived = threading.Event()
        self.verifier = secrets.token_urlsafe(48)
        self._state = secrets.token_urlsafe(16)
        callback = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                split = urlsplit(self.path)
                if split.path == "/callback" and not callback.arrived.is_set():
                    callback.answer = {name: values[0] for name, values in parse_qs(split.query).items()}
                    callback.arrived.set()
                self.send_response(200 if split.path == "/callback" else 404)
                self.send_header("Content-Type", "text/plain")
                self.end_headers()
                self.wfile.write(b"You are logged in and may close this window.\n")

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """The request line holds the code, so nothing is logged."""

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.redirect_uri = f"http://127.0.0.1:{self._server.server_port}/callback"
        challenge = base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "client_id": app.client_id,
            "redirect_uri": self.redirect_uri,
            "response_type": "code",
            "scope": app.scope,
            "state": self._state,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        if acr and essential:
            query["claims"] = f'{{"id_token":{{"acr":{{"essential":true,"values":["{acr}"]}}}}}}'
        elif acr:
            query["acr_values"] = acr
        self.authorize_url = f"{app.realm_url}/protocol/openid-connect/auth?{urlencode(query)}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def redeem(self) -> Tokens:
        """The code that arrived, exchanged for tokens. Raises LoginStuck for an error or a foreign state."""
        if "code" not in self.answer or self.answer.get("state") != self._state:
            why = self.answer.get("error_description") or self.answer.get("error") or "no code in the redirect"
            raise LoginStuck(f"Keycloak sent the login back without success: {why}")
        reply = httpx.post(
            f"{self.app.realm_url}/protocol/openid-connect/token",
            data={
                "grant_type": "authorization_code",
                "client_id": self.app.client_id,
                "code": self.answer["code"],
                "redirect_uri": self.redirect_uri,
                "code_verifier": self.verifier,
            },
            timeout=PATIENCE,
        )
        body = reply.json()
        if reply.status_code != 200:
            raise LoginStuck(f"the code was not accepted: {body.get('error_description', body.get('error'))}")
        return Tokens(body["access_token"], body.get("refresh_token"), body.get("id_token"), body["expires_in"])


def totp(secret: str, at: float | None = None, *, digits: int = 6, period: int = 30, algorithm: str = "sha1") -> str:
    """The code of an authenticator app (RFC 6238) for Keycloak's raw secret at `at` (seconds since 1970)."""
    counter = int((time.time() if at is None else at) // period)
    mac = hmac.new(secret.encode(), counter.to_bytes(8, "big"), algorithm).digest()
    offset = mac[-1] & 0x0F
    number = int.from_bytes(mac[offset : offset + 4], "big") & 0x7FFFFFFF
    return str(number % 10**digits).zfill(digits)
