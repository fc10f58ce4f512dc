"""python -m bench.freeze [--rounds 10]: publish, freeze, ask until it is denied; thaw; again.

Two figures for each place: from the beginning of the freeze (render, run the rules' tests, sign,
publish) and from the moment in which it was published.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from admin_sync.bundle.build import build_bundle
from admin_sync.bundle.keys import create_key
from admin_sync.bundle.opa_binary import find_opa, version_of
from admin_sync.bundle.opa_config import opa_config, render_config
from admin_sync.bundle.publish import publish
from admin_sync.bundle.source import Assurance, Environment, Grant, Permission, PolicySource, Role, Sensitive
from bench.freeze.places import PLACES, Place, settings
from bench.results import DIRECTORY, Row, merged, now, read, result, write
from bench.table import cells
from stack import ports, registry

POLICY = Path(__file__).resolve().parents[2] / "policy"

SOURCE = PolicySource(
    permissions={"analytics:read": Permission()},
    roles={"viewer": Role(permissions=frozenset({"analytics:read"}))},
    environments={"prod": Environment()},
    assurance=Assurance(interactive="aal1", sensitive=Sensitive(level="aal1", max_age=300)),
    grants=(Grant(email="ada@example.test", environment="prod", role="viewer"),),
)
QUESTION: dict[str, Any] = {
    "environment": "prod", "permission": "analytics:read", "partner": None, "resource": {},
    "subject": {
        "kind": "person", "id": "1", "email": "ada@example.test", "environment": "prod", "client": "bench",
        "groups": ["viewer"], "assurance_level": "aal1", "acr": "aal1", "amr": ["pwd"], "auth_time": 1,
        "organizations": {},
    },
}  # fmt: skip


class Bench:
    """Keys, an OPA program, and what to do with a place."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.opa = find_opa()
        self.key, self.public = home / "bundle.pem", home / "bundle.pub"
        create_key(self.key, self.public)

    def publish(self, place: Place, *, frozen: bool = False, thaw: bool = False) -> None:
        """What the command does, but for reading configs/iam."""
        made = build_bundle(SOURCE, policy_dir=POLICY, key=self.key, opa=self.opa, frozen=frozen)
        publish(made, place.target, thaw=thaw)

    @contextmanager
    def deciding(self, place: Place, home: Path) -> Iterator[httpx.Client]:
        """An OPA that subscribes to the place."""
        config = home / "opa.yaml"
        config.write_text(render_config(opa_config(**settings(place, self.public, home))))
        address = f"127.0.0.1:{ports.unused()}"
        command: list[str | Path] = [self.opa, "run", "--server", f"--addr={address}", "--disable-telemetry"]
        with (home / "opa.log").open("wb") as log:
            process = subprocess.Popen([*command, "--config-file", config], stdout=log, stderr=log)  # noqa: S603
        try:
            with httpx.Client(base_url=f"http://{address}", timeout=10, trust_env=False) as http:
                yield http
        finally:
            process.terminate()
            process.wait(timeout=20)

    def rounds(self, place: Place, home: Path, count: int) -> list[tuple[float, float]]:
        """Seconds from the beginning of each freeze, and from its publication, to the first denial."""
        found = []
        self.publish(place)
        with self.deciding(place, home) as http:
            for _ in range(count):
                _until(http, allowed=True)
                begun = time.monotonic()
                self.publish(place, frozen=True)
                published = time.monotonic()
                denied = _until(http, allowed=False)
                found.append((denied - begun, denied - published))
                self.publish(place, thaw=True)
        return found


def _until(http: httpx.Client, *, allowed: bool) -> float:
    """When OPA first answered so. Raises TimeoutError after a minute."""
    limit = time.monotonic() + 60
    while time.monotonic() < limit:
        try:
            answer = http.post("/v1/data/tradepulse/authz/decision", json={"input": QUESTION}).json()
        except httpx.TransportError:
            answer = {}
        if answer.get("result", {}).get("allow", False) is allowed and (allowed or "result" in answer):
            return time.monotonic()
        time.sleep(0.005)
    raise TimeoutError(f"OPA never answered allow={allowed}")


def _rows(name: str, found: list[tuple[float, float]], begun: str) -> list[Row]:
    """The median and the worst of both figures."""
    rows = []
    for index, label in enumerate(("freeze", "publication")):
        values = [one[index] for one in found]
        for kind, value in (("median", statistics.median(values)), ("worst", max(values))):
            case = f"{name}: {label} to first denial, {kind} of {len(found)}"
            rows.append(Row(case=case, unit="s", better="lower", ours=round(value, 3), peers={}, measured=begun))
    return rows


def main(words: list[str]) -> int:
    """Measure, print the table, write `bench/results/freeze.json`."""
    parser = argparse.ArgumentParser(prog="bench.freeze", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--places", nargs="+", choices=list(PLACES), help="all of them without it")
    options = parser.parse_args(words)
    versions = {"opa": ".".join(map(str, version_of(find_opa()))), "registry": registry.BUILD}
    file = DIRECTORY / "freeze.json"
    with TemporaryDirectory(prefix="bench-freeze-") as scratch:
        bench = Bench(Path(scratch))
        for name in options.places or PLACES:
            home = Path(scratch, name.replace(" ", "-").replace(",", ""))
            home.mkdir()
            begun = now()
            with PLACES[name](home) as place:
                found = bench.rounds(place, home, options.rounds)
            # Written after each place, so that a run that is broken off keeps what it has measured.
            write(file, merged(read(file), result(_rows(name, found, begun), versions)))
            sys.stderr.write(f"{name}: done\n")
    made = read(file)
    for line in cells(made) if made else ():
        sys.stdout.write("  ".join(line) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
