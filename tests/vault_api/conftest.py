"""The vault among real servers: see vault_world.py."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from vault_policy import PolicyServer
from vault_world import NAMED, PARTNERS, POLICY, VaultProcess, World, new_database, open_world


@pytest.fixture(scope="session")
def vault_opa(opa_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """OPA with the real rules in a signed bundle about the test's partners."""
    server = PolicyServer(opa_binary, tmp_path_factory.mktemp("vault-opa"))
    server.serve(POLICY)
    yield server.url
    server.end()


@pytest.fixture(scope="session")
def world(postgres: Any, vault_opa: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A migrated database, an OPA and a realm."""
    with open_world(vault_opa, postgres, tmp_path_factory.mktemp("vault")) as made:
        yield made


@pytest.fixture(scope="session")
def vault(world: World) -> Iterator[VaultProcess]:
    """A vault that many tests share; each takes a partner of its own."""
    running = world.start()
    yield running
    running.end()


@pytest.fixture(scope="session")
def start_vault(world: World) -> Iterator[Callable[..., VaultProcess]]:
    """Start a vault with settings of its own; all end with the test run."""
    started: list[VaultProcess] = []

    def start(**more: str) -> VaultProcess:
        started.append(world.start(**more))
        return started[-1]

    yield start
    for running in started:
        running.end()


@pytest.fixture
async def own_database(world: World) -> dict[str, str]:
    """The settings of a migrated database that no other test uses: its own trail, its own shipper."""
    return await new_database(world)


_unused_partners = iter(PARTNERS[NAMED:])


@pytest.fixture
def partner() -> str:
    """A partner that no other test uses."""
    return next(_unused_partners)


@pytest.fixture
def other_partner() -> str:
    """Another one."""
    return next(_unused_partners)


@pytest.fixture
async def superuser(postgres: Any) -> AsyncIterator[asyncpg.Connection]:
    """A connection to the database `vault` that nothing is refused to."""
    connection = await asyncpg.connect(postgres.superuser_dsn)
    yield connection
    await connection.close()


@pytest.fixture
async def as_app(postgres: Any) -> AsyncIterator[asyncpg.Connection]:
    """A connection as the role of the service."""
    connection = await asyncpg.connect(postgres.dsn("vault_app"))
    yield connection
    await connection.close()
