"""`python -m bench.sync`: measures, prints one table for each size, and writes `bench/results/sync.json` and `.svg`."""

from __future__ import annotations

import argparse
import os
import signal
import sys

from bench import plot, results, table
from bench.peers import KCC, PROVIDER, TOFU, version
from bench.sync import runner
from bench.sync.server import Server, layout
from bench.sync.tools import tools
from bench.sync.workload import SIZES
from stack import keycloak

_TOOLS = ("rest", "bulk", "kcc", "tofu", "kcadm")
_FILE = results.DIRECTORY / "sync.json"


def main() -> int:
    """Runs what was asked for; sizes that an earlier run measured stay in the file."""
    arguments = _arguments()
    sizes = [SIZES[name] for name in arguments.sizes.split(",")]
    left_out = arguments.without.split(",")
    cases = [case for case in runner.CASES if " ".join(case) not in left_out]
    # Nothing that is exported for another stack may reach this one.
    for name in [name for name in os.environ if name.startswith(("ADMIN_SYNC_", "VAULT_", "TRADEPULSE_"))]:
        del os.environ[name]
    server = Server(layout(arguments.state))
    measured = results.now()
    versions = {
        "Keycloak": keycloak.VERSION,
        KCC: version(KCC),
        TOFU: version(TOFU),
        PROVIDER: version(PROVIDER),
        "Python": sys.version.split()[0],
    }
    made = results.read(_FILE)
    # A shell that starts this in the background has SIGINT ignored; SIGTERM ends it in order as well.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        server.start()
        for size in sizes:
            grid: runner.Grid = {}
            try:
                runner.measure(server, size, tools(server, arguments.tools.split(",")), cases, grid)
            finally:
                # After each size, and when it is interrupted: a long run has not been for nothing.
                fresh = results.result(runner.rows(size.name, grid, measured), versions)
                made = results.merged(made, fresh, keep_peers=arguments.keep_peers)
                results.write(_FILE, made)
                print(table.text(runner.table(size.name, grid)), end="\n\n", flush=True)  # noqa: T201
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)  # noqa: T201
    finally:
        server.stop()
    if made is None:
        return 1
    for line in table.reasons(made):
        print(line)  # noqa: T201
    plot.write(_FILE.with_suffix(".svg"), made)
    print(f"{_FILE} and {_FILE.with_suffix('.svg')} are written")  # noqa: T201
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.sync", description=__doc__)
    parser.add_argument("--sizes", default="small,medium", help=f"of {', '.join(SIZES)}; default: small,medium")
    parser.add_argument("--tools", default=",".join(_TOOLS), help=f"of {', '.join(_TOOLS)}; default: all")
    parser.add_argument(
        "--keep-peers", action="store_true", help="peers not measured now stay as they were in the file"
    )
    parser.add_argument("--without", default="", metavar="CASES", help="`no-op cold`, `one change warm`, …")
    parser.add_argument("--state", default=".stack-bench", help="the state directory of the measured server")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
