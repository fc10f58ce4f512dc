"""The health check that images have instead of curl: a real server, a real process."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from identity.probe import answers


class _Health(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/health/ready" else 503)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def address() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), _Health) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_only_200_is_well(address: str) -> None:
    assert answers(f"{address}/health/ready")
    assert not answers(f"{address}/health/other")


def test_nobody_there_is_not_well(address: str) -> None:
    with HTTPServer(("127.0.0.1", 0), _Health) as other:
        port = other.server_address[1]
    assert not answers(f"http://127.0.0.1:{port}/health/ready")


@pytest.mark.parametrize("url", ["https://localhost/", "localhost:80", "", "http://"])
def test_what_it_cannot_ask_is_an_error_and_not_a_verdict(url: str) -> None:
    with pytest.raises(ValueError, match="http://host:port/path"):
        answers(url)


@pytest.mark.parametrize(("path", "code"), [("/health/ready", 0), ("/", 1)])
def test_the_verdict_is_the_exit_code(address: str, path: str, code: int) -> None:
    assert subprocess.run([sys.executable, "-m", "identity.probe", address + path], check=False).returncode == code
