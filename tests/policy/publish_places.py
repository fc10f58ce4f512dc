"""Places to publish to, each with a real server behind it, and the OPA configuration that subscribes to it."""

from __future__ import annotations

import base64
import ipaddress
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from admin_sync.bundle.address import target_of
from admin_sync.bundle.serve import BundleServer
from admin_sync.bundle.target import Target
from identity.secret import Secret

TOKEN = "publisher-canary"
LOGIN = "pusher:registry-canary"


@dataclass
class Where:
    """One place: its address for the publisher, and what OPA is told to reach the same."""

    address: str
    opa: dict[str, Any]
    token_file: Path | None = None
    ca_file: Path | None = None
    requests: list[str] = field(default_factory=list)

    def target(self) -> Target:
        return target_of(self.address, token_file=self.token_file, ca_file=self.ca_file)


@contextmanager
def served(server: ThreadingHTTPServer) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def secret_file(path: Path, text: str) -> Path:
    path.touch(mode=0o600)
    path.write_text(text)
    return path


def certificate(home: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bundles")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    chain, private = home / "server.crt", home / "server.key"
    chain.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return chain, private


@contextmanager
def over_https(home: Path) -> Iterator[Where]:
    """Our own server with a token for PUT, behind TLS with an authority of its own."""
    chain, private = certificate(home)
    directory = home / "https-bundles"
    directory.mkdir()
    server = BundleServer(("127.0.0.1", 0), directory, publish_token=Secret(TOKEN))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, private)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    with served(server) as port:
        url = f"https://127.0.0.1:{port}"
        yield Where(url, {"bundle_url": url, "ca_file": chain}, secret_file(home / "publish-token", TOKEN), chain)


@contextmanager
def in_registry(home: Path, registry: str, name: str) -> Iterator[Where]:
    """A real registry behind a guard that asks for a user and a password."""
    login = secret_file(home / "registry-login", LOGIN)
    guard = Guard(registry)
    with served(guard) as port:
        address = f"oci+http://127.0.0.1:{port}/iam/{name}:prod"
        yield Where(address, {"bundle_url": address, "bundle_token_file": login}, login, requests=guard.seen)


class Guard(ThreadingHTTPServer):
    """In front of a registry that knows no users: asks for Basic, or for a token of its own token service."""

    daemon_threads = True

    def __init__(self, registry: str, *, tokens: bool = False) -> None:
        self.registry = f"http://{registry}"
        self.tokens = tokens
        self.seen: list[str] = []
        self.before: Callable[[str, str], None] = lambda method, path: None
        self.http = httpx.Client(timeout=10, trust_env=False)
        super().__init__(("127.0.0.1", 0), _Guard)

    def server_close(self) -> None:
        super().server_close()
        self.http.close()


class _Guard(BaseHTTPRequestHandler):
    server: Guard
    protocol_version = "HTTP/1.1"

    def _pass(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        basic = "Basic " + base64.b64encode(LOGIN.encode()).decode()
        given = self.headers.get("Authorization")
        here = f"http://127.0.0.1:{self.server.server_address[1]}"
        if urlsplit(self.path).path == "/token":
            scope = parse_qs(urlsplit(self.path).query).get("scope", [""])[0]
            answer = json.dumps({"token": f"for-{scope}"}).encode() if given == basic else b"{}"
            return self._answer(200 if given == basic else 401, {}, answer)
        if self.server.tokens:
            wanted = "Bearer for-repository:iam/policy:pull,push"
            challenge = f'Bearer realm="{here}/token",service="test",scope="repository:iam/policy:pull,push"'
        else:
            wanted, challenge = basic, 'Basic realm="test"'
        if given != wanted:
            return self._answer(401, {"WWW-Authenticate": challenge}, b"")
        self.server.seen.append(f"{self.command} {self.path}")
        self.server.before(self.command, self.path)
        kept = {name: self.headers[name] for name in ("Accept", "Content-Type") if name in self.headers}
        reply = self.server.http.request(self.command, self.server.registry + self.path, headers=kept, content=body)
        named = ("content-type", "docker-content-digest", "location")
        headers = {name: reply.headers[name] for name in named if name in reply.headers}
        length = int(reply.headers.get("content-length", 0)) if self.command == "HEAD" else None
        return self._answer(reply.status_code, headers, reply.content, length)

    def _answer(self, status: int, headers: dict[str, str], body: bytes, length: int | None = None) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = _pass  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass
