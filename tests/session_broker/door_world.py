"""A session broker with everything real but its neighbours: a provider and a realm that a test tells what to answer.

Tokens are truly signed, requests go through HTTP to a server on loopback, audit lines to a file.
"""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode

import httpx
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from identity.audit.verify import verify_file
from session_broker.app import create_server
from session_broker.broker import Broker, open_broker
from session_broker.settings import BrokerSettings
from tests.identity.loopback_server import Answer, LoopbackServer, Seen, answer_json
from tests.identity.token_forge import EC, OTHER_RSA, RSA, key_set, sign

AUDIENCE = "tradepulse-internal"
REALM = "/realms/tradepulse-dev"
TOKEN = f"{REALM}/protocol/openid-connect/token"

ACCESS = """
[providers.workforce]
issuer = "${PLACE}/workforce"
jwks_url = "${PLACE}/workforce/jwks"
audiences = ["tradepulse"]
accepts = ["id_token"]

[providers.machines]
issuer = "${PLACE}/machines"
jwks_url = "${PLACE}/machines/jwks"
audiences = ["api://tradepulse"]
accepts = ["access_token"]
clients = ["batch"]

[services.vault]
audience = "tradepulse-internal"
providers = ["workforce", "machines"]
internal = true

[services.reports]
audience = "reports"
providers = ["workforce"]
direct = true

[services.closed]
audience = "tradepulse-internal"
internal = true

[services.strict]
audience = "tradepulse-internal"
providers = ["workforce"]
assurance = "aal2"
"""


@dataclass
class World:
    """The neighbours of a broker."""

    folder: Path
    forms: list[dict[str, str]] = field(default_factory=list)
    """What the token endpoint was asked, in order."""
    refuse: Answer | None = None
    """What the token endpoint answers to everything, if anything."""
    internal: dict[str, Any] = field(default_factory=dict)
    """Claims of exchanged tokens that differ from the usual ones."""
    keys_away: bool = False
    told: list[dict[str, Any]] = field(default_factory=list)
    """What the vault was asked to end."""
    vault: list[int] = field(default_factory=list)
    """The vault's next answers; 200 when there are no more."""
    relayed: list[str] = field(default_factory=list)
    """Logout tokens that an application was sent."""
    application: list[int] = field(default_factory=list)
    """Its next answers; 200 when there are no more."""

    def __post_init__(self) -> None:
        self.server = LoopbackServer(self._answer)
        self.place = self.server.url
        self.issuer = f"{self.place}{REALM}"
        access = self.folder / "access.toml"
        access.write_text(ACCESS)
        key = self.folder / "client.pem"
        pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        key.touch(mode=0o600)
        key.write_bytes(pem)
        self.environment = {
            "TRADEPULSE_ENVIRONMENT": "dev",
            "TRADEPULSE_ISSUER": self.issuer,
            "TRADEPULSE_OAUTH2_AUDIENCE": AUDIENCE,
            "TRADEPULSE_CLIENTS": "tradepulse-cli",
            "TRADEPULSE_AUDIT_DIR": str(self.folder / "audit"),
            "TRADEPULSE_NODE": "node-1",
            "SESSION_BROKER_ACCESS_FILE": str(access),
            "SESSION_BROKER_STATE_DIR": str(self.folder / "state"),
            "SESSION_BROKER_CLIENT_KEY_FILE": str(key),
            "SESSION_BROKER_LOGOUT_CLIENTS": "tradepulse-cli",
            "SESSION_BROKER_REFUSAL_SECONDS": "0",
        }

    def external(self, *, key: Any = RSA, header: dict[str, Any] | None = None, **changes: Any) -> str:
        """An ID token of the workforce provider."""
        now = int(time.time())
        claims = {
            "iss": f"{self.place}/workforce",
            "aud": "tradepulse",
            "sub": "ada@tradepulse.example",
            "sid": "upstream-1",
            "nonce": "n",
            "iat": now - 5,
            "exp": now + 250,
            "jti": str(uuid.uuid4()),
        }
        return sign(_changed(claims, changes), key=key, header=header)

    def machine(self, **changes: Any) -> str:
        """An access token of the provider that issues those."""
        now = int(time.time())
        claims = {
            "iss": f"{self.place}/machines",
            "aud": ["api://tradepulse"],
            "sub": "batch-7",
            "azp": "batch",
            "scope": "trade",
            "iat": now - 5,
            "exp": now + 250,
        }
        return sign(_changed(claims, changes), header={"alg": "RS256", "typ": "at+jwt", "kid": RSA.kid})

    def own(self, **changes: Any) -> str:
        """An access token of our realm."""
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": AUDIENCE,
            "sub": "person-1",
            "email": "ada@tradepulse.example",
            "groups": ["viewer"],
            "assurance_level": "aal2",
            "acr": "aal2",
            "amr": ["pwd", "otp"],
            "auth_time": now - 60,
            "azp": "tradepulse-cli",
            "sid": "session-1",
            "typ": "Bearer",
            "iat": now - 10,
            "exp": now + 290,
            "jti": str(uuid.uuid4()),
        }
        return sign(_changed(claims, changes), key=EC, algorithm="ES256")

    def logout_token(self, *, key: Any = EC, algorithm: str = "ES256", **changes: Any) -> str:
        """A logout token of our realm."""
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": "tradepulse-cli",
            "sid": "session-1",
            "sub": "person-1",
            "iat": now,
            "exp": now + 60,
            "jti": str(uuid.uuid4()),
            "typ": "Logout",
            "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
        }
        header = {"alg": algorithm, "typ": "logout+jwt", "kid": key.kid}
        return sign(_changed(claims, changes), key=key, algorithm=algorithm, header=header)

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The audit lines so far, of a chain that verifies."""
        path = self.folder / "audit" / "api_events.jsonl"
        if not path.exists():
            return []
        assert verify_file(path).ok
        return [json.loads(line) for line in path.read_text().splitlines()]

    @asynccontextmanager
    async def broker(self, **settings: str) -> AsyncIterator[Caller]:
        """A broker that serves, and a caller of it. Settings are named as variables, without their prefix."""
        given = {**self.environment, **{f"SESSION_BROKER_{name.upper()}": value for name, value in settings.items()}}
        with environment({**given, "PLACE": self.place}):
            read = BrokerSettings()
            async with open_broker(read) as broker:
                transport = httpx.ASGITransport(create_server(broker), client=("127.0.0.1", 1))
                async with httpx.AsyncClient(transport=transport, base_url="http://broker") as http:
                    yield Caller(http, broker)

    def _answer(self, request: Seen) -> Answer:
        if request.path.endswith(("/jwks", "/certs")):
            if self.keys_away:
                return Answer(503)
            return answer_json(key_set(EC) if request.path.startswith(REALM) else key_set(RSA))
        if request.path == "/v1/leases/revocations":
            assert request.headers["Authorization"].startswith("Bearer ")
            self.told.append(json.loads(request.body))
            return Answer(self.vault.pop(0) if self.vault else 200)
        if request.path == "/auth/backchannel-logout":
            (token,) = parse_qs(request.body.decode())["logout_token"]
            self.relayed.append(token)
            return Answer(self.application.pop(0) if self.application else 200)
        assert request.path == TOKEN
        form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        self.forms.append(form)
        if self.refuse is not None:
            return self.refuse
        audience = form.get("audience", [AUDIENCE, "reports"])
        claims = {"azp": "session-broker", "aud": audience, "sid": None, "assurance_level": "aal1", "acr": "aal1"}
        token = self.own(**{**claims, "auth_time": None, "amr": [], **self.internal})
        return answer_json({"access_token": token, "expires_in": 250, "token_type": "Bearer"})


@dataclass(frozen=True)
class Caller:
    """Calls a broker as the proxy on the same host does."""

    http: httpx.AsyncClient
    broker: Broker

    async def authorize(self, token: str | None, service: str | None = "vault", **headers: str) -> httpx.Response:
        """`GET /authorize`, as nginx asks it."""
        sent = dict(headers)
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        if service is not None:
            sent["X-TradePulse-Service"] = service
        return await self.http.get("/authorize", headers=sent)

    async def token(self, **form: str) -> httpx.Response:
        """`POST /token`."""
        return await self._form("/token", form)

    async def logout(self, token: str) -> httpx.Response:
        """`POST /backchannel-logout`."""
        return await self._form("/backchannel-logout", {"logout_token": token})

    async def _form(self, path: str, form: dict[str, str]) -> httpx.Response:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return await self.http.post(path, content=urlencode(form), headers=headers)


def passed_on(response: httpx.Response) -> str:
    """The token that the proxy would hand to the service."""
    assert response.status_code == 204, response.text
    kind, token = response.headers["x-tradepulse-authorization"].split(" ")
    assert kind == "Bearer"
    return str(token)


def refusal(response: httpx.Response) -> int:
    """The status of an answer that gives the proxy nothing to hand on."""
    assert "x-tradepulse-authorization" not in response.headers
    assert response.headers["cache-control"] == "no-store"
    return response.status_code


@contextmanager
def environment(values: dict[str, str]) -> Iterator[None]:
    """Environment variables for the time of a block; everything of ours that was set before is away."""
    before = dict(os.environ)
    for name in before:
        if name.startswith(("TRADEPULSE_", "SESSION_BROKER_", "WORKFORCE_")):
            del os.environ[name]
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _changed(claims: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**claims, **changes}.items() if value is not None}


__all__ = ["AUDIENCE", "OTHER_RSA", "Caller", "World", "environment", "passed_on", "refusal"]
