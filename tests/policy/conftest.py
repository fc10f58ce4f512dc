"""A real OPA for the tests of the rules: started, asked and ended here."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from bundle_world import Place
from opa_process import RunningOpa, unused_port

from admin_sync.bundle.keys import create_key
from admin_sync.bundle.opa_binary import find_opa
from admin_sync.bundle.serve import BundleServer


@pytest.fixture(scope="session")
def opa() -> Path:
    """The OPA program."""
    return find_opa()


@contextmanager
def starting(opa: Path, folders: pytest.TempPathFactory) -> Iterator[Callable[..., RunningOpa]]:
    """A function that starts an OPA with further arguments of `opa run --server`; all end on the way out."""
    started: list[RunningOpa] = []

    def start(*arguments: str | Path) -> RunningOpa:
        log = folders.mktemp("opa") / "opa.log"
        address = f"127.0.0.1:{unused_port()}"
        command: list[str | Path] = [opa, "run", "--server", "--addr", address, "--disable-telemetry", *arguments]
        with log.open("wb") as output:
            process = subprocess.Popen(command, stdout=output, stderr=output)
        client = httpx.Client(base_url=f"http://{address}", timeout=10, trust_env=False)
        server = RunningOpa(f"http://{address}", process, log, client)
        started.append(server)

        def answers() -> bool:
            assert process.poll() is None, log.read_text()
            try:
                return client.get("/health").status_code == 200
            except httpx.TransportError:
                return False

        server.eventually(answers)
        return server

    try:
        yield start
    finally:
        for server in started:
            server.end()


@pytest.fixture
def start_opa(opa: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., RunningOpa]]:
    """Start an OPA that ends with the test: one that goes on would ask for ever for a bundle that nobody serves."""
    with starting(opa, tmp_path_factory) as start:
        yield start


@pytest.fixture(scope="session")
def start_lasting_opa(opa: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., RunningOpa]]:
    """Start an OPA that many tests share."""
    with starting(opa, tmp_path_factory) as start:
        yield start


@pytest.fixture
def place(opa: Path, tmp_path: Path) -> Iterator[Place]:
    """A directory of bundles with its own keys, served by our own server with long polling."""
    create_key(tmp_path / "bundle.pem", tmp_path / "bundle.pub.pem")
    directory = tmp_path / "bundles"
    directory.mkdir()
    with BundleServer(("127.0.0.1", 0), directory) as web:
        thread = threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{web.server_address[1]}"
        yield Place(opa, tmp_path / "bundle.pem", tmp_path / "bundle.pub.pem", directory, url, tmp_path)
        web.shutdown()
        thread.join()
