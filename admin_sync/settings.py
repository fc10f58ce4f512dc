"""Settings of admin-sync, from environment variables; secrets only as paths of files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from platform import node
from typing import Final

from admin_sync.errors import Misconfigured
from admin_sync.keycloak.choice import MOST_PARALLEL, PARALLELISM, Choice
from identity import secret

_DURATION: Final = re.compile(r"([1-9][0-9]{0,5})([smhd])")
_ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True, slots=True)
class Account:
    """The service account that admin-sync acts as. What proves it is read where it is used."""

    url: str
    realm: str
    client_id: str
    secret_file: Path | None
    assertion_file: Path | None = None
    """A JWT by which the platform that we run on vouches for us; used instead of a secret."""

    def credential(self) -> dict[str, str]:
        """The parameters that prove who we are (RFC 6749 section 2.3.1, RFC 7523 section 2.2). Raises Misconfigured."""
        if self.assertion_file is not None:
            assertion = read_secret(self.assertion_file, "ADMIN_SYNC_CLIENT_ASSERTION_FILE")
            return {"client_assertion_type": _ASSERTION_TYPE, "client_assertion": assertion}
        if self.secret_file is None:
            raise Misconfigured("set ADMIN_SYNC_CLIENT_SECRET_FILE to reach Keycloak")
        return {"client_secret": read_secret(self.secret_file, "ADMIN_SYNC_CLIENT_SECRET_FILE")}


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that is not configuration of the realms themselves."""

    environ: Mapping[str, str] = field(repr=False)
    keycloak_url: str | None
    realm: str
    client_id: str | None
    client_secret_file: Path | None
    client_assertion_file: Path | None
    gateway: Choice
    parallelism: int
    jwks_dir: Path | None
    realm_dir: Path
    policy_dir: Path
    bundle_target: str | None
    bundle_token_file: Path | None
    bundle_ca_file: Path | None
    bundle_key_file: Path | None
    bundle_validity: int
    opa_bin: str | None
    opa_url: str | None
    reports_url: str | None
    reports_token_file: Path | None
    audit_dir: Path
    audit_checkpoint_key_file: Path | None
    node: str

    def account(self) -> Account:
        """The account for Keycloak. Raises Misconfigured with every variable that is missing."""
        missing = [
            name
            for name, value in (
                ("ADMIN_SYNC_KEYCLOAK_URL", self.keycloak_url),
                ("ADMIN_SYNC_CLIENT_ID", self.client_id),
                ("ADMIN_SYNC_CLIENT_SECRET_FILE", self.client_secret_file or self.client_assertion_file),
            )
            if not value
        ]
        if missing or not (self.keycloak_url and self.client_id):
            raise Misconfigured(
                f"set {', '.join(missing)} to reach Keycloak; a person's login gives no right there (docs/login.md)"
            )
        proof = (self.client_secret_file, self.client_assertion_file)
        return Account(self.keycloak_url.rstrip("/"), self.realm, self.client_id, *proof)


def settings(environ: Mapping[str, str]) -> Settings:
    """The settings in an environment. Raises Misconfigured for a malformed one."""

    def path(name: str) -> Path | None:
        return Path(environ[name]) if environ.get(name) else None

    return Settings(
        environ=environ,
        keycloak_url=environ.get("ADMIN_SYNC_KEYCLOAK_URL") or None,
        realm=environ.get("ADMIN_SYNC_REALM") or "master",
        client_id=environ.get("ADMIN_SYNC_CLIENT_ID") or None,
        client_secret_file=path("ADMIN_SYNC_CLIENT_SECRET_FILE"),
        client_assertion_file=path("ADMIN_SYNC_CLIENT_ASSERTION_FILE"),
        gateway=_gateway(environ.get("ADMIN_SYNC_GATEWAY") or Choice.AUTO),
        parallelism=_parallelism(environ.get("ADMIN_SYNC_PARALLELISM") or str(PARALLELISM)),
        jwks_dir=path("ADMIN_SYNC_CLIENT_JWKS_DIR"),
        realm_dir=path("ADMIN_SYNC_REALM_DIR") or _checkout("realm/base"),
        policy_dir=path("ADMIN_SYNC_POLICY_DIR") or _checkout("policy"),
        bundle_target=environ.get("ADMIN_SYNC_BUNDLE_TARGET") or environ.get("ADMIN_SYNC_BUNDLE_DIR") or None,
        bundle_token_file=path("ADMIN_SYNC_BUNDLE_TOKEN_FILE"),
        bundle_ca_file=path("ADMIN_SYNC_BUNDLE_CA_FILE"),
        bundle_key_file=path("ADMIN_SYNC_BUNDLE_KEY_FILE"),
        bundle_validity=seconds("ADMIN_SYNC_BUNDLE_VALIDITY", environ.get("ADMIN_SYNC_BUNDLE_VALIDITY") or "7d"),
        opa_bin=environ.get("ADMIN_SYNC_OPA_BIN") or None,
        opa_url=environ.get("ADMIN_SYNC_OPA_URL") or None,
        reports_url=environ.get("ADMIN_SYNC_REPORTS_URL") or None,
        reports_token_file=path("ADMIN_SYNC_REPORTS_TOKEN_FILE"),
        audit_dir=path("TRADEPULSE_AUDIT_DIR") or Path("observability/audit"),
        audit_checkpoint_key_file=path("TRADEPULSE_AUDIT_CHECKPOINT_KEY_FILE"),
        node=re.sub(r"[^A-Za-z0-9._-]+", "-", environ.get("TRADEPULSE_NODE") or node()).strip("-.")[:63] or "node",
    )


def read_secret(path: Path, name: str) -> str:
    """A secret from a file that its owner alone can read, without surrounding space. Raises Misconfigured."""
    try:
        text = secret.read_secret(path, name=name).text().strip()
    except secret.SecretUnreadable as problem:
        raise Misconfigured(str(problem)) from None
    except UnicodeDecodeError:
        raise Misconfigured(f"{name}: {path} cannot be read as text") from None
    if not text:
        raise Misconfigured(f"{name}: {path} is empty")
    return text


def _checkout(folder: str) -> Path:
    """A folder beside the package, or under the working directory where the package is installed elsewhere."""
    beside = Path(__file__).resolve().parent.parent / folder
    return beside if beside.is_dir() else Path(folder)


def _gateway(text: str) -> Choice:
    try:
        return Choice(text)
    except ValueError:
        raise Misconfigured(f"ADMIN_SYNC_GATEWAY: write one of {', '.join(Choice)}") from None


def _parallelism(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= MOST_PARALLEL):
        raise Misconfigured(f"ADMIN_SYNC_PARALLELISM: write a whole number from 1 to {MOST_PARALLEL}")
    return int(text)


def seconds(name: str, text: str) -> int:
    """A duration such as 7d in seconds; `name` is the setting's or option's. Raises Misconfigured."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise Misconfigured(f"{name}: write a whole number and one of s, m, h, d, such as 7d")
    return int(match[1]) * _UNITS[match[2]]
