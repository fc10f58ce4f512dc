"""Cached and uncached checks through the three doors, and the verification of one token by itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from bench.measure import cpu_seconds
from bench.session.doors import Door
from bench.vault import load, scripts
from bench.vault.load import Load
from identity.jwks import JwksCache
from identity.jws import parse
from session_broker.access import ProviderRule, TokenKind
from session_broker.external import ExternalVerifier
from session_broker.verify import MAX_TOKEN_BYTES

PATH = "/v1/%s/%d"
_AT_ONCE = 8


class WrongAnswer(Exception):
    """A door let something through that it must not, or kept out what it must not; the text says which."""


@dataclass(frozen=True, slots=True)
class Once:
    """Requests that each brought a token never seen before.

    rate: per second; p50, p95, p99: milliseconds; cpu: µs for each request, by server
    """

    rate: float
    p50: float
    p95: float
    p99: float
    cpu: dict[str, float]


def cached(door: Door, tokens: Sequence[str], folder: Path, *, seconds: int, connections: int) -> Load:
    """wrk with these tokens in turn. Each was checked once before. Raises LoadFailed for any answer but success."""
    callers = [(f"p{number:02d}", _bearer(token)) for number, token in enumerate(tokens)]
    script = scripts.write(folder / "cached.lua", callers, scripts.reading("GET", PATH))
    return load.run(door.url, script, door.pids, seconds=seconds, warm=2, connections=connections)


async def once(door: Door, tokens: Sequence[str], also: dict[str, int], *, exchanged: bool) -> Once:
    """One request for each token, eight at once. Raises WrongAnswer.

    also:      further processes whose CPU is counted
    exchanged: whether the upstream must see another token than the one that was sent
    """
    pids = door.pids | also
    times: list[float] = []
    waiting = list(enumerate(tokens))
    before = {name: cpu_seconds(pid) for name, pid in pids.items()}
    begun = time.perf_counter()
    async with httpx.AsyncClient(trust_env=False, timeout=30, base_url=door.url) as http:

        async def worker() -> None:
            while waiting:
                number, token = waiting.pop()
                at = time.perf_counter()
                answer = await http.get(PATH % ("once", number), headers=_bearer(token))
                times.append((time.perf_counter() - at) * 1000)
                if answer.status_code != 200:
                    raise WrongAnswer(f"{answer.status_code}: {answer.text[:200]}")
                if exchanged and (token in answer.text or not answer.text.startswith("Bearer ey")):
                    raise WrongAnswer("the token that came in went on")

        await asyncio.gather(*(worker() for _ in range(_AT_ONCE)))
    elapsed = time.perf_counter() - begun
    used = {name: cpu_seconds(pid) - before[name] for name, pid in pids.items()}
    return Once(
        rate=len(tokens) / elapsed,
        p50=share(times, 0.50),
        p95=share(times, 0.95),
        p99=share(times, 0.99),
        cpu={name: value / len(tokens) * 1e6 for name, value in used.items()},
    )


async def verification(issuer: str, audience: str, token: str, rounds: int) -> float:
    """CPU µs of reading and verifying one external token (RS256), nothing remembered."""
    rule = ProviderRule(
        issuer=issuer,
        jwks_url=f"{issuer}/jwks",
        audiences=frozenset({audience}),
        accepts=frozenset({TokenKind.ID}),
    )
    async with httpx.AsyncClient(trust_env=False) as http:
        verifier = ExternalVerifier("bench", rule, JwksCache(http, rule.jwks_url), lambda _token: "bench")
        await verifier.verify(token, parse(token, algorithms=rule.algorithms, max_bytes=MAX_TOKEN_BYTES), "")
        begun = time.process_time()
        for _ in range(rounds):
            await verifier.verify(token, parse(token, algorithms=rule.algorithms, max_bytes=MAX_TOKEN_BYTES), "")
    return (time.process_time() - begun) / rounds * 1e6


def share(values: Sequence[float], part: float) -> float:
    """The value that `part` (0 to 1) of all are not above."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
