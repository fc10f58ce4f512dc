"""Makes every secret once, and gives each holder a copy of its own and of nothing else.

    /secrets/keys/      all of them; mounted by this job alone
    /secrets/<holder>/  what a service gets to see, read-only, as /run/tradepulse
    /provided/          an operator's own, by the same names; they take the place of what was made here

What exists is never made again, for data is sealed and signed with it; only certificates of servers are, before
they end. The job has no network. It prints names of files and never what is in them.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from joserfc.jwk import ECKey

from admin_sync.break_glass.proof import Signer
from admin_sync.bundle.keys import create_key
from admin_sync.bundle.opa_config import opa_config, render_config
from identity.durable import replace_file
from identity.secret import Secret
from session_broker.nginx.render import render
from session_broker.nginx.settings import ProxySettings
from stack.compose.authority import make_authority, make_server, missing_names
from stack.compose.holders import AUTHORITY, DOMAIN, HOLDERS, PUBLIC, SERVERS
from stack.files import write, write_json
from vault_api.kms.file import create_root_key_file

RUN = Path("/run/tradepulse")
"""Where every holder finds its files."""

BUNDLES = f"http://bundles.{DOMAIN}:8182"

_MADE_OTHERWISE = ("bundle.pem", "bundle.pub", "audit-checkpoint.pem", "audit-checkpoint.pub", "audit-mac", "kms.json")


MARK = ".owned"
"""Keeps a volume from being taken for empty (see `directories`)."""


def make(
    root: Path,
    configuration: Path,
    *,
    host: str,
    provided: Path | None = None,
    holders: Mapping[str, tuple[str, ...]] = HOLDERS,
) -> list[str]:
    """Everything below `root`, which holds a directory for each holder; what was done, in words.

    configuration: the directory with roles.yaml; each confidential client in it gets a key pair
    host:          the public name of the site
    holders:       who gets which files
    """
    keys = root / "keys"
    names = {name for files in holders.values() for name in files}
    done = _provided(keys, provided, {AUTHORITY, *names})
    _words(keys, names)
    _audit(keys)
    if not (keys / "access-approval.pem").exists():
        made = _private(ed25519.Ed25519PrivateKey.generate())
        # The public half first: where there is a private one, both are there.
        write(keys / "access-approval.json", Signer(Secret(made)).key_set())
        write(keys / "access-approval.pem", made)
    if not (keys / "bundle.pem").exists():
        create_key(keys / "bundle.pem", keys / "bundle.pub")
    if not (keys / "kms.json").exists():
        create_root_key_file(keys / "kms.json")
    _clients(keys, clients_of(configuration))
    done += _certificates(keys, host, _names_in(provided))
    _configurations(keys)
    for holder, files in holders.items():
        done += [f"{holder}/{name}" for name in _hand_out(keys, root / holder, (AUTHORITY, *files))]
    return done


def clients_of(configuration: Path) -> list[str]:
    """The confidential clients that roles.yaml declares. admin-sync, not we, judges whether the file is right."""
    document = yaml.safe_load((configuration / "roles.yaml").read_text())
    clients = document.get("clients") or {}
    return [name for name, facts in clients.items() if facts.get("type") == "confidential"]


def _provided(keys: Path, provided: Path | None, known: Collection[str]) -> list[str]:
    """Take what the operator brings. A file that no holder has is a mistake that would otherwise go unnoticed."""
    done = []
    for path in sorted(provided.iterdir()) if provided and provided.is_dir() else ():
        if path.name == "README.md" or path.name.startswith("."):
            continue
        if path.name not in known:
            raise ValueError(f"{path.name} is no file that a service has; there are {', '.join(sorted(known))}")
        content = path.read_bytes()
        target = keys / path.name
        if not target.exists() or target.read_bytes() != content:
            replace_file(target, content)
            done.append(f"{path.name} as provided")
    return done


def _names_in(provided: Path | None) -> set[str]:
    return {path.name for path in provided.iterdir()} if provided and provided.is_dir() else set()


def _certificates(keys: Path, host: str, provided: set[str]) -> list[str]:
    """Certificates of all servers: the operator's, if there are any, else of an authority of our own.

    Raises ValueError where the operator brought some of them, or one that lacks a name by which clients ask.
    """
    wanted = {
        server: [f"{server}.{DOMAIN}", f"{server}.dmz", *([host] if server in PUBLIC else [])] for server in SERVERS
    }
    theirs = {AUTHORITY, *(f"{server}.{kind}" for server in SERVERS for kind in ("crt", "key"))}
    if not theirs & provided:
        make_authority(keys / AUTHORITY, keys / "ca.key")
        authority = (keys / AUTHORITY, keys / "ca.key")
        return [f"{server}.crt" for server, names in wanted.items() if make_server(keys, server, names, authority)]
    if missing := sorted(theirs - provided):
        raise ValueError(f"provide certificates of all servers or of none; {', '.join(missing)} are not there")
    for server, names in wanted.items():
        if lacking := missing_names(keys / f"{server}.crt", names):
            raise ValueError(f"{server}.crt does not bear {', '.join(lacking)}")
    return []


def _words(keys: Path, names: Collection[str]) -> None:
    """Passwords and shared secrets, each 32 random bytes."""
    for name in sorted(names):
        if Path(name).suffix or name in _MADE_OTHERWISE or name == "clients" or (keys / name).exists():
            continue
        write(keys / name, secrets.token_urlsafe(32) + "\n")
    if not (keys / "audit-mac").exists():
        write(keys / "audit-mac", secrets.token_hex(32) + "\n")


def _audit(keys: Path) -> None:
    if not (keys / "audit-checkpoint.pem").exists():
        key = ed25519.Ed25519PrivateKey.generate()
        write(keys / "audit-checkpoint.pub", _public(key))
        write(keys / "audit-checkpoint.pem", _private(key))


def _clients(keys: Path, clients: Iterable[str]) -> None:
    """A P-256 pair per confidential client: the private PEM, and the public JWKS for Keycloak."""
    (keys / "clients").mkdir(mode=0o700, exist_ok=True)
    for name in clients:
        public = keys / "clients" / f"{name}.json"
        if public.exists():
            continue
        key = ec.generate_private_key(ec.SECP256R1())
        jwk = ECKey.import_key(_public(key), {"use": "sig", "alg": "ES256"})
        jwk.ensure_kid()
        write(keys / f"client-{name}.pem", _private(key))
        write_json(public, {"keys": [jwk.as_dict(private=False)]})


def _configurations(keys: Path) -> None:
    """What is no secret and follows from settings: OPA's configuration and nginx's."""
    write(
        keys / "opa.yaml",
        render_config(
            opa_config(
                bundle_url=BUNDLES,
                public_key=(keys / "bundle.pub").read_text(),
                persist_dir=Path("/var/lib/tradepulse/opa"),
                decision_logs=False,
                reports_url=BUNDLES,
                reports_token_file=RUN / "opa-reports",
            )
        ),
    )
    write(keys / "nginx.conf", render(ProxySettings().site()))


def _hand_out(keys: Path, holder: Path, names: Iterable[str]) -> list[str]:
    """Make a holder's directory hold exactly these files; the names of those that changed."""
    wanted: Mapping[str, bytes] = dict(_contents(keys, names))
    changed = []
    for name, content in wanted.items():
        target = holder / name
        if not target.exists() or target.read_bytes() != content:
            target.parent.mkdir(mode=0o700, exist_ok=True)
            replace_file(target, content)
            changed.append(name)
    for path in sorted(holder.rglob("*"), reverse=True):
        if path.is_file() and path.name != MARK and str(path.relative_to(holder)) not in wanted:
            # A service that needs a secret no longer must not keep it.
            path.unlink()
            changed.append(f"{path.relative_to(holder)} (removed)")
    return changed


def _contents(keys: Path, names: Iterable[str]) -> Iterable[tuple[str, bytes]]:
    for name in names:
        path = keys / name
        files = sorted(path.iterdir()) if path.is_dir() else [path]
        for file in files:
            yield str(file.relative_to(keys)), file.read_bytes()


def _private(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def _public(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> str:
    return (
        key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )


def main() -> int:
    """Make what the environment asks for: TRADEPULSE_HOST, ADMIN_SYNC_CONFIG and the PROXY_… settings."""
    os.umask(0o077)
    done = make(
        Path("/secrets"),
        Path(os.environ["ADMIN_SYNC_CONFIG"]),
        host=os.environ["TRADEPULSE_HOST"],
        provided=Path("/provided"),
    )
    print(f"keys: {len(done)} files made or changed" + "".join(f"\n  {name}" for name in done))
    return 0
