"""The access service among real servers: see access_world.py."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from access_world import Realm, World, open_world, policy_server

from admin_sync.access.store.migrate import migrate

TEMPLATE = "access_template"
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def access_opa(opa_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """OPA with the real rules about the checkout's configuration."""
    with policy_server(opa_binary, tmp_path_factory.mktemp("access-opa")) as url:
        yield url


@pytest.fixture(scope="session")
def access_realm() -> Iterator[Realm]:
    """An issuer of tokens."""
    realm = Realm()
    yield realm
    realm.end()


@pytest.fixture(scope="session")
def access_template(postgres: Any) -> str:
    """A migrated database that tests copy, which takes a tenth of migrating one each."""

    async def make() -> None:
        await _admin(postgres, f"CREATE DATABASE {TEMPLATE} OWNER access_owner")
        url = f"postgresql://access_owner@{postgres.host}:{postgres.port}/{TEMPLATE}"
        await migrate(url, postgres.passwords["access_owner"])

    asyncio.run(make())
    return TEMPLATE


@pytest_asyncio.fixture
async def access_world(
    postgres: Any, access_template: str, access_opa: str, access_realm: Realm, tmp_path: Path
) -> AsyncIterator[World]:
    """A service of the test's own with an empty database."""
    name = f"access_{next(_numbers)}"
    await _admin(postgres, f"CREATE DATABASE {name} OWNER access_owner TEMPLATE {access_template}")
    async with open_world(postgres, access_opa, access_realm, tmp_path, name) as world:
        yield world


async def _admin(postgres: Any, statement: str) -> None:
    connection = await asyncpg.connect(postgres.dsn("postgres", "postgres"))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
