"""An OpenID provider of ours that says what a test tells it to, honest or not; Keycloak meets it over real HTTP.

It asks nobody for a password: who reaches its authorization endpoint is who the test says. Everything
that a provider could do wrong is one of its fields. One server plays several issuers, by path.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import joserfc.jws  # noqa: F401 - registers the algorithms
from joserfc.jwk import RSAKey
from joserfc.jws import JWSRegistry

CLIENT = "tradepulse"
Claims = dict[str, Any]


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def new_key() -> RSAKey:
    return RSAKey.generate_key(2048, {"kid": secrets.token_hex(8), "use": "sig", "alg": "RS256"})


def signed(claims: Claims, key: RSAKey, **header: Any) -> str:
    """The claims as a token, truly signed with the key, whatever the header says beside it."""
    head = json.dumps({"alg": "RS256", "typ": "JWT", "kid": key.kid, **header}).encode()
    text = f"{b64(head)}.{b64(json.dumps(claims).encode())}"
    return f"{text}.{b64(JWSRegistry.algorithms['RS256'].sign(text.encode(), key))}"


def unsigned(claims: Claims, key: RSAKey) -> str:
    """The claims with the algorithm `none` (RFC 7519, section 6)."""
    head = json.dumps({"alg": "none", "typ": "JWT", "kid": key.kid}).encode()
    return f"{b64(head)}.{b64(json.dumps(claims).encode())}."


@dataclass
class Issuer:
    """One issuer of the server, and what it says of whoever comes next."""

    url: str
    secret: str = field(repr=False)
    key: RSAKey = field(default_factory=new_key, repr=False)
    claims: Claims = field(default_factory=dict)
    """The claims of the next ID token beyond those of the protocol; one of those is replaced, None removes it."""
    profile: Claims | None = None
    """What user info says, if it is something else."""
    sign: Callable[[Claims, RSAKey], str] = signed
    down: bool = False
    published: list[RSAKey] = field(default_factory=list)
    """The keys that the key set has beside the one that signs."""
    asked: list[dict[str, str]] = field(default_factory=list)
    """The authorization requests so far."""
    key_requests: int = 0

    def person(self, email: str, subject: str | None = None, **claims: Any) -> None:
        """Say from now on that the person is this one."""
        self.claims = {"sub": subject or f"at-{email}", "email": email, "email_verified": True} | claims
        self.profile, self.sign = None, signed


class UpstreamServer:
    """The server. Use as a context manager; `issuers` are by the first part of their path."""

    def __init__(self, *names: str) -> None:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                server.answer(self, {})

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                server.answer(self, dict(urllib.parse.parse_qsl(body)))

            def log_message(self, *_arguments: object) -> None:
                """Nothing: the line would hold the code."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._http.serve_forever, daemon=True)
        root = f"http://localhost:{self._http.server_address[1]}"
        self.issuers = {name: Issuer(f"{root}/{name}", secrets.token_urlsafe(16)) for name in names}
        self._codes: dict[str, dict[str, str]] = {}
        self._people: dict[str, Claims] = {}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    def answer(self, request: BaseHTTPRequestHandler, form: dict[str, str]) -> None:
        parts = urllib.parse.urlsplit(request.path)
        name, _, place = parts.path.lstrip("/").partition("/")
        issuer = self.issuers[name]
        if issuer.down:
            _reply(request, 503, {"error": "temporarily_unavailable"})
            return
        match place:
            case ".well-known/openid-configuration":
                _reply(request, 200, _discovery(issuer.url))
            case "keys":
                issuer.key_requests += 1
                listed = [key.as_dict(private=False) for key in (issuer.key, *issuer.published)]
                _reply(request, 200, {"keys": listed})
            case "authorize":
                query = dict(urllib.parse.parse_qsl(parts.query))
                issuer.asked.append(query)
                code = secrets.token_urlsafe(16)
                self._codes[code] = query
                answer = urllib.parse.urlencode({"code": code, "state": query["state"]})
                request.send_response(302)
                request.send_header("Location", f"{query['redirect_uri']}?{answer}")
                request.send_header("Content-Length", "0")
                request.end_headers()
            case "token":
                self._token(request, issuer, form)
            case "userinfo":
                bearer = (request.headers.get("Authorization") or "").removeprefix("Bearer ")
                _reply(request, 200, self._people[bearer])
            case _:
                _reply(request, 404, {})

    def _token(self, request: BaseHTTPRequestHandler, issuer: Issuer, form: dict[str, str]) -> None:
        begun = self._codes.pop(form.get("code", ""), None)
        challenge = b64(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        if begun is None or form.get("client_secret") != issuer.secret or begun["code_challenge"] != challenge:
            _reply(request, 400, {"error": "invalid_grant"})
            return
        now = int(time.time())
        base = {"iss": issuer.url, "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": begun.get("nonce")}
        claims = {name: value for name, value in {**base, **issuer.claims}.items() if value is not None}
        access = secrets.token_urlsafe(16)
        known = {name: claims[name] for name in ("sub", "email", "email_verified", "groups") if name in claims}
        self._people[access] = known if issuer.profile is None else issuer.profile
        token = issuer.sign(claims, issuer.key)
        _reply(request, 200, {"access_token": access, "token_type": "Bearer", "expires_in": 300, "id_token": token})


def _discovery(url: str) -> Claims:
    return {
        "issuer": url,
        "authorization_endpoint": f"{url}/authorize",
        "token_endpoint": f"{url}/token",
        "jwks_uri": f"{url}/keys",
        "userinfo_endpoint": f"{url}/userinfo",
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
    }


def _reply(request: BaseHTTPRequestHandler, status: int, body: Claims) -> None:
    text = json.dumps(body).encode()
    request.send_response(status)
    request.send_header("Content-Type", "application/json")
    request.send_header("Content-Length", str(len(text)))
    request.end_headers()
    request.wfile.write(text)
