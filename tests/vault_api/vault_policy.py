"""An OPA of the tests' own: the real rules in a signed bundle about partners that a test may change."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import httpx
from vault_world import unused_port

from admin_sync.bundle.build import build_bundle
from admin_sync.bundle.keys import ALGORITHM, KEY_ID, SCOPE, create_key
from admin_sync.bundle.source import PolicySource

RULES = Path(__file__).resolve().parents[2] / "policy"


class PolicyServer:
    """OPA on one address; each `serve` replaces what it decides by."""

    def __init__(self, binary: Path, home: Path) -> None:
        self._binary = binary
        self._home = home
        self._address = f"127.0.0.1:{unused_port()}"
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"http://{self._address}"
        self.log = home / "opa.log"
        create_key(home / "key.pem", home / "key.pub.pem")

    @property
    def pid(self) -> int:
        """The process that answers now."""
        assert self._process is not None
        return self._process.pid

    def serve(self, source: PolicySource, *, frozen: bool = False) -> None:
        """Builds a bundle of `source` and answers from it when this returns."""
        home = self._home
        bundle = build_bundle(source, policy_dir=RULES, key=home / "key.pem", opa=self._binary, frozen=frozen)
        self.end()
        (home / "bundle.tar.gz").write_bytes(bundle.content)
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                [
                    self._binary, "run", "--server", "--addr", self._address, "--disable-telemetry",
                    "--log-level", "error", "--set", "decision_logs.console=true", "--bundle", home / "bundle.tar.gz",
                    "--verification-key", home / "key.pub.pem", "--verification-key-id", KEY_ID,
                    "--signing-alg", ALGORITHM, "--scope", SCOPE,
                ],
                stdout=output, stderr=output,
            )  # fmt: skip
        until = time.monotonic() + 20
        while True:
            assert self._process.poll() is None, self.log.read_text()
            try:
                if httpx.get(f"{self.url}/health?bundles", trust_env=False).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            assert time.monotonic() < until, self.log.read_text()
            time.sleep(0.05)

    def end(self) -> None:
        """Stops it; whoever asks gets no answer."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=20)
            self._process = None
