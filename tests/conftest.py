"""Fixtures that every test may use: a real PostgreSQL of this test run's own, the OPA binary, the whole stack."""

from __future__ import annotations

import secrets
import shutil
import signal
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from stack import install, opa
from stack import postgres as embedded
from stack.account import outside_home
from stack.layout import Layout
from stack.ports import unused
from stack.process import end, known, spawn
from stack.steps import Commands

CHECKOUT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Postgres:
    """A running server with the roles and databases that the embedded stack makes (stack.postgres)."""

    host: str
    port: int
    passwords: dict[str, str]
    """Role -> password, the superuser `postgres` among them."""

    @property
    def superuser_dsn(self) -> str:
        """The superuser's address of the database `vault`."""
        return self.dsn(embedded.SUPERUSER, "vault")

    def dsn(self, role: str, database: str | None = None) -> str:
        """The address, password included, of `role`'s own database or of another."""
        database = database or embedded.ROLES[role]
        return f"postgresql://{role}:{self.passwords[role]}@{self.host}:{self.port}/{database}"


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """PostgreSQL 18 with an empty database `vault` (owner vault_owner) and `keycloak`, gone after the run."""
    passwords = {role: secrets.token_urlsafe(24) for role in (embedded.SUPERUSER, *embedded.ROLES)}
    with tempfile.TemporaryDirectory(prefix="tradepulse-postgres-", ignore_cleanup_errors=True) as folder:
        place = Path(folder)
        place.chmod(0o711)
        # The data is thrown away: only a power cut could tell the difference that fsync makes.
        cluster = embedded.cluster(place, unused(), settings={"fsync": "off"})
        cluster.initialise(passwords[embedded.SUPERUSER])
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
            cluster.provide(passwords[embedded.SUPERUSER], passwords)
            yield Postgres("127.0.0.1", cluster.port, passwords)
        finally:
            server.send_signal(signal.SIGINT)
            if process is not None:
                end([process], first=signal.SIGINT)
            server.wait()
            # Where the temporary directory is closed to PostgreSQL's account, the data lies outside of it.
            shutil.rmtree(outside_home(place), ignore_errors=True)


@pytest.fixture(scope="session")
def opa_binary() -> Path:
    """OPA as the stack would run it, built into `.tools` if this machine has none."""
    layout = Layout(CHECKOUT / ".stack-test")
    layout.make()
    install.opa_binary(layout, Commands())
    found = opa.find(layout.tools)
    assert found is not None
    return found
