"""The DMZ proxy as the stack runs it: the machine's nginx under an unprivileged account, on a configuration of ours."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Mapping
from pathlib import Path

from stack.account import Account, reachable_home, unprivileged
from stack.files import digest
from stack.layout import Layout
from stack.service import Service
from stack.steps import Commands, StepFailed

SOURCE = "127.0.0.2"
"""Where the proxy calls Keycloak from. Keycloak believes the client addresses that this one forwards, and no other."""

PACKAGE = "install nginx (Debian: nginx-light; the one it starts by itself is not needed)"

PLACES = ("/usr/sbin", "/usr/local/sbin")
"""Where nginx may be although an ordinary account's PATH does not say so."""


def find() -> Path | None:
    """The machine's nginx, None if there is none."""
    found = shutil.which("nginx", path=os.pathsep.join((os.environ.get("PATH", os.defpath), *PLACES)))
    return Path(found) if found else None


def service(layout: Layout, port: int, commands: Commands, environment: Mapping[str, str]) -> Service:
    """The proxy on its rendered configuration. Raises StepFailed."""
    program = find()
    if program is None:
        raise StepFailed(f"no nginx: {PACKAGE}")
    account = unprivileged()
    home = reachable_home(account, layout.state / "proxy")
    # nginx writes its pid and its log here, and would put bodies here if it were allowed to.
    place = _private(home / "run", account)
    configuration = home / "nginx.conf"
    commands.run(
        [layout.python, "-m", "session_broker.nginx", "--out", configuration],
        log=layout.logs / "proxy-render.log",
        environment=environment,
        cwd=layout.checkout,
    )
    url = f"http://localhost:{port}"
    return Service(
        name="proxy",
        command=(str(program), "-p", str(place), "-c", str(configuration)),
        url=url,
        health=f"http://127.0.0.1:{port}/health/live",
        cwd=str(home),
        account=account,
        # In order it lets requests end. When the supervisor dies it takes its workers along, as SIGKILL would not.
        stop=int(signal.SIGQUIT),
        death=int(signal.SIGTERM),
        stop_seconds=15.0,
        revision=digest([configuration]),
    )


def _private(path: Path, account: Account | None) -> Path:
    path.mkdir(mode=0o700, exist_ok=True)
    path.chmod(0o700)
    if account is not None:
        account.take(path)
    return path
