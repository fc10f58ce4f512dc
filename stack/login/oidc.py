"""The client's side of a login: authorization code with PKCE and a loopback redirect (RFC 7636, RFC 8252)."""

from __future__ import annotations

import base64
import hashlib
import secrets
import threading
import urllib.parse
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

import httpx
import orjson

from identity.trust import authorities
from stack.login.factor import Factor

_PATH = "/callback"
_TOKEN_TIMEOUT = 20.0


class LoginFailed(Exception):
    """A login did not get through; the text names the page where it stopped, and never a secret."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """What the token endpoint answered; `expires_in` is in seconds. `repr` shows no token."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    id_token: str = field(repr=False)
    expires_in: int

    def claims(self) -> dict[str, Any]:
        """The claims of the access token, unverified: for tests and for printing."""
        body = self.access_token.split(".")[1]
        claims: dict[str, Any] = orjson.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        return claims


@dataclass(frozen=True, slots=True)
class FirstLogin:
    """A first login: the temporary password is replaced and a factor registered."""

    username: str
    temporary_password: str = field(repr=False)
    new_password: str = field(repr=False)
    factor: Factor = Factor.SECURITY_KEY
    acr: str | None = None
    recovery_codes: bool = False
    """Whether to ask for recovery codes with the factor."""

    @property
    def login(self) -> Login:
        """The same as a login that may be asked to set things up."""
        return Login(
            self.username,
            self.temporary_password,
            acr=self.acr,
            factor=self.factor,
            recovery_codes=self.recovery_codes,
            new_password=self.new_password,
        )


@dataclass(frozen=True, slots=True)
class Login:
    """A later login, single sign-on or step-up.

    `acr` is asked for, and insisted on if `essential`; `max_age` is in seconds. With `scope` more can be asked for.
    """

    username: str
    password: str = field(repr=False)
    acr: str | None = None
    essential: bool = False
    max_age: int | None = None
    scope: str = "openid"
    provider: str | None = None
    """The alias of an identity provider to go to at once (`kc_idp_hint`)."""
    action: str | None = None
    """A required action to go through after the login (`kc_action`), e.g. to register another key."""
    claims: str = ""
    """What the stack's own provider, which takes anybody's word, is told to sign: JSON, or nothing."""
    recovery_code: bool = False
    """Whether to answer with a recovery code where a factor is asked for."""
    emergency_code: bool = False
    """Whether to answer with the two halves of an emergency code where a factor is asked for."""
    factor: Factor = Factor.SECURITY_KEY
    """What to register where a factor has to be chosen; without a browser that is the authenticator app."""
    recovery_codes: bool = False
    """Whether to ask for recovery codes with that factor."""
    new_password: str | None = field(default=None, repr=False)
    """What to set where a new password is asked for."""
    forgotten: bool = False
    """Whether to say that the password is forgotten, in a browser that holds a passkey."""


class Redirect:
    """The loopback end of a login: listens on 127.0.0.1 and keeps the one answer that comes with its state."""

    def __init__(self) -> None:
        self.state = secrets.token_urlsafe(24)
        self.answer: dict[str, str] | None = None
        self.arrived = threading.Event()
        redirect = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                redirect.take(self.path)
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; charset=utf-8")
                self.send_header("Cache-Control", "no-store")
                self.end_headers()
                self.wfile.write(b"Logged in. You can close this page.\n")

            def log_message(self, *_arguments: object) -> None:
                """Nothing: the line would hold the code."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def uri(self) -> str:
        """The redirect URI with the port of this login."""
        return f"http://127.0.0.1:{self._server.server_address[1]}{_PATH}"

    def take(self, target: str) -> bool:
        """Keep the answer in a URL or path, if it is one of this login."""
        parsed = urllib.parse.urlsplit(target)
        answer = dict(urllib.parse.parse_qsl(parsed.query))
        if parsed.path != _PATH or not secrets.compare_digest(answer.get("state", ""), self.state):
            return False
        self.answer = answer
        self.arrived.set()
        return True

    def __enter__(self) -> Redirect:
        self._thread.start()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


class AuthorizationRequest:
    """One login of one public client: its URL, and the exchange of the code that comes back."""

    def __init__(self, issuer: str, client_id: str, redirect: Redirect, login: Login) -> None:
        self._base = f"{issuer}/protocol/openid-connect"
        self._client_id = client_id
        self._redirect = redirect
        self._login = login
        self._verifier = secrets.token_urlsafe(48)

    @property
    def url(self) -> str:
        """Where the browser starts."""
        challenge = base64.urlsafe_b64encode(hashlib.sha256(self._verifier.encode()).digest()).rstrip(b"=").decode()
        query: dict[str, str | int] = {
            "client_id": self._client_id,
            "redirect_uri": self._redirect.uri,
            "response_type": "code",
            "scope": self._login.scope,
            "state": self._redirect.state,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        if self._login.acr is not None and self._login.essential:
            # Only an essential claim makes Keycloak refuse a login that stays below the level.
            wanted = {"id_token": {"acr": {"essential": True, "values": [self._login.acr]}}}
            query["claims"] = orjson.dumps(wanted).decode()
        elif self._login.acr is not None:
            query["acr_values"] = self._login.acr
        if self._login.max_age is not None:
            query["max_age"] = self._login.max_age
        if self._login.provider is not None:
            query["kc_idp_hint"] = self._login.provider
        if self._login.action is not None:
            query["kc_action"] = self._login.action
        return f"{self._base}/auth?{urllib.parse.urlencode(query)}"

    def tokens(self, answer: dict[str, str]) -> Tokens:
        """Exchange the code of an answer. Raises LoginFailed."""
        if "code" not in answer:
            raise LoginFailed(f"the login was refused: {answer.get('error')} ({answer.get('error_description', '')})")
        form = {
            "grant_type": "authorization_code",
            "client_id": self._client_id,
            "code": answer["code"],
            "redirect_uri": self._redirect.uri,
            "code_verifier": self._verifier,
        }
        response = httpx.post(
            f"{self._base}/token", data=form, timeout=_TOKEN_TIMEOUT, trust_env=False, verify=authorities()
        )
        if response.status_code != 200:
            error = response.json() if response.headers.get("content-type", "").startswith("application/json") else {}
            reason = f"{error.get('error')} {error.get('error_description', '')}".strip()
            raise LoginFailed(f"the code was not exchanged: {response.status_code} {reason}")
        body = response.json()
        return Tokens(body["access_token"], body["refresh_token"], body["id_token"], body["expires_in"])
