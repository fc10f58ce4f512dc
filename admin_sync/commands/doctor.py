"""doctor: what is configured and what can be reached, one line each."""

from __future__ import annotations

from collections.abc import Callable

import httpx

from admin_sync.bundle.address import target_of
from admin_sync.bundle.errors import BundleError
from admin_sync.bundle.keys import public_key
from admin_sync.bundle.opa_binary import find_opa
from admin_sync.bundle.published import meta_or_none
from admin_sync.commands.arguments import command, group
from admin_sync.commands.options import Options
from admin_sync.console import DONE, FAILED
from admin_sync.desired.facts import Unknown, gather
from admin_sync.errors import AdminSyncError, Misconfigured
from admin_sync.keycloak.connection import Connection, KeycloakProblem, segment
from admin_sync.settings import Settings

app = group()


@command(app)
def doctor(options: Options) -> int:
    """Check settings, files and what can be reached; one line each."""
    made = options.settings()
    probes: list[tuple[str, Callable[[], str]]] = [
        ("configuration", lambda: _configuration(options)),
        ("keycloak", lambda: _keycloak(made)),
        ("opa program", lambda: str(find_opa(made.opa_bin))),
        ("bundle key", lambda: _bundle_key(made)),
        ("bundle", lambda: _bundle(made)),
        ("opa", lambda: _opa(made)),
        ("audit", lambda: _audit(made)),
        ("identity providers", lambda: _issuers(options, made)),
    ]
    report = []
    for name, probe in probes:
        try:
            state, said = "ok", probe()
        except _NotSet as absent:
            state, said = "not set", str(absent)
        except (AdminSyncError, KeycloakProblem, BundleError, httpx.HTTPError, OSError) as problem:
            state, said = "failed", str(problem).splitlines()[0] if str(problem) else type(problem).__name__
        report.append({"check": name, "state": state, "detail": said})
        if not options.console.as_json:
            options.console.data(f"{state:8}{name}: {said}\n")
    if options.console.as_json:
        options.console.json({"checks": report})
    return FAILED if any(one["state"] == "failed" for one in report) else DONE


class _NotSet(Exception):
    """A probe of something that the settings do not ask for."""


def _configuration(options: Options) -> str:
    document = options.document()
    return f"{options.config} is valid for {', '.join(document.environments)}"


def _keycloak(made: Settings) -> str:
    account = made.account()
    found = Connection(account, timeout=10).get(f"/{segment(account.realm)}")
    return f"{account.url} takes {account.client_id} of realm {found['realm']}"


def _bundle_key(made: Settings) -> str:
    if made.bundle_key_file is None:
        raise _NotSet("ADMIN_SYNC_BUNDLE_KEY_FILE")
    public_key(made.bundle_key_file)
    return f"{made.bundle_key_file} can sign"


def _bundle(made: Settings) -> str:
    if made.bundle_target is None:
        raise _NotSet("ADMIN_SYNC_BUNDLE_TARGET")
    target = target_of(made.bundle_target, token_file=made.bundle_token_file, ca_file=made.bundle_ca_file)
    found = target.read()
    meta = None if found is None else meta_or_none(found.content)
    if meta is None:
        raise Misconfigured(f"{target.name} has no bundle yet; run: admin-sync bundle publish")
    return f"revision {meta.revision}{', frozen' if meta.frozen else ''}"


def _opa(made: Settings) -> str:
    if made.opa_url is None:
        raise _NotSet("ADMIN_SYNC_OPA_URL")
    answer = httpx.get(f"{made.opa_url.rstrip('/')}/health", timeout=5)
    answer.raise_for_status()
    return f"{made.opa_url} is healthy"


def _audit(made: Settings) -> str:
    made.audit_dir.mkdir(parents=True, exist_ok=True)
    probe = made.audit_dir / ".doctor"
    probe.write_bytes(b"")
    probe.unlink()
    return f"{made.audit_dir} can be written"


def _issuers(options: Options, made: Settings) -> str:
    document = options.document()
    facts = gather(document, options.wanted(document), made.jwks_dir)
    problems = [one.reason for one in facts.discovered.values() if isinstance(one, Unknown)]
    problems += [f"{alias}: {one.reason}" for alias, one in facts.secrets.items() if isinstance(one, Unknown)]
    if problems:
        raise Misconfigured("; ".join(problems))
    return f"{len(facts.discovered)} issuers answer"
