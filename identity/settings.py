"""Settings that every service shares, from environment variables; secrets only as paths of files.

A service subclasses `IdentitySettings` and adds its own. The verifier, the policy client and the
audit log are built from here, so that all services verify, ask and record alike.
"""

from __future__ import annotations

import platform
import re
from pathlib import Path
from typing import Annotated, Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from identity.secret import Secret, SecretUnreadable, read_secret
from identity.verify import TokenPolicy

__all__ = ["IdentitySettings", "Secret", "SecretUnreadable", "database_url", "listen_address", "read_secret"]

_ENVIRONMENT = re.compile(r"[a-z][a-z0-9-]{0,31}\Z")
_NOT_IN_NODE = re.compile(r"[^A-Za-z0-9._-]+")


class IdentitySettings(BaseSettings):
    """What a service needs to know to verify callers, ask for decisions and record them.

    Raises pydantic's `ValidationError`, which names the variable and hides its value.
    """

    # Validation errors hide what was given: a secret pasted into the wrong variable stays unprinted.
    model_config = SettingsConfigDict(extra="ignore", hide_input_in_errors=True, populate_by_name=True, frozen=True)

    environment: str = Field(validation_alias="TRADEPULSE_ENVIRONMENT")
    issuer: str = Field(validation_alias="TRADEPULSE_ISSUER")
    audience: str = Field(validation_alias="TRADEPULSE_OAUTH2_AUDIENCE")
    clients: Annotated[frozenset[str], NoDecode] = Field(default=frozenset(), validation_alias="TRADEPULSE_CLIENTS")
    opa_url: str = Field(default="http://127.0.0.1:8181", validation_alias="TRADEPULSE_OPA_URL")
    audit_dir: Path = Field(default=Path("observability/audit"), validation_alias="TRADEPULSE_AUDIT_DIR")
    node: str = Field(default_factory=platform.node, validation_alias="TRADEPULSE_NODE")
    audit_checkpoint_key_file: Path | None = Field(
        default=None, validation_alias="TRADEPULSE_AUDIT_CHECKPOINT_KEY_FILE"
    )
    audit_mac_key_file: Path | None = Field(default=None, validation_alias="TRADEPULSE_AUDIT_MAC_KEY_FILE")

    @field_validator("environment")
    @classmethod
    def _environment_is_a_name(cls, value: str) -> str:
        if not _ENVIRONMENT.match(value):
            raise ValueError("must be a lower-case name such as dev, staging or prod")
        return value

    @field_validator("issuer", "opa_url")
    @classmethod
    def _is_a_url(cls, value: str) -> str:
        if not value.startswith(("https://", "http://")) or value.endswith("/"):
            raise ValueError("must be an http or https URL without a trailing slash")
        return value

    @field_validator("clients", mode="before")
    @classmethod
    def _comma_separated(cls, value: Any) -> Any:
        if isinstance(value, str):
            return frozenset(name.strip() for name in value.split(",") if name.strip())
        return value

    @field_validator("node")
    @classmethod
    def _node_is_a_name(cls, value: str) -> str:
        return _NOT_IN_NODE.sub("-", value).strip("-.")[:63] or "node"

    @property
    def jwks_url(self) -> str:
        """Where the realm publishes its signing keys."""
        return f"{self.issuer}/protocol/openid-connect/certs"

    @property
    def token_url(self) -> str:
        """The realm's token endpoint."""
        return f"{self.issuer}/protocol/openid-connect/token"

    @property
    def checkpoints_dir(self) -> Path:
        """Where signed checkpoints of the audit files go."""
        return self.audit_dir / "checkpoints"

    def token_policy(self) -> TokenPolicy:
        """What an access token must say to be accepted here."""
        return TokenPolicy(
            issuer=self.issuer, audience=self.audience, environment=self.environment, clients=self.clients
        )

    def audit_checkpoint_key(self) -> Ed25519PrivateKey | None:
        """The key that signs audit checkpoints, None if none is configured. Raises `SecretUnreadable`."""
        if self.audit_checkpoint_key_file is None:
            return None
        name = "TRADEPULSE_AUDIT_CHECKPOINT_KEY_FILE"
        pem = read_secret(self.audit_checkpoint_key_file, name=name)
        try:
            key = load_pem_private_key(pem.reveal(), password=None)
        except (ValueError, TypeError):
            key = None
        if not isinstance(key, Ed25519PrivateKey):
            raise SecretUnreadable(f"{name}: {self.audit_checkpoint_key_file} is not an Ed25519 private key in PEM")
        return key

    def audit_mac_key(self) -> bytes | None:
        """The 32-byte key that names tokens in audit lines, None if none is configured.

        Raises `SecretUnreadable`.
        """
        if self.audit_mac_key_file is None:
            return None
        name = "TRADEPULSE_AUDIT_MAC_KEY_FILE"
        secret = read_secret(self.audit_mac_key_file, name=name)
        try:
            key = bytes.fromhex(secret.text())
        except ValueError:
            key = b""
        if len(key) != 32:
            raise SecretUnreadable(f"{name}: {self.audit_mac_key_file} must hold 64 hexadecimal digits")
        return key


def listen_address(bind: str, name: str, *, port: int) -> tuple[str, int]:
    """Host and port to listen on, from `host:port`. Raises ValueError, which says `name` and its usual `port`."""
    host, _, given = bind.rpartition(":")
    if not host or not given.isdigit() or not 0 < int(given) < 65536:
        raise ValueError(f"{name} is host:port, for instance 127.0.0.1:{port}")
    return host.strip("[]"), int(given)


def database_url(value: str) -> str:
    """An address of PostgreSQL without a password, which belongs into a file. Raises ValueError."""
    if not value.startswith("postgresql://"):
        raise ValueError("must begin with postgresql://")
    if ":" in value.removeprefix("postgresql://").partition("@")[0] and "@" in value:
        raise ValueError("must hold no password; put it into a file and name that file instead")
    return value
