"""doctor: what is configured, what can be reached, and what will need somebody soon; one line each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import httpx

from admin_sync.bundle.errors import BundleError
from admin_sync.commands import probes
from admin_sync.commands.arguments import command, group
from admin_sync.commands.options import Options
from admin_sync.console import DONE, FAILED
from admin_sync.errors import AdminSyncError
from admin_sync.keycloak.connection import Connection, KeycloakProblem
from admin_sync.model import Json
from admin_sync.settings import Settings

app = group()

Probe = tuple[str, Callable[[], str]]


@command(app)
def doctor(options: Options) -> int:
    """Check settings, files and what can be reached; one line each. Exit 0 if nothing failed, 1 otherwise."""
    report: list[dict[str, Json]] = []
    for name, probe in _probes(options):
        state, said = _looked(probe)
        report.append({"check": name, "state": state, "detail": said})
        if not options.console.as_json:
            options.console.data(f"{state:8}{name}: {said}\n")
    if options.console.as_json:
        options.console.json({"checks": report})
    return FAILED if any(one["state"] == "failed" for one in report) else DONE


def _probes(options: Options) -> Iterator[Probe]:
    made = options.settings()
    yield "versions", probes.versions
    yield "configuration", lambda: probes.configuration(options)
    yield from _keycloak(options, made)
    yield "identity providers", lambda: probes.issuers(options, made)
    yield "opa program", lambda: probes.opa_program(made)
    yield "bundle key", lambda: probes.bundle_key(made)
    yield "bundle", lambda: probes.bundle(made)
    yield "opa", lambda: probes.opa(made)
    yield "opa reports", lambda: probes.opa_reports(made)
    yield "audit", lambda: probes.audit(made)


def _keycloak(options: Options, made: Settings) -> Iterator[Probe]:
    """What needs a session with Keycloak; once it fails nothing else about it is asked."""
    opened: list[Connection] = []

    def connect() -> str:
        connection = Connection(made.account(), timeout=10)
        said = probes.keycloak(connection, made)
        opened.append(connection)
        return said

    yield "keycloak", connect
    if opened:
        yield "clock", lambda: probes.clock(opened[0])
        for realm in probes.realms(options):
            yield f"realm {realm}", partial(probes.realm, opened[0], made, realm)
        yield "static secrets", lambda: probes.static_secrets(opened[0], options, made)


def _looked(probe: Callable[[], str]) -> tuple[str, str]:
    try:
        return "ok", probe()
    except probes.NotSet as absent:
        return "not set", str(absent)
    except probes.Soon as warning:
        return "warning", str(warning)
    except (AdminSyncError, KeycloakProblem, BundleError, httpx.HTTPError, OSError) as problem:
        return "failed", str(problem).splitlines()[0] if str(problem) else type(problem).__name__
