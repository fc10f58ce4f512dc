"""wrk against one server, with what the servers behind it used for each request."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.measure import cpu_seconds, machine_busy, resident_bytes
from bench.peers import PROGRAMS, WRK

CONNECTIONS = 16
_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}


class LoadFailed(Exception):
    """Some answer was no success, or wrk did not run; the text says what it printed."""


@dataclass(frozen=True, slots=True)
class Load:
    """What a run came to.

    rate: requests per second; p50, p99: milliseconds; cpu: µs for each request, by server
    resident: MiB of all those servers right after; busy: the share of the machine that was in use, 0 to 1
    """

    rate: float
    p50: float
    p99: float
    cpu: dict[str, float]
    resident: float
    busy: float

    @property
    def total(self) -> float:
        """CPU µs for each request, of all servers together."""
        return sum(self.cpu.values())


def run(
    url: str, script: Path, servers: dict[str, int], *, seconds: int, warm: int = 1, connections: int = CONNECTIONS
) -> Load:
    """So many connections of one thread for `seconds`, after `warm` seconds that do not count.

    servers: process ids by name, whose trees the CPU is counted of. Raises LoadFailed.
    """
    if warm:
        _wrk(url, script, warm, connections)
    before = {name: cpu_seconds(pid) for name, pid in servers.items()}
    busy, begun = machine_busy(), time.monotonic()
    told = _wrk(url, script, seconds, connections)
    elapsed = time.monotonic() - begun
    used = {name: cpu_seconds(pid) - before[name] for name, pid in servers.items()}
    requests = int(_found(r"(\d+) requests in", told)[0])
    if requests == 0:
        raise LoadFailed(told)
    return Load(
        rate=requests / elapsed,
        p50=_milliseconds(told, "50%"),
        p99=_milliseconds(told, "99%"),
        cpu={name: seconds / requests * 1e6 for name, seconds in used.items()},
        resident=resident_bytes(*servers.values()) / 2**20,
        busy=(machine_busy() - busy) / elapsed / 2,
    )


def best(loads: Sequence[Load]) -> Load:
    """The run that the rest of the machine disturbed least: the one that served most."""
    return max(loads, key=lambda load: load.rate)


def _wrk(url: str, script: Path, seconds: int, connections: int) -> str:
    program = PROGRAMS[WRK].find()
    if program is None:
        raise LoadFailed(PROGRAMS[WRK].absent)
    words = [str(program), "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", str(script), url]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=seconds + 60)  # noqa: S603
    if done.returncode != 0 or "Non-2xx" in done.stdout or "Socket errors" in done.stdout:
        raise LoadFailed(done.stdout + done.stderr)
    return done.stdout


def _milliseconds(told: str, share: str) -> float:
    number, unit = _found(rf"^\s+{share}\s+([\d.]+)(us|ms|s|m)\s*$", told)
    return float(number) * _UNITS[unit]


def _found(pattern: str, told: str) -> tuple[str, ...]:
    match = re.search(pattern, told, re.MULTILINE)
    if match is None:
        raise LoadFailed(told)
    return match.groups()
