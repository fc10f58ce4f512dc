"""What the Makefile calls: `python -m stack up | down | status | logs | reset | demo | install`.

Everything here and below `stack.up` runs on the standard library of any Python 3.11 or newer, because
`up` is what installs the rest. What needs installed packages is a program of its own (`stack.provision`,
`stack.people`, `stack.demo`), run by the checkout's environment.
"""

from __future__ import annotations

import sys

if sys.version_info < (3, 11):  # noqa: UP036  (whoever has an older Python meets this line first)
    sys.exit("Python 3.11 or newer is needed: install it, or name it with `make PYTHON=python3.x`")

import argparse
import os
import shutil
import subprocess
import time
from collections.abc import Callable

from stack import control, status
from stack.account import AccountUnusable, outside_home
from stack.files import Busy, locked
from stack.layout import Layout, StateUnusable
from stack.postgres import PostgresFailed
from stack.process import known
from stack.settings import read
from stack.steps import StepFailed, say
from stack.up import Up


def up(layout: Layout, arguments: argparse.Namespace) -> int:
    """Install, start, configure; on the first run tell the story once."""
    owner = known(arguments.owner) if arguments.owner else None
    Up(layout, owner=owner, short_lived=arguments.short_lived).bring(arguments.only, without=arguments.without)
    if arguments.only or arguments.no_story:
        return 0
    told = layout.run / "story-told"
    if not told.exists():
        say("")
        code = demo(layout, arguments)
        if code != 0:
            return code
        told.touch()
    say("")
    for line in status.welcome(layout):
        say(line)
    return 0


def install(layout: Layout, _arguments: argparse.Namespace) -> int:
    """Only install and build what the stack and the tests need."""
    Up(layout).install()
    return 0


def down(layout: Layout, _arguments: argparse.Namespace) -> int:
    """Stop everything, in order."""
    started = time.monotonic()
    was_up = control.supervisor(layout) is not None
    killed = control.stop(layout)
    if killed:
        say(f"killed {len(killed)} left-over processes that did not stop: {', '.join(str(one.pid) for one in killed)}")
    say(f"stopped in {time.monotonic() - started:.1f} s" if was_up else "nothing was running")
    return 0


def show(layout: Layout, _arguments: argparse.Namespace) -> int:
    """One line per service; 0 if all are well."""
    lines, well = status.lines(layout)
    for line in lines:
        say(line)
    return 0 if well else 1


def logs(layout: Layout, arguments: argparse.Namespace) -> int:
    """The last lines of every log, or of those named; `--follow` stays."""
    files = [layout.logs / f"{name}.log" for name in arguments.names] or sorted(layout.logs.glob("*.log"))
    if not files:
        say(f"no logs in {layout.logs}")
        return 1
    follow = ["-F"] if arguments.follow else []
    return subprocess.run(["tail", "-n", "20", *follow, *files], check=False).returncode


def reset(layout: Layout, arguments: argparse.Namespace) -> int:
    """Stop everything and delete the state directory, with all data, secrets and audit files. Tools stay."""
    # A `make up` that still works would go on in directories that are gone.
    with locked(layout.run / "up.lock", wait=False):
        return _delete(layout, arguments)


def _delete(layout: Layout, arguments: argparse.Namespace) -> int:
    down(layout, arguments)
    # The chains begin anew with the next database and the next signing key; old lines would only contradict them.
    for old in layout.audit.iterdir() if layout.audit.is_dir() else ():
        if old.name != "README.md":
            shutil.rmtree(old) if old.is_dir() else old.unlink()
            say(f"deleted {old}")
    for place in (outside_home(layout.state / "postgres"), outside_home(layout.state / "proxy"), layout.state):
        if place.exists():
            shutil.rmtree(place)
            say(f"deleted {place}")
    return 0


def demo(layout: Layout, _arguments: argparse.Namespace) -> int:
    """Walk the main job once, against the running stack."""
    if control.supervisor(layout) is None:
        raise StepFailed("nothing is running: run `make up` first")
    return subprocess.run(
        [layout.python, "-m", "stack.demo"], cwd=layout.checkout, env={**os.environ, **read(layout)}, check=False
    ).returncode


COMMANDS: dict[str, Callable[[Layout, argparse.Namespace], int]] = {
    "up": up,
    "down": down,
    "status": show,
    "logs": logs,
    "reset": reset,
    "demo": demo,
    "install": install,
}


def main() -> int:
    """Run one command. Errors that a person can act on are printed as they are, without a traceback."""
    parser = argparse.ArgumentParser(prog="python -m stack", description=__doc__)
    commands = parser.add_subparsers(required=True)
    for name, action in COMMANDS.items():
        command = commands.add_parser(name, help=(action.__doc__ or "").splitlines()[0])
        command.set_defaults(action=action)
        if name == "up":
            command.add_argument("--only", nargs="+", default=(), metavar="SERVICE", help="these and what they need")
            command.add_argument("--without", nargs="+", default=(), metavar="SERVICE", help="all but these")
            command.add_argument("--no-story", action="store_true", help="do not tell the story on the first run")
            command.add_argument(
                "--short-lived", action="store_true", help="for minutes: what it holds may be lost with the machine"
            )
            command.add_argument("--owner", type=int, metavar="PID", help="stop by itself when this process is gone")
        if name == "logs":
            command.add_argument("names", nargs="*", metavar="SERVICE")
            command.add_argument("-f", "--follow", action="store_true")
    arguments = parser.parse_args()
    layout = Layout.here()
    try:
        layout.check()
        return int(arguments.action(layout, arguments))
    except Busy:
        print("another `make up` of this stack is running; wait for it", file=sys.stderr)
    except (StepFailed, StateUnusable, PostgresFailed, AccountUnusable) as problem:
        print(f"\n{problem}", file=sys.stderr)
    except KeyboardInterrupt:
        print("\ninterrupted; `make up` goes on from here, `make down` stops what has started", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
