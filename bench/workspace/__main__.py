"""`python -m bench.workspace`: the table on stdout, `bench/results/workspace.json` and `.svg`; progress on stderr."""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from bench import plot, results, table
from bench.results import Row
from bench.workspace.people import PARTNER, Person, Realm
from bench.workspace.visitor import Stopped, Visitor
from bench.workspace.weight import weigh
from stack import control
from stack.keycloak import VERSION
from stack.layout import CHECKOUT, STATE_VARIABLE, Layout
from stack.people import connect
from stack.settings import read

DIRECTORY = ".stack-workspace-bench"
_PAGES = ("/", f"/partners/{PARTNER}/connections", f"/partners/{PARTNER}/link", f"/partners/{PARTNER}/audit")
_OPEN_PAGES = ("/signed-out",)


@dataclass
class Logins:
    """What came of many logins: seconds of those that worked, and why the others did not."""

    times: list[float] = field(default_factory=list)
    failed: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    @property
    def tried(self) -> int:
        """All of them."""
        return len(self.times) + self.failed.total()

    def share(self) -> float:
        """How many of a hundred worked."""
        return 100 * len(self.times) / self.tried

    def at(self, percent: int) -> float:
        """The time that so many of a hundred stay below, in milliseconds."""
        return statistics.quantiles(self.times, n=100, method="inclusive")[percent - 1] * 1000


def main() -> int:
    """Runs everything; 1 where logins failed, 0 otherwise."""
    arguments = _arguments()
    layout = Layout(CHECKOUT / arguments.stack)
    for name in [name for name in os.environ if name.startswith(("ADMIN_SYNC_", "VAULT_", "WORKSPACE_", "ACCESS_"))]:
        del os.environ[name]
    if not arguments.keep:
        _stack(layout, "up", "--no-story", f"--owner={os.getpid()}", "--without", "reconciler")
    try:
        found, failed = _measured(layout, arguments)
    finally:
        if not arguments.keep:
            _stack(layout, "down")
    result = results.result(found, {"Keycloak": VERSION, "Python": sys.version.split()[0]})
    results.write(arguments.out, result)
    plot.write(arguments.out.with_suffix(".svg"), result)
    print(table.text(table.cells(result)))  # noqa: T201
    for why, count in failed.most_common():
        print(f"{count} failed: {why}")  # noqa: T201
    return 1 if failed else 0


def _measured(layout: Layout, arguments: argparse.Namespace) -> tuple[list[Row], Counter[str]]:
    url, issuer = read(layout)["WORKSPACE_URL"], read(layout)["TRADEPULSE_ISSUER"]
    realm = Realm(connect(layout))
    services = {name: int(pid) for name, pid in control.state(layout)["pids"].items()}
    with realm.people(arguments.people) as people:
        _say(f"{len(people)} people are made; one login each to warm up")
        _logins(url, issuer, people, len(people), at_once=arguments.at_once)
        before = _cpu(services)
        whole = _logins(url, issuer, people, arguments.logins, at_once=arguments.at_once)
        spent = {name: used - before[name] for name, used in _cpu(services).items()}
        _say(f"{whole.tried} logins in {whole.seconds:.0f} s, {whole.failed.total()} failed")
        again = _known(url, issuer, people[: arguments.at_once], arguments.again)
        rows = [*_rows(whole, again, arguments.at_once), *_costs(spent, whole.tried)]
        with Visitor(url, issuer, people[0]) as visitor:
            visitor.log_in()
            for path in (*_PAGES, *_OPEN_PAGES):
                one = weigh(visitor.http, url, path)
                _say(f"{path}: {one.whole / 1024:.1f} KiB, {one.requests} requests, {one.first_byte:.1f} ms")
                rows += [
                    _row(f"page {path}", "ms to the first byte", one.first_byte),
                    _row(f"page {path}", "KiB of HTML", one.html / 1024),
                    _row(f"page {path}", "KiB with all it fetches", one.whole / 1024),
                    _row(f"page {path}", "requests", one.requests),
                    _row(f"page {path}", "requests once a browser knows it", one.requests - one.kept),
                ]
    return rows, whole.failed + again.failed


def _logins(url: str, issuer: str, people: Sequence[Person], count: int, *, at_once: int) -> Logins:
    """Whole logins (password and security key) in new windows, so many at once, each person one at a time."""
    done, begun = Logins(), time.perf_counter()

    def of(number: int) -> None:
        # Nobody is two people at once: each thread has people of its own.
        mine = people[number::at_once]
        for turn in range(count // at_once + (number < count % at_once)):
            with Visitor(url, issuer, mine[turn % len(mine)]) as visitor:
                _tried(done, visitor)
                if turn and turn % 20 == 0 and number == 0:
                    _say(f"{done.tried} logins")

    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(of, range(at_once)))
    done.seconds = time.perf_counter() - begun
    return done


def _known(url: str, issuer: str, people: Sequence[Person], times: int) -> Logins:
    """Logins of windows that the realm knows already, all people at once."""
    done, begun = Logins(), time.perf_counter()

    def of(person: Person) -> None:
        with Visitor(url, issuer, person) as visitor:
            visitor.log_in()
            for _ in range(times):
                _tried(done, visitor)
            visitor.log_out()

    with ThreadPoolExecutor(len(people)) as pool:
        list(pool.map(of, people))
    done.seconds = time.perf_counter() - begun
    return done


def _tried(done: Logins, visitor: Visitor) -> None:
    try:
        done.times.append(visitor.log_in().seconds)
    except Stopped as problem:
        done.failed[str(problem)] += 1


def _rows(whole: Logins, again: Logins, at_once: int) -> Iterator[Row]:
    for name, one in (("login click to page, password and security key", whole), ("the same, known browser", again)):
        case = f"{name}, {at_once} people at once"
        yield _row(case, "p50 ms", one.at(50))
        yield _row(case, "p95 ms", one.at(95))
        yield _row(case, "p99 ms", one.at(99))
        yield _row(case, "logins/s", len(one.times) / one.seconds, higher=True)
        yield _row(f"{name}: of {one.tried}", "% that work", one.share(), higher=True)


def _costs(spent: dict[str, float], logins: int) -> Iterator[Row]:
    for name in ("keycloak", "workspace", "session-broker", "vault", "access"):
        if name in spent:
            yield _row(f"a login, {name}", "CPU ms", spent[name] * 1000 / logins)


def _cpu(services: dict[str, int]) -> dict[str, float]:
    """CPU seconds that each service has used so far."""
    tick = os.sysconf("SC_CLK_TCK")
    used = {}
    for name, pid in services.items():
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
        used[name] = (int(fields[11]) + int(fields[12])) / tick
    return used


def _row(case: str, unit: str, value: float, *, higher: bool = False) -> Row:
    return Row(case=case, unit=unit, better="higher" if higher else "lower", ours=value, peers={})


def _stack(layout: Layout, *words: str) -> None:
    environment = {**os.environ, STATE_VARIABLE: str(layout.state)}
    subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "stack", *words], cwd=CHECKOUT, env=environment, check=True, stdout=sys.stderr
    )


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.workspace", description=__doc__)
    parser.add_argument("--logins", type=int, default=1000, help="whole logins")
    parser.add_argument("--again", type=int, default=20, help="logins of each known browser")
    parser.add_argument("--people", type=int, default=40)
    parser.add_argument("--at-once", type=int, default=10)
    parser.add_argument("--stack", default=DIRECTORY, help="the stack's directory")
    parser.add_argument("--keep", action="store_true", help="measure a stack that runs, and leave it running")
    parser.add_argument("--out", type=Path, default=results.DIRECTORY / "workspace.json")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
