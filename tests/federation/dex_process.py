"""A Dex of a test run's own: an OpenID provider that is neither Keycloak nor ours, with its login page and its keys."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import httpx

from stack import opa
from stack.files import digest, locked
from stack.layout import Layout
from stack.ports import unused
from stack.steps import Commands, StepFailed

SOURCE = Path(__file__).resolve().parent / "dex"


@dataclass
class DexPerson:
    """Somebody who can log in at Dex."""

    email: str
    id: str
    password: str = field(repr=False)
    verified: bool = True
    groups: list[str] = field(default_factory=list)


class Dex:
    """The server; started by `run`, which may be called again after `stop`."""

    def __init__(self, binary: Path, secret: str) -> None:
        self.binary, self.secret, self.port = binary, secret, unused()
        self.url = f"http://localhost:{self.port}/dex"
        self.redirects: list[str] = []
        self._process: subprocess.Popen[str] | None = None

    def run(self, *people: DexPerson) -> None:
        """Start with new keys, instead of the one that may run, and wait until it answers."""
        self.stop()
        client = {"id": "tradepulse", "secret": self.secret, "redirectURIs": self.redirects, "name": "TradePulse"}
        fields = {"issuer": self.url, "listen": f"127.0.0.1:{self.port}", "client": client, "rotation": "6h"}
        self._process = subprocess.Popen(
            [str(self.binary)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self._say(fields | {"people": [asdict(one) for one in people]})
        deadline = time.monotonic() + 20
        while True:
            try:
                httpx.get(f"{self.url}/.well-known/openid-configuration", timeout=5).raise_for_status()
                return
            except httpx.HTTPError:
                assert self._process.poll() is None, "Dex ended"
                assert time.monotonic() < deadline, "Dex does not answer"
                time.sleep(0.1)

    def know(self, *people: DexPerson) -> None:
        """Replace the people who can log in."""
        assert self._process is not None
        assert self._process.stdout is not None
        self._say([asdict(one) for one in people])
        assert self._process.stdout.readline() == "replaced\n"

    def stop(self) -> None:
        """End the server; its keys are gone with it."""
        if self._process is not None:
            with self._process:
                self._process.terminate()
            self._process = None

    def _say(self, value: Any) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(value) + "\n")
        self._process.stdin.flush()


def dex_binary(layout: Layout) -> Path:
    """The program, built when its sources change."""
    binary = layout.tools / "bin" / f"dex-{digest([SOURCE])[:12]}"
    with locked(layout.tools / "dex.lock"):
        if not binary.exists():
            opa.build_in(SOURCE, binary, layout.tools, Commands(), layout.tools / "dex-build.log")
    return binary


def build_meanwhile(layout: Layout) -> None:
    """Begin to build the program; who needs it waits for it, and is told of a failure."""

    def build() -> None:
        with suppress(StepFailed):
            dex_binary(layout)

    threading.Thread(target=build, daemon=True).start()


@contextmanager
def dex(layout: Layout, secret: str) -> Iterator[Dex]:
    """A Dex that nobody has started yet."""
    server = Dex(dex_binary(layout), secret)
    try:
        yield server
    finally:
        server.stop()
