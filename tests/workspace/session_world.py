"""The workspace in this process, on a real PostgreSQL and beside a realm whose answers a test writes."""

from __future__ import annotations

import asyncio
import base64
import threading
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from identity.login.tokens import Tokens
from identity.secret import Secret
from tests.identity.loopback_server import Answer, LoopbackServer, Seen, answer_json
from tests.identity.token_forge import AUDIENCE, EC, key_set, sign
from tests.session_broker.door_world import environment
from workspace.app import create_app
from workspace.service import Workspace, open_workspace
from workspace.session import cookie
from workspace.settings import WorkspaceSettings

REALM = "/realms/tradepulse-dev"
ORIGIN = "http://localhost:8400"


@dataclass
class Place:
    """A realm that lets each refresh token be used once, and ends the session of one that comes twice."""

    folder: Path
    database: str
    password: str = field(repr=False)
    asked: list[dict[str, str]] = field(default_factory=list)
    """Forms that the token endpoint got, in order."""
    ended: list[str] = field(default_factory=list)
    """Refresh tokens whose session was to end."""
    away: Answer | None = None
    """What the realm answers to everything but its keys, if anything."""
    arrived: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    held: threading.Event | None = None
    """Holds every answer of the token endpoint back until it is set."""
    dead: set[str] = field(default_factory=set)
    """Sessions that are over in the realm."""

    def __post_init__(self) -> None:
        self.server = LoopbackServer(self._answer)
        self.issuer = f"{self.server.url}{REALM}"
        self._good: dict[str, int] = {}
        self._lock = threading.Lock()
        for name, text in (("key.pem", _pem()), ("password", self.password.encode())):
            path = self.folder / name
            path.touch(mode=0o600)
            path.write_bytes(text)
        self.settings = {
            "TRADEPULSE_ENVIRONMENT": "dev",
            "TRADEPULSE_ISSUER": self.issuer,
            "TRADEPULSE_OAUTH2_AUDIENCE": AUDIENCE,
            "TRADEPULSE_CLIENTS": "tradepulse",
            "TRADEPULSE_AUDIT_DIR": str(self.folder / "audit"),
            "TRADEPULSE_NODE": "node-1",
            "WORKSPACE_URL": ORIGIN,
            "WORKSPACE_CLIENT_KEY_FILE": str(self.folder / "key.pem"),
            "WORKSPACE_VAULT_URL": self.server.url,
            "WORKSPACE_ACCESS_URL": self.server.url,
            "WORKSPACE_DATABASE_URL": self.database,
            "WORKSPACE_DATABASE_PASSWORD_FILE": str(self.folder / "password"),
        }

    def token(self, *, seconds: int = 290, **changes: Any) -> str:
        """An access token of the realm for the workspace's client."""
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": AUDIENCE,
            "sub": "person-1",
            "email": "ada@tradepulse.example",
            "groups": ["viewer"],
            "assurance_level": "aal2",
            "acr": "aal2",
            "amr": ["pwd", "hwk"],
            "auth_time": now - 60,
            "azp": "tradepulse",
            "sid": "session-1",
            "typ": "Bearer",
            "iat": now - 10,
            "exp": now + seconds,
            "jti": str(uuid.uuid4()),
        }
        return sign({**claims, **changes}, key=EC, algorithm="ES256")

    def logout_token(self, *, without: tuple[str, ...] = (), **changes: Any) -> str:
        """A logout token of the realm for the workspace's client."""
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": "tradepulse",
            "sid": "session-1",
            "sub": "person-1",
            "iat": now,
            "exp": now + 60,
            "jti": str(uuid.uuid4()),
            "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
        }
        header = {"alg": "ES256", "typ": "logout+jwt", "kid": EC.kid}
        claims = {name: value for name, value in {**claims, **changes}.items() if name not in without}
        return sign(claims, key=EC, algorithm="ES256", header=header)

    def tokens(self, *, left: float = 290.0, **changes: Any) -> Tokens:
        """What a login gave; the workspace takes its access token for good for `left` seconds."""
        token = self.token(**changes)
        return Tokens(
            Secret(token),
            Secret(f"{changes.get('sid', 'session-1')}.0"),
            time.time() + left,
            changes.get("sub", "person-1"),
        )

    async def until_asked(self, times: int = 1) -> None:
        """Until the token endpoint got so many requests more."""
        for _ in range(times):
            assert await asyncio.to_thread(self.arrived.acquire, timeout=20)

    @asynccontextmanager
    async def workspaces(self, count: int = 1, **settings: str) -> AsyncIterator[list[Window]]:
        """Processes of one workspace."""
        given = {**self.settings, **{f"WORKSPACE_{name.upper()}": value for name, value in settings.items()}}
        async with AsyncExitStack() as stack:
            with environment(given):
                read = WorkspaceSettings()
            yield [await stack.enter_async_context(_window(read)) for _ in range(count)]

    def _answer(self, request: Seen) -> Answer:
        if request.path.startswith("/access/"):
            # The access service has nothing to ask anybody here.
            return answer_json({}, 404)
        if request.path.endswith("/certs"):
            return answer_json(key_set(EC))
        if self.away is not None:
            return self.away
        form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        if request.path.endswith("/logout"):
            self.ended.append(form["refresh_token"])
            return Answer(204, b"")
        self.asked.append(form)
        self.arrived.release()
        session, _, number = form["refresh_token"].partition(".")
        with self._lock:
            if session in self.dead or int(number) != self._good.get(session, 0):
                self.dead.add(session)
                return answer_json({"error": "invalid_grant"}, 400)
            self._good[session] = int(number) + 1
        new = {
            "access_token": self.token(sid=session),
            "refresh_token": f"{session}.{self._good[session]}",
            "expires_in": 290,
            "token_type": "Bearer",
        }
        return answer_json(new, wait=self.held)


@dataclass(frozen=True)
class Window:
    """A browser of one process of the workspace."""

    http: httpx.AsyncClient
    workspace: Workspace

    async def opened(self, tokens: Tokens) -> bytes:
        """A session with these tokens; the secret of its cookie."""
        return await self.workspace.sessions.open(tokens)

    def cookie(self, secret: bytes) -> dict[str, str]:
        """The header that the browser of a session sends."""
        return _cookie(secret)

    async def home(self, secret: bytes) -> httpx.Response:
        """The first page, as whoever has this secret."""
        return await self.http.get("/", headers=_cookie(secret))

    async def presence(self, secret: bytes, *, used: bool) -> httpx.Response:
        """What a page that is open says by itself."""
        said = {} if used else {"Unattended": "true"}
        return await self.http.post("/session/presence", headers={**_cookie(secret), "Origin": ORIGIN, **said})

    async def logout(self, secret: bytes) -> httpx.Response:
        """The button."""
        return await self.http.post("/auth/logout", headers={**_cookie(secret), "Origin": ORIGIN})

    async def told(self, token: str) -> httpx.Response:
        """A logout token arrives."""
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return await self.http.post(
            "/auth/backchannel-logout", content=f"logout_token={token}".encode(), headers=headers
        )


@asynccontextmanager
async def _window(settings: WorkspaceSettings) -> AsyncIterator[Window]:
    async with open_workspace(settings) as workspace:
        transport = httpx.ASGITransport(create_app(workspace))
        async with httpx.AsyncClient(transport=transport, base_url=ORIGIN) as http:
            yield Window(http, workspace)


def _cookie(secret: bytes) -> dict[str, str]:
    return {"Cookie": f"{cookie.SESSION}={base64.urlsafe_b64encode(secret).rstrip(b'=').decode()}"}


def _pem() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def signed_in(response: httpx.Response) -> bool:
    """Whether an answer is a page for somebody, and not the way to the login."""
    if response.status_code == 303:
        assert response.headers["location"].startswith("/auth/login?")
        return False
    assert response.status_code == 200, response.text
    return "ada@tradepulse.example" in response.text
