"""Fixtures that every test may use: a real PostgreSQL of this run's own, the OPA binary, the whole embedded stack."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from admin_sync.keycloak.connection import Connection
from stack import control, install, opa, settings, watching
from stack import postgres as embedded
from stack.account import outside_home
from stack.files import locked
from stack.layout import CHECKOUT, STATE_VARIABLE, Layout
from stack.people import connect, logins
from stack.ports import unused
from stack.process import end, known, spawn
from stack.steps import Commands

# Processes that run tests side by side have a stack each.
_NAMES = (os.environ.get("TRADEPULSE_TEST_STACK_DIR", ".stack-test"), os.environ.get("PYTEST_XDIST_WORKER"))
ABSENT = ("reconciler", *watching.NAMES)
"""Services that the stack of the tests goes without: one would undo what a test applies to a realm, the others would
cost memory and time for nothing. Tests that are about one start it."""
TEST_STACK = Layout(CHECKOUT / "-".join(filter(None, _NAMES)))


@dataclass(frozen=True)
class Postgres:
    """A running server with the roles and databases that the embedded stack makes (stack.postgres)."""

    host: str
    port: int
    passwords: Mapping[str, str]
    """Role -> password, the superuser `postgres` among them."""

    @property
    def superuser_dsn(self) -> str:
        """The superuser's address of the database `vault`."""
        return self.dsn(embedded.SUPERUSER, "vault")

    def dsn(self, role: str, database: str | None = None) -> str:
        """The address, password included, of `role`'s own database or of another."""
        database = database or embedded.ROLES[role]
        return f"postgresql://{role}:{self.passwords[role]}@{self.host}:{self.port}/{database}"


@dataclass(frozen=True)
class Stack:
    """The whole embedded stack, fresh, with configs/iam applied to its three realms."""

    layout: Layout
    urls: Mapping[str, str]
    """Service -> address: keycloak, opa, vault, neighbours, postgres, bundles."""
    env: Mapping[str, str]
    """Every setting of the product's programs; secrets as paths of files."""
    admin: Connection
    """Keycloak's admin API as admin-sync."""
    logins: Mapping[str, str]
    """User name -> one-time password of the local people of tradepulse-dev."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test that uses the stack is one of integration, whether or not its author thought of the mark.

    The first of them waits for the stack to come up, and on a busy machine that takes minutes.
    """
    for item in items:
        if "stack" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.integration)
            item.add_marker(pytest.mark.timeout(900))


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    """PostgreSQL 18 with an empty database `vault` (owner vault_owner) and `keycloak`, gone at the end."""
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
            if process is not None:
                end([process], first=signal.SIGINT)
            server.wait()
            # Where the temporary directory is closed to PostgreSQL's account, the data lies outside of it.
            shutil.rmtree(outside_home(place), ignore_errors=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """The server that the tests of this run share."""
    with running_postgres() as running:
        yield running


@pytest.fixture(scope="session")
def opa_binary() -> Path:
    """OPA as the stack would run it, built into `.tools` if this machine has none."""
    TEST_STACK.make()
    install.opa_binary(TEST_STACK, Commands())
    found = opa.find(TEST_STACK.tools)
    assert found is not None
    return found


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """A stack of this test run's own: empty at the start, gone at the end, and gone as well if pytest is killed.

    With TRADEPULSE_RUNNING_STACK_DIR it is one that runs already, which the tests leave as they left it: for whoever
    writes tests and does not want to wait. Tests that take a whole stack for themselves do not pass there.
    """
    if running := os.environ.get("TRADEPULSE_RUNNING_STACK_DIR"):
        yield _stack(Layout(CHECKOUT / running))
        return
    layout = TEST_STACK
    with locked(layout.tools / f"{layout.state.name}.lock"):
        run_stack(layout, "reset")
        try:
            run_stack(layout, "up", "--no-story", "--short-lived", f"--owner={os.getpid()}", "--without", *ABSENT)
            yield _stack(layout)
        finally:
            run_stack(layout, "down")


def _stack(layout: Layout) -> Stack:
    return Stack(layout, control.state(layout)["urls"], settings.read(layout), connect(layout), logins(layout))


def run_stack(layout: Layout, *words: str) -> str:
    """Run `python -m stack` for a layout and return what it prints. Fails the test with that text if it fails."""
    done = subprocess.run(
        [sys.executable, "-m", "stack", *words],
        cwd=CHECKOUT,
        env={**os.environ, STATE_VARIABLE: str(layout.state)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"stack {' '.join(words)}:\n{done.stdout}"
    return done.stdout
