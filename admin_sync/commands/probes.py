"""What `doctor` looks at: each probe says what it found, or raises why that is not well.

Besides the errors of what they call, probes raise NotSet for what the settings do not ask for, and
Soon for what works today and will not for long.
"""

from __future__ import annotations

import platform
import time
from importlib import metadata
from pathlib import Path

import httpx

from admin_sync.bundle.address import target_of
from admin_sync.bundle.keys import public_key
from admin_sync.bundle.opa_binary import find_opa, version_of
from admin_sync.bundle.published import Meta, meta_or_none
from admin_sync.commands.options import Options
from admin_sync.desired import realm_name
from admin_sync.desired.facts import Unknown, gather
from admin_sync.errors import AdminSyncError, Misconfigured
from admin_sync.keycloak.connection import Connection, segment
from admin_sync.keycloak.gateway import choose
from admin_sync.lock import held_by
from admin_sync.model import Json
from admin_sync.settings import Settings, read_secret
from admin_sync.static_secrets import held
from identity.trust import authorities

_DAY = 86400
_OLD_KEY = 365 * _DAY
_ENDS_SOON = _DAY
_LEEWAY = 30.0
"""Seconds by which a verifier of ours lets clocks differ."""
_REPORTING = 5.0
"""Seconds within which an OPA has reported what it thinks of a bundle; it reports with every poll besides."""


class NotSet(Exception):
    """A probe of something that the settings do not ask for; the text names the setting."""


class Soon(Exception):
    """It works, and somebody should see to it before it does not."""


def versions() -> str:
    """Ours, and what we run on."""
    return f"admin-sync {metadata.version('tradepulse-iam')}, Python {platform.python_version()}"


def configuration(options: Options) -> str:
    """Whether the configuration is valid."""
    document = options.document()
    return f"{options.config} is valid for {', '.join(document.environments)}"


def realms(options: Options) -> list[str]:
    """The realms of the environments that were asked for; none if the configuration is not valid."""
    try:
        document = options.document()
    except AdminSyncError:
        return []
    return [realm_name(document, environment) for environment in options.wanted(document)]


def keycloak(connection: Connection, made: Settings) -> str:
    """Whether Keycloak takes our account, and which version it is."""
    # Only `doctor` pays for the import of python-keycloak.
    from admin_sync.keycloak import library  # noqa: PLC0415

    account = made.account()
    found = connection.get(f"/{segment(account.realm)}")
    if found is None:
        raise Misconfigured(f"{account.url} has no realm {account.realm}; see ADMIN_SYNC_REALM")
    info = library.server_info(connection, account.realm) or {}
    version = (info.get("systemInfo") or {}).get("version")
    named = f"Keycloak {version}" if version else "Keycloak of a version that our account may not see"
    proof = "an assertion" if account.assertion_file else "a secret"
    return f"{named} at {account.url} takes {account.client_id} by {proof}{_age(account.secret_file)}"


def clock(connection: Connection) -> str:
    """How far this clock is from Keycloak's, as its tokens tell it in whole seconds."""
    skew = time.time() - connection.time()
    if abs(skew) > _LEEWAY:
        raise Misconfigured(f"this clock differs from Keycloak's by {skew:+.0f} s; set it by NTP")
    return f"within {abs(skew) + 1:.0f} s of Keycloak's"


def realm(connection: Connection, made: Settings, name: str) -> str:
    """Whether a realm exists, by which gateway it would be changed, and who is changing it now."""
    gateway = choose(connection, name, made.gateway, made.parallelism, home=made.realm).name
    exists = "exists" if connection.get(f"/{segment(name)}") is not None else "does not exist yet"
    holder = held_by(connection, made.realm, name)
    return f"{exists}, {gateway} gateway, {f'locked by {holder}' if holder else 'not locked'}"


def static_secrets(connection: Connection, options: Options, made: Settings) -> str:
    """Whether anything proves itself with a secret that has to be rotated by hand: clients, and we ourselves."""
    document = options.document()
    found = []
    for environment in options.wanted(document):
        name = realm_name(document, environment)
        current = choose(connection, name, made.gateway, made.parallelism, home=made.realm).read(name)
        found += [f"{client} in {name}" for client in held(document, current)]
    if found:
        raise Soon(f"{', '.join(found)}: give each a key or a platform's token, or a dated exception in policies.yaml")
    if made.client_secret_file is not None and made.client_assertion_file is None:
        return "no client has one; admin-sync itself does, see docs/workload-identity.md for how it needs none"
    return "no client has one, nor does admin-sync"


def issuers(options: Options, made: Settings) -> str:
    """Whether the issuers answer and the secrets are there."""
    document = options.document()
    facts = gather(document, options.wanted(document), made.jwks_dir)
    problems = [one.reason for one in facts.discovered.values() if isinstance(one, Unknown)]
    problems += [f"{alias}: {one.reason}" for alias, one in facts.secrets.items() if isinstance(one, Unknown)]
    if problems:
        raise Misconfigured("; ".join(problems))
    return f"{len(facts.discovered)} issuers answer"


def opa_program(made: Settings) -> str:
    """The `opa` that tests and signs."""
    found = find_opa(made.opa_bin)
    return f"OPA {'.'.join(map(str, version_of(found)))} at {found}"


def bundle_key(made: Settings) -> str:
    """Whether the key can sign, and how old it is."""
    if made.bundle_key_file is None:
        raise NotSet("ADMIN_SYNC_BUNDLE_KEY_FILE")
    public_key(made.bundle_key_file)
    if time.time() - made.bundle_key_file.stat().st_mtime > _OLD_KEY:
        raise Soon(f"{made.bundle_key_file} can sign{_age(made.bundle_key_file)}; time for another key")
    return f"{made.bundle_key_file} can sign{_age(made.bundle_key_file)}"


def published(made: Settings) -> Meta:
    """What the published bundle says of itself. Raises NotSet, BundleError and Misconfigured."""
    if made.bundle_target is None:
        raise NotSet("ADMIN_SYNC_BUNDLE_TARGET")
    target = target_of(made.bundle_target, token_file=made.bundle_token_file, ca_file=made.bundle_ca_file)
    found = target.read()
    meta = None if found is None else meta_or_none(found.content)
    if meta is None:
        raise Misconfigured(f"{target.name} has no bundle yet; run: admin-sync bundle publish")
    return meta


def bundle(made: Settings) -> str:
    """Which revision is published, and until when it is good."""
    meta = published(made)
    left = meta.valid_until - time.time()
    end = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(meta.valid_until))
    said = f"revision {meta.revision}{', frozen' if meta.frozen else ''}"
    if left <= 0:
        raise Misconfigured(f"{said} ended {end}, so nothing but emergency roles holds; run: admin-sync bundle publish")
    if left < _ENDS_SOON:
        raise Soon(f"{said} ends {end}; run: admin-sync bundle publish")
    return f"{said}, good until {end}"


def opa(made: Settings) -> str:
    """Whether the OPA that we wait for serves what is published."""
    if made.opa_url is None:
        raise NotSet("ADMIN_SYNC_OPA_URL")
    base = made.opa_url.rstrip("/")
    with httpx.Client(verify=authorities(), timeout=5, trust_env=False) as http:
        http.get(f"{base}/health").raise_for_status()
        try:
            served = Meta.of(http.get(f"{base}/v1/data/tradepulse/iam/meta").json().get("result"))
        except (ValueError, AttributeError):
            raise Misconfigured(f"{made.opa_url} has no bundle, so it denies everything; its log says why") from None
    wanted = served.revision if made.bundle_target is None else published(made).revision
    if served.revision != wanted:
        raise Misconfigured(_behind(f"{made.opa_url} decides by", served.revision, wanted))
    return f"{made.opa_url} decides by revision {served.revision}"


def opa_reports(made: Settings) -> str:
    """Which revision every OPA that reports decides by, and whether one is behind, silent or in trouble."""
    if made.reports_url is None or made.reports_token_file is None:
        raise NotSet("ADMIN_SYNC_REPORTS_URL and ADMIN_SYNC_REPORTS_TOKEN_FILE")
    token = read_secret(made.reports_token_file, "ADMIN_SYNC_REPORTS_TOKEN_FILE")
    answer = httpx.get(
        f"{made.reports_url.rstrip('/')}/status",
        headers={"Authorization": f"Bearer {token}"},
        timeout=5,
        trust_env=False,
    )
    answer.raise_for_status()
    wanted = None if made.bundle_target is None else published(made)
    since = 0.0 if wanted is None else wanted.built_at + _REPORTING
    opas: list[dict[str, Json]] = answer.json()["opas"]
    # One that was started anew has another name; the old name says nothing any more.
    live = [one for one in opas if one["received"] > since]
    for one in live:
        if one["problem"]:
            raise Misconfigured(f"OPA {one['id']} says: {one['problem']}")
        if wanted is not None and one["revision"] != wanted.revision:
            raise Misconfigured(_behind(f"OPA {one['id']} decides by", one["revision"], wanted.revision))
    silent = len(opas) - len(live)
    return f"{len(live)} OPAs decide by what is published{f', {silent} have not reported since' if silent else ''}"


def audit(made: Settings) -> str:
    """Whether audit lines can be written, and how old the key that signs checkpoints is."""
    made.audit_dir.mkdir(parents=True, exist_ok=True)
    probe = made.audit_dir / ".doctor"
    probe.write_bytes(b"")
    probe.unlink()
    key = made.audit_checkpoint_key_file
    signed = "checkpoints are not signed" if key is None else f"checkpoints are signed{_age(key)}"
    return f"{made.audit_dir} can be written, {signed}"


def _behind(who: str, revision: str, wanted: str) -> str:
    return f"{who} revision {revision or 'none'}, but {wanted} is published; its log says why"


def _age(path: Path | None) -> str:
    """How long ago a key file was written, for the end of a sentence."""
    if path is None or not path.exists():
        return ""
    return f" (its file is {(time.time() - path.stat().st_mtime) / _DAY:.0f} days old)"
