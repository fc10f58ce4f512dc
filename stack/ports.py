"""TCP ports on the loopback interface: the usual ones where they are free, others where they are taken."""

from __future__ import annotations

import errno
import socket
from collections.abc import Mapping

DEFAULTS: Mapping[str, int] = {
    "keycloak": 8180,
    "management": 9180,
    "postgres": 5480,
    "opa": 8181,
    "bundles": 8182,
    "vault": 8200,
    "vault-worker": 8201,
    "neighbours": 8090,
    "paper-broker": 8091,
    "session-broker": 8300,
    "monitor": 8310,
    "audit-reconcile": 8311,
    "reconciler": 8320,
    "workspace": 8400,
    "access": 8500,
    "proxy": 8280,
}
"""Port of every service by its name in state.json (`management` is Keycloak's health and metrics)."""


def free(port: int) -> bool:
    """Whether nobody listens on `port` of localhost, in either address family."""
    return _can_bind(socket.AF_INET, "127.0.0.1", port) and _can_bind(socket.AF_INET6, "::1", port)


def unused() -> int:
    """A port that is free now, picked by the kernel."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def choose(before: Mapping[str, int], *, wanted: Mapping[str, int] = DEFAULTS) -> dict[str, int]:
    """One free port per service: the one it had `before`, else the wanted one, else any. All are different."""
    chosen: dict[str, int] = {}
    for name, default in wanted.items():
        for port in (before.get(name), default):
            if port and port not in chosen.values() and free(port):
                chosen[name] = port
                break
        else:
            chosen[name] = next(port for port in iter(unused, None) if port not in chosen.values())
    return chosen


def _can_bind(family: socket.AddressFamily, host: str, port: int) -> bool:
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            # Connections that linger in TIME_WAIT from our last run do not make a port taken.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as problem:
        # A machine without IPv6 has nobody listening there.
        return problem.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
    return True
