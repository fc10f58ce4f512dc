"""What the vault needs, on this machine and thrown away afterwards. PostgreSQL syncs, as it does in production."""

from __future__ import annotations

import secrets
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import vault_world  # type: ignore[import-not-found]
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from vault_policy import PolicyServer  # type: ignore[import-not-found]

from stack import install, opa, postgres
from stack.account import outside_home
from stack.layout import CHECKOUT, Layout
from stack.ports import unused
from stack.process import end, known, spawn
from stack.steps import Commands

PARTNERS = vault_world.PARTNERS[:50]
SECRET = "s" * 2048


@dataclass(frozen=True, slots=True)
class Database:
    """The server; `passwords` by role, the superuser's among them."""

    host: str
    port: int
    passwords: dict[str, str]
    pid: int

    def dsn(self, role: str, database: str) -> str:
        """An address with its password."""
        return f"postgresql://{role}:{self.passwords[role]}@{self.host}:{self.port}/{database}"


@dataclass(frozen=True, slots=True)
class Servers:
    """The world of the tests, with the process ids of what is measured."""

    world: Any
    database: Database
    opa: int
    home: Path


@contextmanager
def servers() -> Iterator[Servers]:
    """PostgreSQL, OPA, a realm, and a migrated, empty vault database."""
    with ExitStack() as stack, tempfile.TemporaryDirectory(prefix="bench-vault-", ignore_cleanup_errors=True) as folder:
        place = Path(folder)
        place.chmod(0o711)
        database = stack.enter_context(_postgres(place))
        home = place / "home"
        home.mkdir(mode=0o700)
        policy = PolicyServer(_opa(), home)
        policy.serve(vault_world.POLICY)
        stack.callback(policy.end)
        realm = vault_world.Realm()
        stack.callback(realm.close)
        vault_world.private_file(home / "checkpoint.pem", vault_world.pem(Ed25519PrivateKey.generate()))
        vault_world.private_file(home / "names.hex", secrets.token_hex(32))
        vault_world.private_file(home / "client.pem", realm.client_pem)
        for role in ("vault_app", "vault_owner"):
            vault_world.private_file(home / role, database.passwords[role])
        world = vault_world.World(realm, policy.url, database, home)
        for command in ("kms-init", "migrate"):
            done = world.run(command)
            if done.returncode != 0:
                raise RuntimeError(done.stderr)
        yield Servers(world, database, policy.pid, home)


@contextmanager
def vault(made: Servers, workers: int, command: str = "serve", **more: str) -> Iterator[Any]:
    """A vault, or its worker, in `workers` processes."""
    running = made.world.start(command, VAULT_WORKERS=str(workers), **more)
    try:
        yield running
    finally:
        running.end()


@contextmanager
def _postgres(place: Path) -> Iterator[Database]:
    passwords = {role: secrets.token_urlsafe(24) for role in (postgres.SUPERUSER, *postgres.ROLES)}
    cluster = postgres.cluster(place, unused())
    cluster.initialise(passwords[postgres.SUPERUSER])
    with (place / "postgres.log").open("wb") as log:
        server = spawn(
            cluster.command(),
            account=cluster.account,
            environment={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
            cwd=Path("/"),
            output=log,
            death=signal.SIGINT,
        )
    process = known(server.pid)
    try:
        cluster.wait()
        cluster.provide(passwords[postgres.SUPERUSER], passwords)
        yield Database("127.0.0.1", cluster.port, passwords, server.pid)
    finally:
        if process is not None:
            end([process], first=signal.SIGINT)
        server.wait()
        shutil.rmtree(outside_home(place), ignore_errors=True)


def _opa() -> Path:
    layout = Layout(CHECKOUT / ".stack-bench")
    layout.make()
    install.opa_binary(layout, Commands())
    found = opa.find(layout.tools)
    if found is None:
        raise RuntimeError("there is no OPA and it could not be built")
    return found
