"""What the tests of admin-sync work on: an editable configuration, the command, realms, issuers that answer."""

from __future__ import annotations

import http.server
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from admin_sync.check import checked
from admin_sync.keycloak.connection import Connection
from admin_sync.load.document import Document

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = Path(__file__).resolve().parent / "sample"
"""A configuration that stays as it is: these tests name its lines and count its people, and `configs/iam` grows."""


@dataclass
class Configuration:
    """A copy of the sample configuration that a test may edit."""

    directory: Path
    environ: dict[str, str] = field(default_factory=dict)

    def edit(self, file: str, before: str, after: str, *, count: int = 1) -> None:
        """Replace text that must be there."""
        path = self.directory / file
        text = path.read_text("utf-8")
        assert before in text, f"{before!r} is not in {file}"
        path.write_text(text.replace(before, after, count), "utf-8")

    def grant_at_once(self) -> None:
        """Let grants take effect before their people have a second factor.

        What the tests of admin-sync declare are people who never log in; that a grant waits for a factor has tests of
        its own (`tests/access/test_mfa_before_grant*.py`).
        """
        self.edit("policies.yaml", "mfa_before_grant: true", "mfa_before_grant: false")

    def write(self, file: str, content: str | bytes) -> None:
        """Replace a whole file."""
        raw = content.encode() if isinstance(content, str) else content
        (self.directory / file).write_bytes(raw)

    def take_sample(self, name: str) -> None:
        """The sample configuration again, under another realm name, for people who never log in."""
        shutil.copytree(SAMPLE, self.directory, dirs_exist_ok=True)
        self.edit("roles.yaml", "name: tradepulse ", f"name: {name} ")
        self.grant_at_once()

    def document(self) -> Document:
        """The checked document."""
        return checked(self.directory, self.environ)


@dataclass(frozen=True)
class Run:
    """How a command ended."""

    code: int
    out: str
    err: str

    def json(self) -> dict[str, object]:
        """stdout as the one JSON document that it must be."""
        return json.loads(self.out)


def admin_sync(*arguments: str | Path, environ: Mapping[str, str] | None = None, timeout: float = 120) -> Run:
    """Run the command as a user does, with nothing of this process's environment that it was not given."""
    done = subprocess.run(
        [sys.executable, "-m", "admin_sync", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout,
        cwd=ROOT,
        env=plain_environment() | dict(environ or {}),
        check=False,
    )
    return Run(done.returncode, done.stdout, done.stderr)


def plain_environment() -> dict[str, str]:
    """The little that a process needs to start."""
    return {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}


class Discovery(http.server.BaseHTTPRequestHandler):
    suffix = "/.well-known/openid-configuration"

    def do_GET(self) -> None:
        if not self.path.endswith(self.suffix):
            self.send_error(404)
            return
        issuer = f"http://localhost:{self.server.server_port}{self.path.removesuffix(self.suffix)}"
        body = json.dumps(
            {
                "issuer": issuer,
                "authorization_endpoint": f"{issuer}/authorize",
                "token_endpoint": f"{issuer}/token",
                "jwks_uri": f"{issuer}/jwks",
            }
        ).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@dataclass
class Realms:
    """Realms of one test module on a real Keycloak, with the configuration that declares them."""

    name: str
    configuration: Configuration
    environ: dict[str, str]
    admin: Connection

    def run(self, command: str, *arguments: str | Path, timeout: float = 300) -> Run:
        """Run a command against these realms."""
        config = ("--config", self.configuration.directory)
        return admin_sync(command, *arguments, *config, environ=self.environ, timeout=timeout)

    def path(self, environment: str) -> str:
        """The admin path of one of the realms."""
        return f"/{self.name}-{environment}"

    def reset(self) -> None:
        """The sample configuration again, under this module's realm name."""
        self.configuration.take_sample(self.name)

    def remove(self) -> None:
        """No realm of this module."""
        for environment in ("dev", "staging", "prod"):
            self.admin.delete(self.path(environment))
