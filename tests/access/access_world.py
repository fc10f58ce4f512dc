"""What surrounds the access service in its tests: real PostgreSQL, real OPA with the real rules, a configuration.

The realm is a loopback server with a key set, whose key the tests sign tokens with; with Keycloak itself the service
is tested in test_requests_on_the_stack.py.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import asyncpg
import httpx
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc import jwt
from joserfc.jwk import RSAKey

from admin_sync.access.api.app import create_app
from admin_sync.access.service import Access, open_access
from admin_sync.access.settings import AccessSettings
from admin_sync.bundle.build import build_bundle
from admin_sync.bundle.keys import ALGORITHM, KEY_ID, SCOPE, create_key
from admin_sync.load.document import load
from admin_sync.policy import policy_source

CHECKOUT = Path(__file__).resolve().parents[2]
ENVIRON = {"TRADEPULSE_ENVIRONMENT": "dev"}
COMPANY = "tradepulse.example"

ROSTER = """email,name,manager,department,active,start,end,aliases
chief@tradepulse.example,Chief,,management,true,2019-01-07,,
manager.one@tradepulse.example,Manager One,chief@tradepulse.example,trading,true,2020-03-02,,
manager.two@tradepulse.example,Manager Two,chief@tradepulse.example,security,true,2020-09-01,,
quant.one@tradepulse.example,Quant,manager.one@tradepulse.example,research,true,2021-06-01,,quant@partner.example
trader.one@tradepulse.example,Trader,manager.one@tradepulse.example,trading,true,2021-09-13,,
mlops.one@tradepulse.example,Models,manager.one@tradepulse.example,models,true,2022-02-07,,
platform.one@tradepulse.example,Platform,manager.one@tradepulse.example,platform,true,2022-05-02,,
newcomer@tradepulse.example,Newcomer,manager.one@tradepulse.example,platform,true,2026-05-02,,new.account@tradepulse.example
security.one@tradepulse.example,Security One,manager.two@tradepulse.example,security,true,2020-11-16,,sec1@idp.example
security.two@tradepulse.example,Security Two,manager.two@tradepulse.example,security,true,2023-01-09,,
owner.one@tradepulse.example,Owner,chief@tradepulse.example,platform,true,2019-10-01,,
gone.owner@tradepulse.example,Gone,chief@tradepulse.example,platform,false,2019-10-01,2026-01-31,
"""


def at(name: str) -> str:
    """Somebody's address."""
    return f"{name}@{COMPANY}"


class Realm:
    """An issuer of tokens: a key set on loopback."""

    def __init__(self) -> None:
        self.key = RSAKey.generate_key(2048, {"kid": "realm-1", "use": "sig", "alg": "RS256"})
        keys = json.dumps({"keys": [self.key.as_dict(private=False)]}).encode()

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: Any) -> None: ...

            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(keys)))
                self.end_headers()
                self.wfile.write(keys)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        self.issuer = f"http://127.0.0.1:{self._server.server_port}/realms/tradepulse-dev"

    def token(self, email: str | None, **changes: Any) -> str:
        """A token of somebody who proved a second factor ten seconds ago."""
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": "tradepulse-internal",
            "sub": str(uuid.uuid5(uuid.NAMESPACE_URL, email or "nobody")),
            "email": email,
            "groups": [],
            "assurance_level": "aal3",
            "acr": "aal3",
            "amr": ["pwd", "hwk"],
            "auth_time": now - 10,
            "azp": "tradepulse-cli",
            "sid": "session-1",
            "typ": "Bearer",
            "iat": now - 5,
            "exp": now + 300,
            "jti": str(uuid.uuid4()),
            **changes,
        }
        told = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode({"alg": "RS256", "kid": "realm-1", "typ": "JWT"}, told, self.key)

    def end(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=10)


@contextmanager
def policy_server(binary: Path, home: Path) -> Iterator[str]:
    """OPA with the bundle of the checkout's own configuration."""
    create_key(home / "key.pem", home / "key.pub.pem")
    source = policy_source(load(CHECKOUT / "configs" / "iam", ENVIRON))
    bundle = build_bundle(source, policy_dir=CHECKOUT / "policy", key=home / "key.pem", opa=binary)
    (home / "bundle.tar.gz").write_bytes(bundle.content)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    with (home / "opa.log").open("wb") as output:
        process = subprocess.Popen(
            [
                binary, "run", "--server", "--addr", address, "--disable-telemetry", "--log-level", "error",
                "--set", "decision_logs.console=true", "--set", "decision_logs.console=true",
                "--bundle", home / "bundle.tar.gz", "--verification-key", home / "key.pub.pem",
                "--verification-key-id", KEY_ID, "--signing-alg", ALGORITHM, "--scope", SCOPE,
            ],
            stdout=output, stderr=output,
        )  # fmt: skip
    try:
        until = time.monotonic() + 30
        while True:
            assert process.poll() is None, (home / "opa.log").read_text()
            try:
                if httpx.get(f"http://{address}/health?bundles", trust_env=False).status_code == 200:
                    break
            except httpx.TransportError:
                pass
            assert time.monotonic() < until
            time.sleep(0.05)
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait(timeout=20)


@dataclass
class World:
    """The service, served in this process, and everything around it."""

    access: Access
    http: httpx.AsyncClient
    realm: Realm
    config: Path
    roster: Path
    audit: Path
    owner_dsn: str
    app_dsn: str
    reconciler_settings: Mapping[str, str]
    tokens: dict[str, str] = field(default_factory=dict)

    def auth(self, who: str, **changes: Any) -> dict[str, str]:
        """The header of somebody, by name or address."""
        email = who if "@" in who else at(who)
        if who.startswith("security") and "groups" not in changes:
            changes["groups"] = ["viewer", "admin"]
        return {"Authorization": f"Bearer {self.realm.token(email, **changes)}"}

    async def ask(self, who: str, *, expect: int = 201, headers: Mapping[str, str] | None = None, **body: Any) -> Any:
        """Makes a request and gives the answer's JSON."""
        told = wish(**body)
        reply = await self.http.post("/access/v1/requests", json=told, headers=headers or self.auth(who))
        assert reply.status_code == expect, reply.text
        return reply.json()

    async def approve(
        self, who: str, request: Mapping[str, Any], *, headers: Mapping[str, str] | None = None, **more: Any
    ) -> httpx.Response:
        body = {"hash": request["hash"], **more}
        path = f"/access/v1/requests/{request['id']}/approvals"
        return await self.http.post(path, json=body, headers=headers or self.auth(who))

    async def read(self, who: str, request: Mapping[str, Any]) -> httpx.Response:
        return await self.http.get(f"/access/v1/requests/{request['id']}", headers=self.auth(who))

    async def sql(self, statement: str, *values: Any, dsn: str | None = None) -> Any:
        connection = await asyncpg.connect(dsn or self.owner_dsn)
        try:
            return await connection.fetch(statement, *values)
        finally:
            await connection.close()


def wish(**changes: Any) -> dict[str, Any]:
    """The body of a request for viewer in dev, for four hours."""
    body: dict[str, Any] = {
        "kind": "grant",
        "payload": {"role": "viewer"},
        "environments": ["dev"],
        "justification": "Needed for the release of this week.",
        "expires": in_hours(4),
        **changes,
    }
    return {name: value for name, value in body.items() if value is not None}


def in_hours(hours: float) -> str:
    return (datetime.now(UTC) + timedelta(hours=hours)).isoformat()


@asynccontextmanager
async def open_world(postgres: Any, opa: str, realm: Realm, home: Path, database: str) -> AsyncIterator[World]:
    """A service of this test's own, on a migrated database that nothing else uses."""
    config, roster, audit = home / "iam", home / "roster.csv", home / "audit"
    shutil.copytree(CHECKOUT / "configs" / "iam", config)
    roster.write_text(ROSTER)
    audit.mkdir()
    password = home / "password"
    password.write_text(postgres.passwords["access_app"])
    password.chmod(0o600)
    reconciler = home / "reconciler-password"
    reconciler.write_text(postgres.passwords["access_reconciler"])
    reconciler.chmod(0o600)
    approval = home / "approval.pem"
    made = ed25519.Ed25519PrivateKey.generate()
    approval.write_bytes(made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    approval.chmod(0o600)
    place = f"{postgres.host}:{postgres.port}/{database}"
    settings = AccessSettings.model_validate(
        {
            "TRADEPULSE_ENVIRONMENT": "dev",
            "TRADEPULSE_ISSUER": realm.issuer,
            "TRADEPULSE_OAUTH2_AUDIENCE": "tradepulse-internal",
            "TRADEPULSE_CLIENTS": "tradepulse-cli",
            "TRADEPULSE_OPA_URL": opa,
            "TRADEPULSE_AUDIT_DIR": audit,
            "ACCESS_DATABASE_URL": f"postgresql://access_app@{place}",
            "ACCESS_DATABASE_PASSWORD_FILE": password,
            "ADMIN_SYNC_CONFIG": config,
            "ACCESS_ROSTER_FILE": roster,
            "ACCESS_APPROVAL_KEY_FILE": approval,
        }
    )
    async with open_access(settings) as access:
        transport = httpx.ASGITransport(app=create_app(access))
        async with httpx.AsyncClient(transport=transport, base_url="http://access") as http:
            yield World(
                access=access,
                http=http,
                realm=realm,
                config=config,
                roster=roster,
                audit=audit,
                owner_dsn=postgres.dsn("access_owner", database),
                app_dsn=postgres.dsn("access_app", database),
                reconciler_settings={
                    "ACCESS_DATABASE_URL": f"postgresql://access_reconciler@{place}",
                    "ACCESS_DATABASE_PASSWORD_FILE": str(reconciler),
                },
            )
