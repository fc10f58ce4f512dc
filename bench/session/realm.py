"""What Keycloak does in a second of one core: logins, refreshes, grants. CPU is that of its own process tree."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx

from bench.measure import cpu_seconds
from bench.session.checks import share
from bench.session.world import Person, World
from identity.client_key import ClientKey
from stack.login import HttpLogin, Login, Tokens

_AT_ONCE = 4
PUBLISHED = {"logins": 15.0, "client credentials": 120.0, "refreshes": 120.0}
"""Per second and vCPU, as Keycloak's guide "Concepts for sizing CPU and memory resources" says of its own tests."""


class RealmFailed(Exception):
    """Keycloak refused what it must not; the text says what."""


@dataclass(frozen=True, slots=True)
class Work:
    """Many of one kind.

    rate:  per second; per_core: per second of Keycloak's CPU; p50, p95: milliseconds of one
    """

    rate: float
    per_core: float
    p50: float
    p95: float


def logins(world: World, people: Sequence[Person]) -> tuple[Work, list[Tokens]]:
    """Each person once: page, password, one-time code, code for tokens. Raises LoginFailed.

    The first quarter is not counted: a server that has just started compiles what it runs.
    """
    kept: list[Tokens] = []
    early = len(people) // 4

    def one(person: Person) -> None:
        with HttpLogin(world.issuer, saved=person.factor) as driver:
            kept.append(driver.login(Login(person.email, person.password, acr="aal2")))

    for person in people[:early]:
        one(person)
    jobs = [lambda person=person: one(person) for person in people[early:]]
    return _measured(world, jobs), kept


def refreshes(world: World, sessions: Sequence[Tokens], rounds: int) -> Work:
    """Every session, so many times in turn; each answer's refresh token is the next question's."""
    url = f"{world.issuer}/protocol/openid-connect/token"

    def one(session: Tokens) -> list[float]:
        token, times = session.refresh_token, []
        with httpx.Client(trust_env=False, timeout=30) as http:
            for _ in range(rounds):
                form = {"grant_type": "refresh_token", "client_id": "tradepulse-cli", "refresh_token": token}
                at = time.perf_counter()
                answer = http.post(url, data=form)
                times.append((time.perf_counter() - at) * 1000)
                if answer.status_code != 200:
                    raise RealmFailed(f"refresh: {answer.status_code} {answer.text[:200]}")
                token = answer.json()["refresh_token"]
        return times

    return _timed(world, [lambda session=session: one(session) for session in sessions])  # type: ignore[misc]


def client_credentials(world: World, count: int) -> Work:
    """Tokens for the vault's own account, each with a fresh signed assertion (ES256)."""
    url = f"{world.issuer}/protocol/openid-connect/token"
    pem = Path(world.settings["VAULT_CLIENT_KEY_FILE"]).read_bytes()
    key = ClientKey(world.settings["VAULT_CLIENT_ID"], pem, audience=world.issuer)

    def some() -> list[float]:
        times = []
        with httpx.Client(trust_env=False, timeout=30) as http:
            for _ in range(count // _AT_ONCE):
                form = {"grant_type": "client_credentials", **key.form(time.time())}
                at = time.perf_counter()
                answer = http.post(url, data=form)
                times.append((time.perf_counter() - at) * 1000)
                if answer.status_code != 200:
                    raise RealmFailed(f"client credentials: {answer.status_code} {answer.text[:200]}")
        return times

    return _timed(world, [some] * _AT_ONCE)


def _measured(world: World, jobs: Sequence[Callable[[], None]]) -> Work:
    def timed(job: Callable[[], None]) -> list[float]:
        at = time.perf_counter()
        job()
        return [(time.perf_counter() - at) * 1000]

    return _timed(world, [lambda job=job: timed(job) for job in jobs])  # type: ignore[misc]


def _timed(world: World, jobs: Sequence[Callable[[], list[float]]]) -> Work:
    pid = world.pid("keycloak")
    before, begun = cpu_seconds(pid), time.perf_counter()
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        times = [value for part in pool.map(lambda job: job(), jobs) for value in part]
    elapsed, used = time.perf_counter() - begun, cpu_seconds(pid) - before
    return Work(len(times) / elapsed, len(times) / used, share(times, 0.50), share(times, 0.95))
