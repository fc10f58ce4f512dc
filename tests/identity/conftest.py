"""Fixtures for the identity tests: a clock that stands still, and clients that talk to loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from identity.jwks import JwksCache
from identity.outbound import client


class Clock:
    """Unix seconds that move only when a test says so."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def pass_(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock(1_900_000_000.0)


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with client(timeout=5) as session:
        yield session


@pytest.fixture
async def keys_from(http: httpx.AsyncClient, clock: Clock) -> AsyncIterator[Callable[..., JwksCache]]:
    """Makes key caches on the test's clock, and ends what they still do in the background."""
    made: list[JwksCache] = []

    def make(url: str, **options: float) -> JwksCache:
        made.append(JwksCache(http, url, clock=clock, **options))
        return made[-1]

    yield make
    for cache in made:
        await cache.close()
