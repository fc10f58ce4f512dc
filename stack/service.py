"""What the supervisor is told about one long-running program, and how to ask whether that program is well."""

from __future__ import annotations

import os
import socket
import struct
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from stack.account import Account


@dataclass(frozen=True)
class Service:
    """A program that runs until it is told to stop. Serialisable: it reaches the supervisor through a file.

    secrets:      environment variable -> file whose content becomes its value when the program starts,
                  so that no secret lies in the file that describes the services
    health:       http://… that answers 200 when it is well, postgres://host:port, or tcp://host:port
    stop:         the signal that ends it in order
    death:        the signal it gets when the supervisor itself dies; SIGKILL where nothing can be lost
    stop_seconds: how long it may take before it is killed
    revision:     a digest of whatever it reads at its start; another one means that it is started again
    last:         whether it stops only after the others have (a database)
    """

    name: str
    command: tuple[str, ...]
    url: str
    health: str
    cwd: str
    environment: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    account: Account | None = None
    stop: int = 15
    death: int = 9
    stop_seconds: float = 15.0
    revision: str = ""
    last: bool = False

    def as_json(self) -> dict[str, Any]:
        """This service as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Service:
        """The service that `as_json` described."""
        account = value["account"]
        return cls(**{**value, "command": tuple(value["command"]), "account": Account(**account) if account else None})

    def full_environment(self) -> dict[str, str]:
        """The environment of the program: a few harmless variables of ours, its settings, and its secrets."""
        inherited = {key: os.environ[key] for key in INHERITED if key in os.environ}
        secrets = {name: Path(path).read_text().strip() for name, path in self.secrets.items()}
        return {**inherited, **self.environment, **secrets}


INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "JAVA_HOME", "SSL_CERT_FILE", "SSL_CERT_DIR")
"""What a service sees of the environment of the one who ran `make up`."""


def healthy(address: str, *, seconds: float = 3.0) -> bool:
    """Whether the service with this health address is well now."""
    parts = urlsplit(address)
    if parts.scheme == "postgres":
        return _postgres_answers(str(parts.hostname), int(parts.port or 0), seconds)
    if parts.scheme == "tcp":
        return _accepts(str(parts.hostname), int(parts.port or 0), seconds)
    request = urllib.request.Request(address, headers={"User-Agent": "stack"})  # noqa: S310  (our own addresses)
    # A proxy of the machine must not see, or answer, what is meant for this host.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=seconds) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError, ValueError):
        return False


def _accepts(host: str, port: int, seconds: float) -> bool:
    try:
        with socket.create_connection((host, port), timeout=seconds):
            return True
    except OSError:
        return False


def _postgres_answers(host: str, port: int, seconds: float) -> bool:
    """Ask for a session and look at the first byte: 'R' demands authentication, 'E' says "starting up" or worse."""
    packet = struct.pack("!I", 196608) + b"user\0postgres\0database\0postgres\0\0"
    try:
        with socket.create_connection((host, port), timeout=seconds) as connection:
            connection.sendall(struct.pack("!I", len(packet) + 4) + packet)
            return connection.recv(1) == b"R"
    except OSError:
        return False
