"""Our clients believe the authorities of the host and nobody else: over real TLS."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from identity.destination import guarded_client
from identity.login.wire import Unanswered, Wire
from identity.outbound import OutboundError, client, exchange


class _Hello(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate of 127.0.0.1 that nobody but itself vouches for, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "inside")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public, private = folder / "server.crt", folder / "server.key"
    public.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return public, private


@pytest.fixture(scope="module")
def address(certificate: tuple[Path, Path]) -> Iterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    server = HTTPServer(("127.0.0.1", 0), _Hello)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"https://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    server.server_close()
    thread.join()


def _service(address: str) -> int:
    async def ask() -> int:
        async with client() as http:
            return (await exchange(http, "GET", address, max_bytes=100, timeout=5)).status

    return asyncio.run(ask())


def _guarded(address: str) -> int:
    async def ask() -> int:
        async with guarded_client(allow_local=True) as http:
            return (await http.get(address)).status_code

    return asyncio.run(ask())


def _person(address: str) -> int:
    return Wire(5).get(address).status


@pytest.mark.parametrize("ask", [_service, _guarded, _person])
def test_a_server_that_no_authority_of_the_host_vouches_for_is_refused(ask, address: str) -> None:
    with pytest.raises((OutboundError, httpx.ConnectError, Unanswered)):
        ask(address)


@pytest.mark.parametrize("ask", [_service, _guarded, _person])
def test_a_server_that_the_hosts_own_authority_vouches_for_is_believed(
    ask, address: str, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    assert ask(address) == 200


@pytest.mark.parametrize("ask", [_service, _guarded, _person])
def test_a_file_of_authorities_that_is_not_there_vouches_for_nobody(
    ask, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing.pem"))
    with pytest.raises((OutboundError, httpx.ConnectError, Unanswered)):
        ask(address)


def test_a_name_that_the_certificate_does_not_bear_is_refused(
    address: str, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    with pytest.raises(OutboundError):
        _service(address.replace("127.0.0.1", "localhost"))
