"""Every setting of the product's programs as the embedded stack sets it; secrets only as paths of files."""

from __future__ import annotations

import platform
import shlex
from collections.abc import Mapping, Sequence

from stack import files, opa, proxy
from stack.layout import STATE_VARIABLE, Layout
from stack.neighbours import ISSUERS
from stack.paper_broker import run as paper_broker

ENVIRONMENT = "dev"
REALM = f"tradepulse-{ENVIRONMENT}"
AUDIENCE = "tradepulse-internal"

IDENTITY_PROVIDERS = {"WORKFORCE_CLIENT_SECRET_FILE": "idp-workforce", "MOCK_CLIENT_SECRET_FILE": "idp-mock"}
"""What configs/iam refers to as `{env: NAME}`, given as the path of the file that holds it."""


def settings(layout: Layout, ports: Mapping[str, int], *, clients: Sequence[str], admin_client: str) -> dict[str, str]:
    """What `.stack/env` holds."""
    keycloak = f"http://localhost:{ports['keycloak']}"
    neighbours = f"http://localhost:{ports['neighbours']}"
    database = f"127.0.0.1:{ports['postgres']}/vault"
    requests = f"127.0.0.1:{ports['postgres']}/access"
    sessions = f"127.0.0.1:{ports['postgres']}/workspace"
    # By this name and no address: WebAuthn and cookies without a domain want it.
    workspace = f"http://localhost:{ports['workspace']}"
    secret = layout.secret
    issuers = {f"{name.upper()}_ISSUER": f"{neighbours}/{name}" for name in ISSUERS}
    return {
        **issuers,
        "PAPER_BROKER_ISSUER": paper_broker.issuer(ports),
        "PAPER_BROKER_CLIENT_SECRET_FILE": str(secret(paper_broker.SECRET)),
        # The workspace's page, and a listener of a native app on any port (RFC 8252).
        "VAULT_LINK_REDIRECT_URIS": f"{workspace}/link/callback,http://127.0.0.1/callback",
        **{name: str(secret(file)) for name, file in IDENTITY_PROVIDERS.items()},
        STATE_VARIABLE: str(layout.state),
        "TRADEPULSE_ENVIRONMENT": ENVIRONMENT,
        "TRADEPULSE_ISSUER": f"{keycloak}/realms/{REALM}",
        "TRADEPULSE_OAUTH2_AUDIENCE": AUDIENCE,
        "TRADEPULSE_CLIENTS": ",".join(clients),
        "TRADEPULSE_OPA_URL": f"http://127.0.0.1:{ports['opa']}",
        "TRADEPULSE_AUDIT_DIR": str(layout.audit),
        "TRADEPULSE_NODE": platform.node() or "node",
        "TRADEPULSE_AUDIT_CHECKPOINT_KEY_FILE": str(secret("audit-checkpoint.pem")),
        "TRADEPULSE_AUDIT_MAC_KEY_FILE": str(secret("audit-mac")),
        "ADMIN_SYNC_KEYCLOAK_URL": keycloak,
        "ADMIN_SYNC_REALM": "master",
        "ADMIN_SYNC_CLIENT_ID": admin_client,
        "ADMIN_SYNC_CLIENT_SECRET_FILE": str(secret("keycloak-admin")),
        "ADMIN_SYNC_CLIENT_JWKS_DIR": str(layout.clients),
        "ADMIN_SYNC_REALM_DIR": str(layout.checkout / "realm" / "base"),
        "ADMIN_SYNC_POLICY_DIR": str(layout.checkout / "policy"),
        "ADMIN_SYNC_BUNDLE_DIR": str(layout.bundles),
        "ADMIN_SYNC_BUNDLE_KEY_FILE": str(secret("bundle.pem")),
        "ADMIN_SYNC_BUNDLE_VALIDITY": "7d",
        "ADMIN_SYNC_OPA_BIN": str(opa.find(layout.tools) or opa.built(layout.tools)),
        "ADMIN_SYNC_OPA_URL": f"http://127.0.0.1:{ports['opa']}",
        "ADMIN_SYNC_REPORTS_URL": f"http://127.0.0.1:{ports['bundles']}",
        "ADMIN_SYNC_REPORTS_TOKEN_FILE": str(secret("opa-reports")),
        "ADMIN_SYNC_VAULTS": f"{ENVIRONMENT}=http://127.0.0.1:{ports['vault']}",
        "ADMIN_SYNC_OFFBOARDING_KEY_FILE": str(secret("client-offboarding.pem")),
        "ADMIN_SYNC_CONFIG": str(layout.iam / "configs" / "iam"),
        "ADMIN_SYNC_REPOSITORY": str(layout.iam),
        "ADMIN_SYNC_RECONCILER_LISTEN": f"127.0.0.1:{ports['reconciler']}",
        "ADMIN_SYNC_ACCESS_URL": f"http://127.0.0.1:{ports['access']}",
        "WORKSPACE_URL": workspace,
        "WORKSPACE_BIND": f"127.0.0.1:{ports['workspace']}",
        "WORKSPACE_CLIENT_KEY_FILE": str(secret("client-tradepulse.pem")),
        "WORKSPACE_VAULT_URL": f"http://127.0.0.1:{ports['vault']}",
        "WORKSPACE_ACCESS_URL": f"http://127.0.0.1:{ports['access']}",
        "WORKSPACE_DATABASE_URL": f"postgresql://workspace_app@{sessions}",
        "WORKSPACE_DATABASE_PASSWORD_FILE": str(secret("postgres-workspace_app")),
        "WORKSPACE_OWNER_DATABASE_URL": f"postgresql://workspace_owner@{sessions}",
        "WORKSPACE_OWNER_DATABASE_PASSWORD_FILE": str(secret("postgres-workspace_owner")),
        "ACCESS_BIND": f"127.0.0.1:{ports['access']}",
        "ACCESS_DATABASE_URL": f"postgresql://access_app@{requests}",
        "ACCESS_DATABASE_PASSWORD_FILE": str(secret("postgres-access_app")),
        "ACCESS_OWNER_DATABASE_URL": f"postgresql://access_owner@{requests}",
        "ACCESS_OWNER_DATABASE_PASSWORD_FILE": str(secret("postgres-access_owner")),
        "ACCESS_RECONCILER_DATABASE_URL": f"postgresql://access_reconciler@{requests}",
        "ACCESS_RECONCILER_DATABASE_PASSWORD_FILE": str(secret("postgres-access_reconciler")),
        "ACCESS_ROSTER_FILE": str(layout.roster),
        "ACCESS_METRICS_PAGES": ",".join(
            f"{name}=http://{host}:{ports[service]}/metrics"
            for name, host, service in (
                ("Keycloak", "localhost", "management"),
                ("workspace", "127.0.0.1", "workspace"),
                ("vault worker", "127.0.0.1", "vault-worker"),
                ("session broker", "127.0.0.1", "session-broker"),
            )
        ),
        "ACCESS_REPORT_DIR": str(layout.state / "reports"),
        "VAULT_BIND": f"127.0.0.1:{ports['vault']}",
        "VAULT_WORKER_BIND": f"127.0.0.1:{ports['vault-worker']}",
        "VAULT_APPROVAL_KEYS_FILE": str(secret("access-approval.json")),
        "ADMIN_SYNC_VAULT_URL": f"http://127.0.0.1:{ports['vault']}",
        "ADMIN_SYNC_KEEPER_KEY_FILE": str(secret("client-emergency-keeper.pem")),
        "ACCESS_APPROVAL_KEY_FILE": str(secret("access-approval.pem")),
        "VAULT_DATABASE_URL": f"postgresql://vault_app@{database}",
        "VAULT_DATABASE_PASSWORD_FILE": str(secret("postgres-vault_app")),
        "VAULT_OWNER_DATABASE_URL": f"postgresql://vault_owner@{database}",
        "VAULT_OWNER_DATABASE_PASSWORD_FILE": str(secret("postgres-vault_owner")),
        "VAULT_KMS": "file",
        "VAULT_KMS_FILE": str(secret("kms.json")),
        "VAULT_KEYCLOAK_ADMIN_URL": f"{keycloak}/admin/realms/{REALM}",
        "VAULT_TOKEN_URL": f"{keycloak}/realms/{REALM}/protocol/openid-connect/token",
        "VAULT_CLIENT_ID": "vault-api",
        "VAULT_CLIENT_KEY_FILE": str(secret("client-vault-api.pem")),
        "VAULT_ROTATOR_DATABASE_URL": f"postgresql://vault_rotator@{database}",
        "VAULT_ROTATOR_DATABASE_PASSWORD_FILE": str(secret("postgres-vault_rotator")),
        "VAULT_ROTATOR_CLIENT_ID": "vault-rotator",
        "VAULT_ROTATOR_CLIENT_KEY_FILE": str(secret("client-vault-rotator.pem")),
        "SESSION_BROKER_URL": f"http://127.0.0.1:{ports['session-broker']}",
        "SESSION_BROKER_BIND": f"127.0.0.1:{ports['session-broker']}",
        "SESSION_BROKER_ACCESS_FILE": str(layout.checkout / "configs" / "session-broker" / "access.toml"),
        "SESSION_BROKER_STATE_DIR": str(layout.state / "session-broker"),
        "SESSION_BROKER_CLIENT_ID": "session-broker",
        "SESSION_BROKER_CLIENT_KEY_FILE": str(secret("client-session-broker.pem")),
        "SESSION_BROKER_LOGOUT_CLIENTS": "tradepulse,tradepulse-cli",
        # By its address: the name in its URL is for browsers.
        "SESSION_BROKER_LOGOUT_RELAYS": f"tradepulse=http://127.0.0.1:{ports['workspace']}/auth/backchannel-logout",
        "SESSION_BROKER_VAULT_URL": f"http://127.0.0.1:{ports['vault']}",
        "PROXY_LISTEN": f"127.0.0.1:{ports['proxy']}",
        "PROXY_NAMES": "localhost,127.0.0.1",
        "PROXY_BROKER_URL": f"http://127.0.0.1:{ports['session-broker']}",
        "PROXY_SERVICES": f"vault=http://127.0.0.1:{ports['vault']}",
        "PROXY_KEYCLOAK_URL": f"http://127.0.0.1:{ports['keycloak']}",
        "PROXY_REALM": REALM,
        "PROXY_SOURCE": proxy.SOURCE,
    }


def write(layout: Layout, values: Mapping[str, str]) -> None:
    """Make `.stack/env`: lines that a shell can source, values quoted where they need it."""
    files.write(layout.environment, "".join(f"{key}={shlex.quote(values[key])}\n" for key in sorted(values)))


def read(layout: Layout) -> dict[str, str]:
    """The settings of a stack that has been provided, as environment variables."""
    words = shlex.split(layout.environment.read_text())
    return dict(word.split("=", 1) for word in words)
