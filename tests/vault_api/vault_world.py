"""What surrounds the vault in its tests: real PostgreSQL, real OPA with the real rules, and a small realm.

The realm is a loopback HTTP server that speaks the three things of Keycloak that the vault uses: the
key set, the token endpoint (it checks the signed assertion) and the organizations of the admin API.
Tests with Keycloak itself are in the integration suite.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import asyncpg
import httpx
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey
from member_book import MemberBook

from admin_sync.bundle.source import (
    Assurance,
    Client,
    Environment,
    Grant,
    Partner,
    PartnerRole,
    Permission,
    PolicySource,
    Role,
    Sensitive,
)
from identity.service_token import public_jwks

CHECKOUT = Path(__file__).resolve().parents[2]
PARTNERS = tuple(f"partner-{number:03d}" for number in range(800))
NAMED = 250
"""So many of them are named by tests themselves; the fixtures `partner` and `other_partner` give out the rest."""
TEMPLATE = "vault_template"
READER = "connection:read"
_MEMBERS = "/tradepulse-members/"

POLICY = PolicySource(
    permissions={
        "connection:read": Permission(partner_scoped=True),
        "connection:link": Permission(partner_scoped=True),
        "credential:release": Permission(partner_scoped=True),
        "connection:revoke": Permission(partner_scoped=True),
        "lease:revoke": Permission(),
        "audit:view": Permission(),
        "emergency:open": Permission(sensitive=True),
        "emergency:seal": Permission(),
        "secret:rotate": Permission(sensitive=True),
        "partner:simulate": Permission(sensitive=True),
        "partner:manage": Permission(sensitive=True),
        "member:manage": Permission(partner_scoped=True, sensitive=True),
    },
    roles={
        "super_admin": Role(
            permissions=frozenset(
                {
                    READER,
                    "lease:revoke",
                    "audit:view",
                    "secret:rotate",
                    "emergency:open",
                    "partner:simulate",
                    "partner:manage",
                }
            )
        ),
        "emergency-keeper": Role(permissions=frozenset({"emergency:seal"})),
    },
    partner_roles={
        "partner-trader": PartnerRole(permissions=frozenset({READER, "connection:link", "credential:release"})),
        "partner-admin": PartnerRole(
            permissions=frozenset(
                {READER, "connection:link", "credential:release", "connection:revoke", "member:manage"}
            )
        ),
        "partner-analyst": PartnerRole(permissions=frozenset({READER})),
    },
    partners={
        name: Partner(
            persona="live-trading",
            brokers=frozenset({"paper", "alpaca"}),
            roles=frozenset({"partner-trader", "partner-analyst", "partner-admin"}),
        )
        for name in PARTNERS
    },
    environments={"dev": Environment()},
    assurance=Assurance(interactive="aal2", sensitive=Sensitive(level="aal2", max_age=300)),
    grants=(Grant(email="root@example.test", environment="dev", role="super_admin"),),
    clients={
        "vault-api": Client(environments=frozenset({"dev"})),
        "emergency-keeper": Client(environments=frozenset({"dev"}), roles=frozenset({"emergency-keeper"})),
    },
)


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def private_file(path: Path, content: bytes | str) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    path.chmod(0o600)
    return path


class QuietServer(ThreadingHTTPServer):
    def handle_error(self, *_: Any) -> None:
        """A client that was killed in the middle of a request is what some tests are about."""


class Realm:
    """An issuer of tokens, and the keeper of the partners' salts."""

    def __init__(self) -> None:
        self.key = RSAKey.import_key(pem(rsa.generate_private_key(public_exponent=65537, key_size=2048)))
        self.client_pem = pem(ec.generate_private_key(ec.SECP256R1()))
        self.salts: dict[str, dict[str, list[str]]] = {}
        self.ids: dict[str, str] = {}
        self.service_token = secrets.token_urlsafe(24)
        self.rotator_pem = pem(ec.generate_private_key(ec.SECP256R1()))
        self.rotator_token = secrets.token_urlsafe(24)
        self.writes = 0
        self.lose_writes = 0
        """How many of the next changes somebody else's older copy takes away again."""
        self.away = False
        self.reads = 0
        self.book = MemberBook()
        realm = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None: ...

            def do_GET(self) -> None:
                if realm.away:
                    self.answer(503, {})
                    return
                address = urllib.parse.urlsplit(self.path)
                query = dict(urllib.parse.parse_qsl(address.query))
                if address.path.endswith("/protocol/openid-connect/certs"):
                    public = {**realm.key.as_dict(private=False), "kid": "test", "use": "sig", "alg": "RS256"}
                    self.answer(200, {"keys": [public]})
                elif self.headers["Authorization"] not in realm.service_bearers():
                    self.answer(401, {})
                elif address.path == "/admin/realms/tradepulse-dev/organizations":
                    first, most = int(query["first"]), int(query["max"])
                    known = sorted(realm.ids.items())[first : first + most]
                    self.answer(200, [{"id": number, "alias": alias, "name": alias} for alias, number in known])
                elif _MEMBERS in address.path:
                    self.answer(*realm.asked_about_members(self, b"{}"))
                else:
                    realm.reads += 1
                    number = address.path.rpartition("/")[2]
                    alias = next((alias for alias, known in realm.ids.items() if known == number), None)
                    if alias is None:
                        self.answer(404, {})
                    else:
                        self.answer(200, {"id": number, "alias": alias, "attributes": realm.salts[alias]})

            def do_DELETE(self) -> None:
                self.answer(*realm.asked_about_members(self, b"{}"))

            def do_POST(self) -> None:
                if _MEMBERS in self.path:
                    self.answer(*realm.asked_about_members(self, self.rfile.read(int(self.headers["Content-Length"]))))
                    return
                form = dict(urllib.parse.parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
                client = {realm.client_pem: "vault-api", realm.rotator_pem: "vault-rotator"}
                both = [key for one in client for key in public_jwks(one)["keys"]]
                keys = KeySet.import_key_set({"keys": both})
                claims = jwt.decode(form["client_assertion"], keys, algorithms=["ES256"]).claims
                if realm.away or claims["aud"] != realm.issuer or claims["sub"] not in client.values():
                    self.answer(503, {"error": "unavailable"})
                else:
                    token = realm.service_token if claims["sub"] == "vault-api" else realm.rotator_token
                    self.answer(200, {"access_token": token, "expires_in": 300, "token_type": "Bearer"})

            def do_PUT(self) -> None:
                if _MEMBERS in self.path:
                    self.answer(*realm.asked_about_members(self, self.rfile.read(int(self.headers["Content-Length"]))))
                    return
                document = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if realm.away:
                    self.answer(503, {})
                elif self.headers["Authorization"] != f"Bearer {realm.rotator_token}":
                    self.answer(403, {})
                else:
                    realm.writes += 1
                    if realm.lose_writes:
                        realm.lose_writes -= 1
                    else:
                        realm.salts[document["alias"]] = document["attributes"]
                    self.answer(204, None)

            def answer(self, status: int, document: Any) -> None:
                body = b"" if document is None else json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self._server = QuietServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.issuer = f"{self.url}/realms/tradepulse-dev"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        for name in PARTNERS:
            self.ids[name] = secrets.token_hex(16)
            self.salts[name] = {}
            self.new_salt(name, 1)

    def asked_about_members(self, request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, Any]:
        """What the extension for members answers to the vault, and to nobody else."""
        if self.away:
            return 503, {}
        if request.headers["Authorization"] != f"Bearer {self.service_token}":
            return 403, {}
        address = urllib.parse.urlsplit(request.path)
        path = [urllib.parse.unquote(part) for part in address.path.partition(_MEMBERS)[2].split("/")]
        if path[0] not in {*self.ids, "-"}:
            return 404, {"error": "unknown_partner"}
        query = dict(urllib.parse.parse_qsl(address.query))
        return self.book.answer(request.command, path, query, json.loads(body))

    def service_bearers(self) -> tuple[str, str]:
        return f"Bearer {self.service_token}", f"Bearer {self.rotator_token}"

    def new_salt(self, partner: str, version: int) -> None:
        # As admin-sync writes them.
        salt = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode().rstrip("=")
        self.salts[partner][f"vault.salt.{version}"] = [salt]
        self.salts[partner]["vault.salt.current"] = [str(version)]

    def token(self, partner: str | None, *, role: str = "partner-trader", **claims: Any) -> str:
        """A person's token; `partner` is whom they belong to."""
        now = int(time.time())
        organization = {} if partner is None else {partner: {"id": self.ids[partner], "groups": [f"/{role}"]}}
        document = {
            "iss": self.issuer, "aud": "tradepulse-internal", "sub": f"sub-{partner}",
            "email": f"{partner}@example.test", "groups": [], "assurance_level": "aal2",
            "acr": "aal2", "amr": ["pwd", "otp"], "auth_time": now - 5,
            "azp": "tradepulse-cli", "sid": "session-1", "typ": "Bearer", "iat": now, "exp": now + 3600,
            "jti": secrets.token_hex(8), "organization": organization, **claims,
        }  # fmt: skip
        return jwt.encode({"alg": "RS256", "kid": "test", "typ": "JWT"}, document, self.key, algorithms=["RS256"])

    def bearer(self, partner: str | None, **more: Any) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token(partner, **more)}"}

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@dataclass
class VaultProcess:
    """`python -m vault_api` as a child, with its log and audit directory."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path
    audit: Path
    http: httpx.Client = field(repr=False)

    def wait(self) -> None:
        until = time.monotonic() + 30
        while True:
            assert self.process.poll() is None, self.log.read_text()
            try:
                if self.http.get("/health/live").status_code == 200:
                    return
            except httpx.TransportError:
                assert time.monotonic() < until, self.log.read_text()
                time.sleep(0.05)

    def logged(self) -> str:
        return self.log.read_text()

    def end(self, *, how: int = signal.SIGTERM) -> None:
        self.http.close()
        if self.process.poll() is None:
            self.process.send_signal(how)
        self.process.wait(timeout=30)


@dataclass
class World:
    """Everything a vault needs, and how to start one in it."""

    realm: Realm
    opa_url: str
    postgres: Any
    home: Path

    def environment(self, **more: str) -> dict[str, str]:
        """The settings of a vault; its secrets are in files that are made here."""
        home = self.home
        return {
            "PATH": os.environ["PATH"],
            "TRADEPULSE_ENVIRONMENT": "dev",
            "TRADEPULSE_ISSUER": self.realm.issuer,
            "TRADEPULSE_OAUTH2_AUDIENCE": "tradepulse-internal",
            "TRADEPULSE_CLIENTS": "tradepulse-cli,vault-api,emergency-keeper",
            "TRADEPULSE_OPA_URL": self.opa_url,
            "TRADEPULSE_AUDIT_DIR": str(home / "audit"),
            "TRADEPULSE_NODE": "test-node",
            "TRADEPULSE_AUDIT_CHECKPOINT_KEY_FILE": str(home / "checkpoint.pem"),
            "TRADEPULSE_AUDIT_MAC_KEY_FILE": str(home / "names.hex"),
            "VAULT_DATABASE_URL": f"postgresql://vault_app@{self.postgres.host}:{self.postgres.port}/vault",
            "VAULT_DATABASE_PASSWORD_FILE": str(home / "vault_app"),
            "VAULT_OWNER_DATABASE_URL": f"postgresql://vault_owner@{self.postgres.host}:{self.postgres.port}/vault",
            "VAULT_OWNER_DATABASE_PASSWORD_FILE": str(home / "vault_owner"),
            "VAULT_KMS": "file",
            "VAULT_KMS_FILE": str(home / "root-key.json"),
            "VAULT_KEYCLOAK_ADMIN_URL": f"{self.realm.url}/admin/realms/tradepulse-dev",
            "VAULT_CLIENT_KEY_FILE": str(home / "client.pem"),
            **more,
        }

    def rotator(self) -> dict[str, str]:
        """The settings that make a worker one that rotates keys."""
        home, database = self.home, f"{self.postgres.host}:{self.postgres.port}/vault"
        return {
            "VAULT_ROTATOR_DATABASE_URL": f"postgresql://vault_rotator@{database}",
            "VAULT_ROTATOR_DATABASE_PASSWORD_FILE": str(
                private_file(home / "vault_rotator", self.postgres.passwords["vault_rotator"])
            ),
            "VAULT_ROTATOR_CLIENT_KEY_FILE": str(private_file(home / "rotator.pem", self.realm.rotator_pem)),
            "VAULT_SALT_SETTLE_SECONDS": "0",
        }

    def run(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        """One command of the program, to its end."""
        return subprocess.run(
            [sys.executable, "-m", "vault_api", *arguments],
            cwd=CHECKOUT, env=self.environment(**more), capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    def start(self, command: str = "serve", **more: str) -> VaultProcess:
        """A vault of its own, or a worker, which answers when this returns."""
        port = unused_port()
        bind = "VAULT_WORKER_BIND" if command == "worker" else "VAULT_BIND"
        environment = self.environment(**{bind: f"127.0.0.1:{port}", **more})
        log = self.home / f"vault-{port}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "vault_api", command],
                cwd=CHECKOUT,
                env=environment,
                stdout=output,
                stderr=output,
            )
        url = f"http://127.0.0.1:{port}"
        vault = VaultProcess(
            url, process, log, Path(environment["TRADEPULSE_AUDIT_DIR"]), httpx.Client(base_url=url, trust_env=False)
        )
        vault.wait()
        return vault


def credential_url(partner: str, connection: str) -> str:
    return f"/v1/partners/{partner}/connections/{connection}/credential"


def audit_url(partner: str) -> str:
    return f"/v1/partners/{partner}/audit"


async def superuser(postgres: Any, statement: str) -> None:
    """One statement as the superuser, outside of every database that tests use."""
    connection = await asyncpg.connect(postgres.dsn("postgres", "postgres"))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def new_database(world: World) -> dict[str, str]:
    """The settings of a migrated database that nothing else uses; a copy takes a tenth of migrating one."""
    name = f"vault_{secrets.token_hex(4)}"
    await superuser(world.postgres, f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} OWNER vault_owner")
    await superuser(world.postgres, f"GRANT CONNECT ON DATABASE {name} TO vault_app, vault_rotator")
    address = f"{world.postgres.host}:{world.postgres.port}/{name}"
    return {
        "VAULT_DATABASE_URL": f"postgresql://vault_app@{address}",
        "VAULT_OWNER_DATABASE_URL": f"postgresql://vault_owner@{address}",
    }


FIRST = {"If-None-Match": "*"}
TOKENS: dict[str, Any] = {
    "broker": "paper",
    "access_token": "an-access-token",
    "refresh_token": "a-refresh-token",
    "expires_at": "2099-01-01T00:00:00+00:00",
    "scopes": ["trade"],
}


@contextmanager
def open_world(opa_url: str, postgres: Any, home: Path) -> Iterator[World]:
    """A migrated database and a realm, with the settings that a vault needs in it."""
    realm = Realm()
    private_file(home / "checkpoint.pem", pem(ed25519.Ed25519PrivateKey.generate()))
    private_file(home / "names.hex", "ab" * 32)
    private_file(home / "client.pem", realm.client_pem)
    for role in ("vault_app", "vault_owner"):
        private_file(home / role, postgres.passwords[role])
    made = World(realm, opa_url, postgres, home)
    for command in ("kms-init", "migrate"):
        done = made.run(command)
        assert done.returncode == 0, done.stderr
    # Copied before anything connects to it, because PostgreSQL copies no database that somebody is connected to.
    asyncio.run(superuser(postgres, f"CREATE DATABASE {TEMPLATE} TEMPLATE vault OWNER vault_owner"))
    yield made
    realm.close()
