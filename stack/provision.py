"""Makes what a stack needs before it can start: secrets, key pairs, OPA's configuration, the settings file.

    .venv/bin/python -m stack.provision      (a step of `make up`; it needs the installed packages)

Secrets are made once and never replaced, since data is sealed and signed with them. Whatever follows
from ports and configuration is written anew each time. Nothing here is printed.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from joserfc.jwk import ECKey

from admin_sync.break_glass.proof import Signer
from admin_sync.bundle.keys import create_key
from admin_sync.bundle.opa_config import opa_config, render_config
from identity.secret import Secret
from stack import settings
from stack.files import read_json, write
from stack.keycloak import ADMIN_CLIENT
from stack.layout import Layout
from stack.paper_broker import run as paper_broker
from stack.postgres import ROLES, SUPERUSER


def words(layout: Layout) -> None:
    """Passwords and shared secrets, each 32 random bytes."""
    names = (
        *(f"postgres-{role}" for role in (SUPERUSER, *ROLES)),
        "keycloak-admin",
        "opa-reports",
        *settings.IDENTITY_PROVIDERS.values(),
        paper_broker.SECRET,
        paper_broker.PASSWORD,
    )
    for name in names:
        _once(layout.secret(name), secrets.token_urlsafe(32))
    _once(layout.secret("audit-mac"), secrets.token_hex(32))


def audit_key(layout: Layout) -> None:
    """The Ed25519 pair that signs audit checkpoints."""
    private = layout.secret("audit-checkpoint.pem")
    if not private.exists():
        key = ed25519.Ed25519PrivateKey.generate()
        _once(private, _private_pem(key))
        _once(layout.secret("audit-checkpoint.pub"), _public_pem(key))


def approval_key(layout: Layout) -> None:
    """The Ed25519 pair by which the access service tells the vault that an emergency account may be opened."""
    private, public = layout.secret("access-approval.pem"), layout.secret("access-approval.json")
    if not private.exists() or not public.exists():
        made = _private_pem(ed25519.Ed25519PrivateKey.generate())
        write(private, made)
        write(public, Signer(Secret(made)).key_set())


def bundle_key(layout: Layout) -> None:
    """The ES256 pair that signs policy bundles."""
    if not layout.secret("bundle.pem").exists():
        create_key(layout.secret("bundle.pem"), layout.secret("bundle.pub"))


def client_keys(layout: Layout, clients: Mapping[str, Mapping[str, str]]) -> None:
    """A P-256 pair per confidential client: the private PEM among the secrets, the public JWKS for Keycloak."""
    for name, facts in clients.items():
        private = layout.secret(f"client-{name}.pem")
        public = layout.clients / f"{name}.json"
        if facts.get("type") != "confidential" or (private.exists() and public.exists()):
            continue
        key = ec.generate_private_key(ec.SECP256R1())
        jwk = ECKey.import_key(_public_pem(key), {"use": "sig", "alg": "ES256"})
        jwk.ensure_kid()
        write(private, _private_pem(key))
        write(public, json.dumps({"keys": [jwk.as_dict(private=False)]}, indent=1) + "\n", mode=0o644)


def clients_of(configuration: Path) -> dict[str, dict[str, str]]:
    """The clients that roles.yaml declares, by id. admin-sync, not we, judges whether the file is right."""
    document = yaml.safe_load((configuration / "roles.yaml").read_text())
    return dict(document.get("clients") or {})


def main() -> None:
    """Provide everything for the layout that the environment names."""
    os.umask(0o077)
    layout = Layout.here()
    ports = read_json(layout.run / "ports.json")
    configuration = layout.checkout / "configs" / "iam"
    clients = clients_of(configuration)
    words(layout)
    audit_key(layout)
    approval_key(layout)
    bundle_key(layout)
    client_keys(layout, clients)
    write(
        layout.opa_config,
        render_config(
            opa_config(
                bundle_url=f"http://127.0.0.1:{ports['bundles']}",
                public_key=layout.secret("bundle.pub").read_text(),
                persist_dir=layout.state / "opa",
                decision_logs=False,
                reports_url=f"http://127.0.0.1:{ports['bundles']}",
                reports_token_file=layout.secret("opa-reports"),
            )
        ),
    )
    settings.write(layout, settings.settings(layout, ports, clients=sorted(clients), admin_client=ADMIN_CLIENT))


def _once(path: Path, text: str) -> None:
    if not path.exists():
        write(path, text + "\n")


def _private_pem(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def _public_pem(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> str:
    return (
        key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )


if __name__ == "__main__":
    main()
