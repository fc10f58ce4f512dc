"""A small OCI registry, in memory and on loopback: what the tests and `bench/freeze` publish bundles to.

It is the registry that comes with go-containerregistry, the library behind many OCI clients; it builds
in seconds. Nothing of the product needs it.
"""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stack import opa, ports
from stack.files import locked
from stack.layout import Layout
from stack.steps import Commands, StepFailed

BUILD = "github.com/google/go-containerregistry/cmd/registry@v0.22.1"


def ensure(layout: Layout, commands: Commands) -> Path:
    """The program, built now if it is not there. Raises StepFailed."""
    program = layout.tools / "bin" / "registry"
    layout.tools.mkdir(exist_ok=True)
    with locked(layout.tools / "registry.lock"):
        if not program.exists():
            opa.install(BUILD, layout.tools, commands, layout.tools / "registry-build.log")
    return program


@contextmanager
def running(program: Path, log: Path) -> Iterator[str]:
    """A registry of its own at `localhost:port`, ended afterwards. Raises StepFailed if it does not start."""
    port = ports.unused()
    with log.open("wb") as output:
        process = subprocess.Popen([program, "-port", str(port)], stdout=output, stderr=output)
    try:
        until = time.monotonic() + 10
        while not _listens(port):
            if process.poll() is not None or time.monotonic() > until:
                raise StepFailed(f"the registry does not start; see {log}")
            time.sleep(0.02)
        yield f"localhost:{port}"
    finally:
        process.terminate()
        process.wait(timeout=10)


def _listens(port: int) -> bool:
    try:
        with socket.create_connection(("localhost", port), timeout=1):
            return True
    except OSError:
        return False
