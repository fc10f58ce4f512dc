"""`python -m bench.vault`: ours beside OpenBao; prints the table and writes `bench/results/vault.json` and `.svg`."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

from bench import plot, results, table
from bench.peers import BAO, PROGRAMS, WRK, version
from bench.results import Better, Row
from bench.vault import load, scripts
from bench.vault import rotation as rotations
from bench.vault.load import Load
from bench.vault.openbao import CONTEXTS, KEY, Bao, openbao, postgresql, raft
from bench.vault.world import PARTNERS, SECRET, Servers, servers, vault

_FILE = results.DIRECTORY / "vault.json"
_RAFT, _POSTGRES = "OpenBao, raft", "OpenBao, PostgreSQL"
_TRANSIT = "OpenBao, transit"

Runs = dict[tuple[str, str], list[Load]]
"""Every run, by what was done and by whom."""


def main() -> int:
    """Runs everything, each case `--rounds` times in turns; the run of each that served most counts."""
    arguments = _arguments()
    for name in [name for name in os.environ if name.startswith(("ADMIN_SYNC_", "VAULT_", "TRADEPULSE_"))]:
        del os.environ[name]
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    runs: Runs = {}
    moved: dict[str, rotations.Rotation] = {}
    with ExitStack() as stack:
        made = stack.enter_context(servers())
        absent = None if PROGRAMS[BAO].find() else PROGRAMS[BAO].absent
        peers: dict[str, Bao] = {}
        if absent is None:
            dsn = made.database.dsn("keycloak", "keycloak")
            peers[_RAFT] = stack.enter_context(openbao(made.home / "raft", raft(made.home / "raft")))
            peers[_POSTGRES] = stack.enter_context(openbao(made.home / "pg", postgresql(dsn)))
        _measure(made, peers, runs, arguments)
        if arguments.rows:
            moved["ours"] = rotations.ours(made, arguments.rows)
            _say(f"rotation: {moved['ours']}")
            if _RAFT in peers:
                moved[_TRANSIT] = rotations.rewrap(peers[_RAFT], arguments.rows // 10)
                _say(f"rewrap: {moved[_TRANSIT]}")
    versions = {BAO: version(BAO), WRK: version(WRK), "Python": sys.version.split()[0], "workers": arguments.workers}
    result = results.result([*_rows(runs, absent), *_moved(moved, absent)], versions)
    results.write(_FILE, result)
    plot.write(_FILE.with_suffix(".svg"), result)
    print(table.text(table.cells(result)))  # noqa: T201
    for line in table.reasons(result):
        print(line)  # noqa: T201
    return 0


def _measure(made: Servers, peers: Mapping[str, Bao], runs: Runs, arguments: argparse.Namespace) -> None:
    folder = made.home / "scripts"
    folder.mkdir()
    with vault(made, int(arguments.workers), VAULT_DATABASE_POOL=arguments.pool) as running:
        ours = {"vault": running.process.pid, "PostgreSQL": made.database.pid, "OPA": made.opa}
        cases = [(what, "ours", running.url, script, ours) for what, script in _ours(made, folder)]
        for name, bao in peers.items():
            behind = {"OpenBao": bao.pid} | ({"PostgreSQL": made.database.pid} if name == _POSTGRES else {})
            cases += [(what, name, bao.url, script, behind) for what, script in _theirs(bao, folder, name)]
        for number in range(int(arguments.rounds)):
            # Writes come first: what is read is what they wrote.
            for what, who, url, script, behind in cases:
                found = load.run(url, script(number), behind, seconds=int(arguments.seconds))
                runs.setdefault((what, who), []).append(found)
                cpu = ", ".join(f"{name} {value:.0f}" for name, value in found.cpu.items())
                _say(
                    f"{what}: {who}: {found.rate:.0f}/s, p50 {found.p50:.1f} ms, p99 {found.p99:.1f} ms, "
                    f"µs: {cpu}, machine {found.busy:.0%} busy"
                )


Script = Callable[[int], Path]


def _ours(made: Servers, folder: Path) -> Iterator[tuple[str, Script]]:
    def callers() -> list[tuple[str, Mapping[str, str]]]:
        # Fresh tokens for each run, as a login gives them: a sensitive permission wants a recent one.
        return [(partner, made.world.realm.bearer(partner)) for partner in PARTNERS]

    path = "/v1/partners/%s/connections/"
    body = json.dumps(
        {"broker": "paper", "access_token": SECRET, "expires_at": "2099-01-01T00:00:00+00:00", "scopes": ["trade"]}
    )

    def store(number: int) -> Path:
        # The first two write what the others read; both the run that warms up and the one that counts begin anew.
        lua = scripts.writing("PUT", f"{path}r{number}-%s-%d/credential", body, conditional=True)
        return scripts.write(folder / "store.lua", callers(), lua)

    def fixed(method: str, tail: str, name: str) -> Script:
        return lambda number: scripts.write(
            folder / f"{name}.lua", callers(), scripts.reading(method, f"{path}fixed-%d/credential{tail}")
        )

    _fill_ours(made, body)
    yield "store (kv-v2 write)", store
    yield "release (kv-v2 read)", fixed("POST", "/release", "release")
    yield "describe", fixed("GET", "", "describe")


def _fill_ours(made: Servers, body: str) -> None:
    with vault(made, 1) as running:
        for partner in PARTNERS:
            headers = {**made.world.realm.bearer(partner), "If-None-Match": "*", "Content-Type": "application/json"}
            for number in range(scripts.NAMES):
                address = f"/v1/partners/{partner}/connections/fixed-{number}/credential"
                running.http.put(address, headers=headers, content=body).raise_for_status()


def _theirs(bao: Bao, folder: Path, name: str) -> Iterator[tuple[str, Script]]:
    callers = [(f"p{number:02d}", {"X-Vault-Token": bao.token}) for number in range(CONTEXTS)]
    body = json.dumps({"data": {"token": SECRET}})
    for caller, _ in callers:
        for number in range(scripts.NAMES):
            bao.call("POST", f"kv/data/{caller}/fixed-{number}", data={"token": SECRET})
    slug = name.rsplit(maxsplit=1)[-1].lower()
    write = scripts.writing("POST", "/v1/kv/data/%s/%s-%d", body, conditional=False)
    read = scripts.reading("GET", "/v1/kv/data/%s/fixed-%d")
    yield "store (kv-v2 write)", lambda _: scripts.write(folder / f"{slug}-write.lua", callers, write)
    yield "release (kv-v2 read)", lambda _: scripts.write(folder / f"{slug}-read.lua", callers, read)
    if name == _RAFT:
        bodies = [
            json.dumps({"ciphertext": text, "context": context}) for text, context in bao.ciphertexts(SECRET, CONTEXTS)
        ]
        decrypt = scripts.reading("POST", f"/v1/transit/decrypt/{KEY}", bodies)
        yield "transit decrypt", lambda _: scripts.write(folder / "decrypt.lua", callers, decrypt)


def _rows(runs: Runs, absent: str | None) -> Iterator[Row]:
    measured = results.now()
    units: list[tuple[str, Better, Callable[[Load], float]]] = [
        ("requests/s", "higher", lambda run: run.rate),
        ("p50 ms", "lower", lambda run: run.p50),
        ("p99 ms", "lower", lambda run: run.p99),
        ("CPU µs/request", "lower", lambda run: run.total),
        ("resident MiB", "lower", lambda run: run.resident),
    ]
    chosen = {key: load.best(found) for key, found in runs.items()}
    for what in dict.fromkeys(what for what, _ in chosen):
        if what == "transit decrypt":
            continue
        mine = chosen[what, "ours"]
        peers = {name: chosen.get((what, name)) for name in (_RAFT, _POSTGRES)}
        if what.startswith("release"):
            peers[_TRANSIT] = chosen.get(("transit decrypt", _RAFT))
        else:
            peers[_TRANSIT] = None
        why = {name: absent or "it has no such call" for name, found in peers.items() if found is None}
        for unit, better, figure in units:
            yield Row(
                case=what,
                unit=unit,
                better=better,
                ours=round(figure(mine), 2),
                peers={name: None if found is None else round(figure(found), 2) for name, found in peers.items()},
                why_null=why,
                measured=measured,
            )
        for part, value in mine.cpu.items():
            yield Row(
                case=what,
                unit=f"CPU µs/request of which {part}",
                better="lower",
                ours=round(value, 1),
                peers=dict.fromkeys(peers),
                why_null=dict.fromkeys(peers, "in its own total"),
                measured=measured,
            )


def _moved(moved: Mapping[str, rotations.Rotation], absent: str | None) -> Iterator[Row]:
    if "ours" not in moved:
        return
    mine, theirs = moved["ours"], moved.get(_TRANSIT)
    why = {} if theirs else {_TRANSIT: absent or "it did not run"}
    figures: list[tuple[str, Better, float, float | None]] = [
        ("values/s", "higher", mine.rate, theirs.rate if theirs else None),
        ("CPU µs/value", "lower", mine.cpu, theirs.cpu if theirs else None),
        ("failed reads", "lower", float(mine.failed), None),
        ("reads meanwhile", "higher", float(mine.reads), None),
    ]
    for unit, better, value, other in figures:
        reason = why if other is not None or theirs is None else {_TRANSIT: "nothing read what it rewrapped"}
        yield Row(
            case=f"rotation of {mine.rows} rows of two values, stored, under read load (transit rewrap, not stored)",
            unit=unit,
            better=better,
            ours=round(value, 1),
            peers={_TRANSIT: None if other is None else round(other, 1)},
            why_null=reason,
            measured=results.now(),
        )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.vault", description=__doc__)
    parser.add_argument("--seconds", default="8", help="of each run; default: 8")
    parser.add_argument("--rounds", default="2", help="runs of each case; default: 2")
    parser.add_argument("--workers", default="1", help="VAULT_WORKERS of ours; default: 1")
    parser.add_argument("--pool", default="6", help="VAULT_DATABASE_POOL of ours; default: 6, three for each core")
    parser.add_argument("--rows", type=int, default=100_000, help="to rotate; 0 for none; default: 100000")
    return parser.parse_args()


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
