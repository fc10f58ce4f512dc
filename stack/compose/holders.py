"""Who holds which secret. One volume for each holder is mounted read-only at /run/tradepulse of its containers."""

from __future__ import annotations

from collections.abc import Mapping

from stack.postgres import ROLES, SUPERUSER

AUTHORITY = "ca.pem"
"""The public certificate of the site's authority: everybody has it."""

DOMAIN = "inside"
"""Names of servers end like this: `postgres.inside` is the alias of PostgreSQL in the network that serves it."""


def password(role: str) -> str:
    """The file with the password of a role of PostgreSQL."""
    return f"postgres-{role}"


HOLDERS: Mapping[str, tuple[str, ...]] = {
    "postgres": (password(SUPERUSER), "postgres.crt", "postgres.key"),
    "schema": tuple(password(role) for role in (SUPERUSER, *ROLES)),
    "keycloak": (password("keycloak"), "keycloak-admin", "keycloak.crt", "keycloak.key"),
    "admin-sync": ("keycloak-admin", "bundle.pem", "bundle.pub", "opa-reports", "audit-checkpoint.pem",
                   "audit-checkpoint.pub", "idp-workforce", "idp-mock", "clients"),
    "bundles": ("opa-reports", "audit-checkpoint.pem"),
    "opa": ("opa-reports", "opa.crt", "opa.key", "opa.yaml"),
    "vault": (password("vault_app"), "kms.json", "client-vault-api.pem", "audit-checkpoint.pem", "audit-mac",
              "broker-paper", "access-approval.json"),
    "vault-worker": (password("vault_app"), password("vault_rotator"), "kms.json", "client-vault-api.pem",
                     "client-vault-rotator.pem", "audit-checkpoint.pem", "audit-mac", "broker-paper",
                     "access-approval.json"),
    "access": (password("access_app"), "audit-checkpoint.pem", "audit-mac", "access-approval.pem"),
    "reconciler": (password("access_reconciler"), "keycloak-admin", "bundle.pem", "bundle.pub", "opa-reports",
                   "audit-checkpoint.pem", "audit-checkpoint.pub", "idp-workforce", "idp-mock", "clients"),
    "session-broker": ("client-session-broker.pem", "audit-checkpoint.pem", "audit-mac"),
    "proxy": ("proxy.crt", "proxy.key", "nginx.conf"),
    "people": ("keycloak-admin",),
    "paper-broker": ("broker-paper", "broker-paper-account"),
}  # fmt: skip
"""Holder -> its files. Whoever serves requests has no secret of the administration, and no owner's of a database."""

STATE: tuple[str, ...] = (
    "postgres", "audit", "bundles", "opa", "session-broker", "paper-broker", "people",
    "repository",
)  # fmt: skip
"""Volumes that services write. They are made by the same account beforehand, so no container has to be root."""

SERVERS = ("postgres", "keycloak", "opa", "proxy")
"""Servers with a certificate for `<server>.inside`."""

PUBLIC = ("proxy", "keycloak")
"""Who answers to the public name: the proxy outside, Keycloak itself inside, so that nobody inside needs the DMZ."""
