"""The KMSes that the tests speak to: a real OpenBao, a real SoftHSM2, and moto's server of the AWS API."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from vault_world import private_file, unused_port

SOFTHSM = next(
    (path for folder in ("/usr/lib", "/usr/lib64", "/usr/local/lib") for path in Path(folder).rglob("libsofthsm2.so")),
    None,
)
PIN = "4711-canary-pin"


@contextmanager
def process(command: list[str], log: Path, url: str, *, environment: Mapping[str, str]) -> Iterator[None]:
    """A server as a child, which answers something at `url` when this enters and is gone when it leaves."""
    with log.open("ab") as output:
        child = subprocess.Popen(
            command, stdout=output, stderr=output, env={"PATH": os.environ["PATH"], **environment}, cwd=log.parent
        )
    try:
        until = time.monotonic() + 60
        while True:
            assert child.poll() is None, log.read_text()
            try:
                httpx.get(url, trust_env=False)
                break
            except httpx.TransportError:
                assert time.monotonic() < until, log.read_text()
                time.sleep(0.05)
        yield
    finally:
        child.terminate()
        child.wait(timeout=30)


@dataclass
class OpenBao:
    """A development server of OpenBao with a transit engine, on an address of its own."""

    home: Path
    url: str = field(default_factory=lambda: f"http://127.0.0.1:{unused_port()}")
    root: str = field(default_factory=lambda: secrets.token_urlsafe(16), repr=False)

    @contextmanager
    def running(self) -> Iterator[OpenBao]:
        command = [
            str(Path(sys.executable).with_name("bao")), "server", "-dev",
            "-dev-no-store-token", f"-dev-root-token-id={self.root}",
            f"-dev-listen-address={self.url.removeprefix('http://')}",
        ]  # fmt: skip
        with process(command, self.home / "bao.log", f"{self.url}/v1/sys/health", environment={"HOME": str(self.home)}):
            self.call("POST", "sys/mounts/transit", {"type": "transit"})
            self.call("POST", "sys/auth/approle", {"type": "approle"})
            self.call("PUT", "sys/policies/acl/vault", {"policy": POLICY})
            yield self

    def call(self, method: str, path: str, body: Mapping[str, object] | None = None) -> dict[str, object]:
        """A call with the root token."""
        reply = httpx.request(
            method, f"{self.url}/v1/{path}", json=body, headers={"X-Vault-Token": self.root}, trust_env=False
        )
        assert reply.is_success, reply.text
        found: dict[str, object] = reply.json() if reply.content else {}
        return found

    def new_key(self, **more: object) -> str:
        name = f"root-{secrets.token_hex(4)}"
        self.call("POST", f"transit/keys/{name}", {"type": "hmac", "key_size": 32, **more})
        return name

    def token(self, **more: object) -> str:
        """A token with the vault's own policy and nothing else."""
        answer = self.call("POST", "auth/token/create", {"policies": ["vault"], "no_default_policy": True, **more})
        auth = answer["auth"]
        assert isinstance(auth, dict)
        return str(auth["client_token"])


POLICY = """
path "transit/hmac/+/sha2-256" { capabilities = ["update"] }
path "transit/keys/+" { capabilities = ["read"] }
"""


@dataclass
class SoftHsm:
    """Tokens of SoftHSM2 in a directory of their own. The library reads its settings when it begins."""

    home: Path

    def __post_init__(self) -> None:
        (self.home / "tokens").mkdir()
        self.settings = private_file(
            self.home / "softhsm2.conf",
            f"directories.tokendir = {self.home / 'tokens'}\nobjectstore.backend = file\nlog.level = ERROR\n",
        )
        self.pin = private_file(self.home / "pin", PIN)

    def new_token(self, label: str | None = None) -> str:
        label = label or f"token-{secrets.token_hex(4)}"
        subprocess.run(
            ["softhsm2-util", "--init-token", "--free", "--label", label, "--pin", PIN, "--so-pin", "so-" + PIN],
            env={"PATH": os.environ["PATH"], "SOFTHSM2_CONF": str(self.settings)}, check=True, capture_output=True,
        )  # fmt: skip
        return label

    def hide(self) -> Path:
        """As if the HSM was unplugged."""
        away = self.home / "unplugged"
        (self.home / "tokens").rename(away)
        (self.home / "tokens").mkdir()
        return away

    def show(self, away: Path) -> None:
        shutil.rmtree(self.home / "tokens")
        away.rename(self.home / "tokens")


@contextmanager
def aws(home: Path, url: str | None = None) -> Iterator[str]:
    """moto's server of the AWS API; its address."""
    url = url or f"http://127.0.0.1:{unused_port()}"
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", url.rpartition(":")[2]]
    with process(command, home / "moto.log", url, environment={"HOME": str(home)}):
        yield url


def aws_credentials(home: Path) -> Path:
    return private_file(
        home / "credentials", "[default]\naws_access_key_id = AKIAEXAMPLE\naws_secret_access_key = canary-aws-secret\n"
    )
