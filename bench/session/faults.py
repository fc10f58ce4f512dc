"""Faults under load: what failed, how long, and whether anything wrong was let in meanwhile.

Good tokens are those of people of the workforce; bad ones are made of them (another signature, another payload, no
algorithm, the provider next door, an internal token of another realm's shape). The upstream answers with what it saw,
so an accepted bad token and a raw token that went on are both seen. Whoever had logged in before refreshes their
session when a phase is over: one that a crash cost is a person who has to log in again.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field

import httpx

from bench.session.provider import ProviderFailed, id_tokens
from bench.session.world import Person, World
from stack.login import HttpLogin, Login

_WORKERS = 6
_SESSIONS = 10
_PATIENCE = 180.0
"""Seconds that a server has to come back before its sessions count as lost."""
_PAUSE = 0.01


@dataclass
class Fault:
    """One phase. Statuses are those that good tokens met; `wrong` counts bad tokens that were let in."""

    name: str
    good: Counter[str] = field(default_factory=Counter)
    bad: Counter[str] = field(default_factory=Counter)
    wrong: int = 0
    away: float = 0.0
    """Seconds between the first and the last failure of a good token."""
    sessions: int = 0
    """How many people had a session before it."""
    kept: int = 0
    """How many of them could refresh it afterwards."""

    @property
    def failed(self) -> int:
        """Requests with good tokens that were not let in."""
        return sum(count for status, count in self.good.items() if status != "200")


class Sessions:
    """People who logged in once, and what they refresh with."""

    def __init__(self, issuer: str, tokens: Sequence[str]) -> None:
        self._url = f"{issuer}/protocol/openid-connect/token"
        self._tokens = list(tokens)

    def refresh(self) -> tuple[int, int]:
        """How many there were, and how many could go on; those that could not are gone."""
        before, kept = len(self._tokens), []
        # A server that is not back yet has lost nobody's session.
        until = time.monotonic() + _PATIENCE
        with httpx.Client(trust_env=False, timeout=30) as http:
            for token in self._tokens:
                answer = self._asked(http, token)
                while answer is None and time.monotonic() < until:
                    time.sleep(0.5)
                    answer = self._asked(http, token)
                if answer is not None and answer.status_code == 200:
                    kept.append(str(answer.json()["refresh_token"]))
        self._tokens = kept
        return before, len(kept)

    def _asked(self, http: httpx.Client, token: str) -> httpx.Response | None:
        """The answer, None where nobody was there to give one."""
        form = {"grant_type": "refresh_token", "client_id": "tradepulse-cli", "refresh_token": token}
        with suppress(httpx.ConnectError):
            answer = http.post(self._url, data=form)
            return None if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE else answer
        return None


class Load:
    """Good and bad requests, on and on, until told to stop."""

    def __init__(self, url: str, issuer: str) -> None:
        self._url = url
        self._internal = issuer
        self.tokens: list[str] = []
        self.forged: list[str] = []
        self.fault = Fault("")
        self._first = self._last = 0.0
        self._ended = asyncio.Event()

    def give(self, tokens: Sequence[str]) -> None:
        """Good tokens from now on, and bad ones made of them."""
        self.tokens = list(tokens)
        self.forged = [forged for token in tokens[:4] for forged in forgeries(token)]

    def begin(self, name: str) -> Fault:
        """Count for another phase from now on."""
        self.fault, self._first, self._last = Fault(name), 0.0, 0.0
        return self.fault

    async def run(self) -> None:
        """Until `end`."""
        async with asyncio.TaskGroup() as group:
            for number in range(_WORKERS):
                group.create_task(self._work(number))

    def end(self) -> None:
        """Stop asking."""
        self._ended.set()

    async def _work(self, number: int) -> None:
        turn = number
        async with httpx.AsyncClient(trust_env=False, timeout=15) as http:
            while not self._ended.is_set():
                turn += 1
                good = turn % 3 != 0
                chosen = self.tokens if good else self.forged
                token = chosen[turn % len(chosen)]
                try:
                    answer = await http.get(f"{self._url}/v1/x/{turn}", headers={"Authorization": f"Bearer {token}"})
                    status, seen = str(answer.status_code), answer.text
                except httpx.HTTPError as problem:
                    status, seen = type(problem).__name__, ""
                self._count(good, token, status, seen)
                await asyncio.sleep(_PAUSE)

    def _count(self, good: bool, token: str, status: str, seen: str) -> None:
        fault = self.fault
        (fault.good if good else fault.bad)[status] += 1
        if status == "200" and (not good or token in seen or not self._ours(seen)):
            fault.wrong += 1
        if good and status != "200":
            now = time.monotonic()
            self._first = self._first or now
            fault.away = now - self._first

    def _ours(self, seen: str) -> bool:
        with suppress(ValueError, IndexError, KeyError):
            return bool(claims(seen.removeprefix("Bearer "))["iss"] == self._internal)
        return False


def claims(token: str) -> dict[str, object]:
    """The claims of a token, unverified."""
    body = token.split(".")[1]
    found: dict[str, object] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return found


def forgeries(token: str) -> list[str]:
    """Tokens that look like this one and are not."""
    head, body, signature = token.split(".")

    def coded(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    other = claims(token) | {"sub": "somebody.else@tradepulse.example", "email": "somebody.else@tradepulse.example"}
    flipped = ("A" if signature[10] != "A" else "B").join((signature[:10], signature[11:]))
    return [
        f"{head}.{body}.{flipped}",
        f"{head}.{coded(other)}.{signature}",
        f"{coded({'alg': 'none'})}.{body}.",
        f"{coded({'alg': 'HS256', 'typ': 'JWT'})}.{coded(other)}.{signature}",
        f"{head}.{coded(claims(token) | {'iss': 'https://elsewhere.example'})}.{signature}",
        "not-a-token",
    ]


async def faults(world: World, url: str, people: Sequence[Person], secret: str, *, seconds: float) -> list[Fault]:
    """Every phase in turn, each for so many seconds and until good tokens are let in again. Raises LoginFailed."""
    issuer, emails = world.settings["WORKFORCE_ISSUER"], [person.email for person in people]
    sessions = Sessions(world.issuer, await asyncio.to_thread(_entered, world, people[:_SESSIONS]))
    load = Load(url, world.issuer)
    load.give(await id_tokens(issuer, emails, secret))
    found: list[Fault] = []
    running = asyncio.create_task(load.run())
    phases: list[tuple[str, Callable[[], AbstractContextManager[None]]]] = [
        ("nothing", nullcontext),
        ("the realm's signing key rotated", world.another_key),
        ("the provider killed", lambda: _killed(world, "neighbours")),
        ("the session broker killed", lambda: _killed(world, "session-broker")),
        ("Keycloak killed", lambda: _killed(world, "keycloak")),
        ("PostgreSQL killed", lambda: _killed(world, "postgres")),
    ]
    for name, begin in phases:
        found.append(load.begin(name))
        with await asyncio.to_thread(begin):
            await asyncio.sleep(seconds)
            # Tokens never seen before: what is remembered hides what cannot be had.
            with suppress(httpx.HTTPError, ProviderFailed):
                load.give(await id_tokens(issuer, emails, secret))
            await _well(load, issuer, emails, secret)
        found[-1].sessions, found[-1].kept = await asyncio.to_thread(sessions.refresh)
    load.end()
    await running
    return found


def _entered(world: World, people: Sequence[Person]) -> list[str]:
    """The refresh tokens of people who log in now."""
    found = []
    for person in people:
        with HttpLogin(world.issuer, saved=person.factor) as driver:
            found.append(driver.login(Login(person.email, person.password, acr="aal1")).refresh_token)
    return found


def _killed(world: World, service: str) -> AbstractContextManager[None]:
    """SIGKILL; the supervisor starts it again by itself."""
    os.kill(world.pid(service), signal.SIGKILL)
    return nullcontext()


async def _well(load: Load, issuer: str, emails: Sequence[str], secret: str) -> None:
    """Return when five seconds have passed in which nobody good was refused, two minutes at the longest."""
    until, calm, failed = time.monotonic() + 120, time.monotonic(), load.fault.failed
    while time.monotonic() < until and time.monotonic() - calm < 5:
        await asyncio.sleep(0.5)
        if load.fault.failed != failed:
            calm, failed = time.monotonic(), load.fault.failed
            with suppress(httpx.HTTPError, ProviderFailed):
                load.give(await id_tokens(issuer, emails, secret))
