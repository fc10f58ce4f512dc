"""`python -m bench.session`: the table on stdout, `bench/results/session.json` and `.svg`; progress on stderr."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bench import plot, results, table
from bench.peers import OAUTH2_PROXY, WRK, version
from bench.results import Better, Row
from bench.session import checks, realm
from bench.session.checks import Once
from bench.session.doors import Door, Doors, doors
from bench.session.faults import Fault, faults
from bench.session.provider import CLIENT, id_tokens
from bench.session.realm import PUBLISHED, RealmFailed, Work
from bench.session.world import DIRECTORY, Person, World, world
from bench.vault import load
from bench.vault.load import Load
from stack.keycloak import VERSION
from stack.login import LoginFailed

_FILE = results.DIRECTORY / "session.json"
_ALONE, _PEER, _BOOK = "nginx alone", "oauth2-proxy", "Keycloak's guide"
_MANY, _ONE = 16, 1


def main() -> int:
    """Runs everything; of repeated runs the one that served most counts."""
    arguments = _arguments()
    for name in [name for name in os.environ if name.startswith(("ADMIN_SYNC_", "VAULT_", "TRADEPULSE_", "PROXY_"))]:
        del os.environ[name]
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    rows: list[Row] = []
    missing = 0
    with world(arguments.stack, keep=arguments.keep) as made, made.people(arguments.people) as people:
        place = made.layout.state / "bench"
        secret = made.layout.secret("idp-workforce").read_text().strip()
        broker = made.urls["session-broker"]
        with doors(
            place,
            broker=broker,
            broker_pid=made.pid("session-broker"),
            issuer=made.settings["WORKFORCE_ISSUER"],
            audience=CLIENT,
        ) as opened:
            try:
                if not arguments.faults_only:
                    rows += _doors(made, opened, people, secret=secret, arguments=arguments)
                    rows += _realm(made, people, arguments)
            except (LoginFailed, RealmFailed) as problem:
                # What was measured so far is not lost for it; the exit code says that something is missing.
                _say(f"Keycloak's own figures are missing: {problem}")
                missing = 1
            if not arguments.no_faults:
                some = people[:20]
                told = asyncio.run(faults(made, opened.ours.url, some, secret, seconds=arguments.fault_seconds))
                rows += _faults(told)
    versions = {
        "Keycloak": VERSION,
        OAUTH2_PROXY: version(OAUTH2_PROXY),
        WRK: version(WRK),
        "Python": sys.version.split()[0],
    }
    result = results.result(rows, versions)
    if arguments.faults_only:
        result = results.merged(results.read(arguments.out), result)
    results.write(arguments.out, result)
    plot.write(arguments.out.with_suffix(".svg"), result)
    print(table.text(table.cells(result)))  # noqa: T201
    for line in table.reasons(result):
        print(line)  # noqa: T201
    return missing


def _doors(
    made: World, opened: Doors, people: Sequence[Person], *, secret: str, arguments: argparse.Namespace
) -> Iterator[Row]:
    issuer, emails = made.settings["WORKFORCE_ISSUER"], [person.email for person in people]
    named = {"ours": opened.ours, _ALONE: opened.alone} | ({_PEER: opened.oauth2_proxy} if opened.oauth2_proxy else {})
    busy: dict[tuple[str, int], list[Load]] = {}
    first: dict[str, list[Once]] = {}
    for number in range(arguments.rounds):
        for who, door in named.items():
            tokens = asyncio.run(id_tokens(issuer, emails, secret))
            also = {"Keycloak": made.pid("keycloak")} if who == "ours" else {}
            found = asyncio.run(checks.once(door, tokens, also, exchanged=who == "ours"))
            first.setdefault(who, []).append(found)
            _say(
                f"round {number + 1}, first check, {who}: {found.rate:.0f}/s, p99 {found.p99:.1f} ms, {_cpu(found.cpu)}"
            )
            for connections in (_MANY, _ONE):
                run = checks.cached(
                    door, tokens[:50], made.layout.state / "bench", seconds=arguments.seconds, connections=connections
                )
                busy.setdefault((who, connections), []).append(run)
                _say(
                    f"round {number + 1}, checked before, {connections} connections, {who}: {run.rate:.0f}/s, "
                    f"p50 {run.p50:.2f} ms, p99 {run.p99:.2f} ms, {_cpu(run.cpu)}, machine {run.busy:.0%} busy"
                )
    chosen = {key: load.best(runs) for key, runs in busy.items()}
    yield from _cached(chosen, named, opened.absent)
    yield from _once({who: max(runs, key=lambda run: run.rate) for who, runs in first.items()}, opened.absent)
    token = asyncio.run(id_tokens(issuer, emails[:1], secret))[0]
    alone = asyncio.run(checks.verification(issuer, CLIENT, token, 2000))
    yield _row("verification of an external token alone", "CPU µs", "lower", alone)


def _cached(chosen: Mapping[tuple[str, int], Load], named: Mapping[str, Door], absent: str) -> Iterator[Row]:
    def figures(connections: int, take: str) -> dict[str, float | None]:
        return {
            who: float(getattr(chosen[who, connections], take)) if who in named else None
            for who in ("ours", _ALONE, _PEER)
        }

    for connections in (_MANY, _ONE):
        case = f"request with a token checked before, {connections} connection{'s' if connections > 1 else ''}"
        units: list[tuple[str, str, Better]] = [
            ("requests/s", "rate", "higher"),
            ("p50 ms", "p50", "lower"),
            ("p99 ms", "p99", "lower"),
            ("CPU µs/request", "total", "lower"),
        ]
        for unit, take, better in units:
            yield _against(case, unit, better, figures(connections, take), absent)
    # What the check adds is what the same nginx without it does not take.
    for unit, take, scale in (("CPU µs/request", "total", 1.0), ("p50 ms", "p50", 1.0)):
        connections = _MANY if unit.startswith("CPU") else _ONE
        told = figures(connections, take)
        bare = told.pop(_ALONE) or 0.0
        added = {who: None if value is None else max(0.0, value - bare) * scale for who, value in told.items()}
        yield _against(f"what a check adds, {connections} connection{'s' if connections > 1 else ''}", unit, "lower",
                       added, absent)  # fmt: skip


def _once(found: Mapping[str, Once], absent: str) -> Iterator[Row]:
    case = "first request with a token, 8 at once (ours exchanges it in Keycloak; oauth2-proxy only verifies)"
    units: list[tuple[str, str, Better]] = [
        ("requests/s", "rate", "higher"),
        ("p50 ms", "p50", "lower"),
        ("p99 ms", "p99", "lower"),
    ]
    for unit, take, better in units:
        told = {who: float(getattr(found[who], take)) if who in found else None for who in ("ours", _ALONE, _PEER)}
        yield _against(case, unit, better, told, absent)
    keycloak = found["ours"].cpu["Keycloak"]
    yield _row(case, "CPU µs/request in Keycloak", "lower", keycloak)
    yield _row(
        "exchanges (two grants each) per second of one core of Keycloak", "exchanges/s", "higher", 1e6 / keycloak,
        {_BOOK: PUBLISHED["client credentials"]},
    )  # fmt: skip


def _realm(made: World, people: Sequence[Person], arguments: argparse.Namespace) -> Iterator[Row]:
    entered, sessions = realm.logins(made, people)
    _say(f"logins: {entered}")
    renewed = realm.refreshes(made, sessions[:20], arguments.refreshes)
    _say(f"refreshes: {renewed}")
    granted = realm.client_credentials(made, arguments.refreshes * 20)
    _say(f"client credentials: {granted}")
    works: list[tuple[str, str, Work]] = [
        ("logins with password and one-time code", "logins", entered),
        ("refreshes with rotation", "refreshes", renewed),
        ("client credentials with a signed assertion", "client credentials", granted),
    ]
    for what, unit, work in works:
        # The guide's logins have a password alone.
        published = {_BOOK: PUBLISHED[unit]}
        yield _row(f"{what}, per second of one core of Keycloak", f"{unit}/s", "higher", work.per_core, published)
        yield _row(f"{what}, 4 at once", "p50 ms", "lower", work.p50)
        yield _row(f"{what}, 4 at once", "p95 ms", "lower", work.p95)


def _faults(told: Sequence[Fault]) -> Iterator[Row]:
    for fault in told:
        case = f"under load: {fault.name}"
        _say(
            f"{case}: good {dict(fault.good)}, bad {dict(fault.bad)}, {fault.wrong} wrong, {fault.away:.1f} s, "
            f"{fault.kept} of {fault.sessions} sessions kept"
        )
        yield _row(case, "requests with good tokens", "higher", float(fault.good.total()))
        yield _row(case, "of these not let in", "lower", float(fault.failed))
        yield _row(case, "s from the first of these to the last", "lower", fault.away)
        yield _row(case, "requests with bad tokens", "higher", float(fault.bad.total()))
        yield _row(case, "wrong acceptances", "lower", float(fault.wrong))
        yield _row(case, f"of {fault.sessions} sessions kept", "higher", float(fault.kept))


def _against(case: str, unit: str, better: Better, figures: Mapping[str, float | None], absent: str) -> Row:
    peers = {who: value for who, value in figures.items() if who != "ours"}
    return _row(
        case, unit, better, figures["ours"], peers, why={who: absent for who, value in peers.items() if value is None}
    )


def _row(
    case: str,
    unit: str,
    better: Better,
    ours: float | None,
    peers: Mapping[str, float | None] | None = None,
    *,
    why: Mapping[str, str] | None = None,
) -> Row:
    return Row(
        case=case,
        unit=unit,
        better=better,
        ours=None if ours is None else round(ours, 2),
        peers={who: None if value is None else round(value, 2) for who, value in (peers or {}).items()},
        why_null=why or {},
        measured=results.now(),
    )


def _cpu(cpu: Mapping[str, float]) -> str:
    return "µs: " + ", ".join(f"{name} {value:.0f}" for name, value in cpu.items())


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.session", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two seconds a run, one round, 40 people, short faults")
    parser.add_argument("--seconds", type=int, help="of each run; default: 8")
    parser.add_argument("--rounds", type=int, help="runs of each case; default: 2")
    parser.add_argument("--people", type=int, help="accounts; default: 120")
    parser.add_argument("--no-faults", action="store_true")
    parser.add_argument("--faults-only", action="store_true", help="keep the other rows of the result file")
    parser.add_argument("--stack", default=DIRECTORY, help=f"state directory; default: {DIRECTORY}")
    parser.add_argument("--keep", action="store_true", help="leave the stack running")
    parser.add_argument("--out", type=Path, default=_FILE)
    told = parser.parse_args()
    small = told.quick
    told.seconds = told.seconds or (2 if small else 8)
    told.rounds = told.rounds or (1 if small else 2)
    told.people = told.people or (40 if small else 120)
    told.refreshes = 5 if small else 20
    told.fault_seconds = 4.0 if small else 10.0
    return told


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
