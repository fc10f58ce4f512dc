"""The vault's settings: environment variables, and secrets only as paths of files (see `identity.settings`)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from identity.settings import IdentitySettings, database_url, listen_address
from vault_api.kms.settings import KmsSettings


class VaultSettings(IdentitySettings, KmsSettings):
    """What the service needs. Nothing that matters for safety has a default: no KMS, no database, no key."""

    bind: str = Field(default="127.0.0.1:8200", validation_alias="VAULT_BIND")
    worker_bind: str = Field(default="127.0.0.1:8201", validation_alias="VAULT_WORKER_BIND")
    """Where a worker answers for its health and metrics."""
    workers: int = Field(default=1, ge=1, le=64, validation_alias="VAULT_WORKERS")
    """Processes that serve behind the one address; two cores are well used by two."""
    share_port: bool = Field(default=False, validation_alias="VAULT_SHARE_PORT")
    """Set by the parent of several processes for each of them."""
    database_url: str = Field(validation_alias="VAULT_DATABASE_URL")
    database_password_file: Path = Field(validation_alias="VAULT_DATABASE_PASSWORD_FILE")
    database_pool: int = Field(default=10, ge=1, le=200, validation_alias="VAULT_DATABASE_POOL")
    statement_seconds: float = Field(default=3.0, gt=0, le=60, validation_alias="VAULT_STATEMENT_SECONDS")
    """After this long PostgreSQL gives a statement up, and the request is answered with 503."""
    key_seconds: float = Field(default=300.0, gt=0, le=3600, validation_alias="VAULT_KEY_SECONDS")
    """How long a derived key stays in memory, and thus how long a removed salt or a lost KMS goes unnoticed."""
    audit_lag_seconds: float = Field(default=30.0, gt=0, le=3600, validation_alias="VAULT_AUDIT_LAG_SECONDS")
    """How far the audit file may fall behind the database before the vault says that it is not ready."""
    digest_dir: Path | None = Field(default=None, validation_alias="VAULT_DIGEST_DIR")
    """Where a worker puts each week's compliance digest; without it none is written."""
    key_rotation_days: int = Field(default=90, ge=1, le=3650, validation_alias="VAULT_KEY_ROTATION_DAYS")
    """How old the newest version of a partner's key may be before metrics and the dashboard call it overdue."""
    legacy_key_file: Path | None = Field(default=None, validation_alias="VAULT_LEGACY_KEY_FILE")
    """The earlier format's one key, 32 bytes in hex. With it the vault serves both formats as the phase says."""
    legacy_dwell: float = Field(default=10.0, ge=1, le=600, validation_alias="VAULT_LEGACY_DWELL_SECONDS")
    """How long a phase lasts at least, so that every process has seen one before the next."""
    approval_keys_file: Path | None = Field(default=None, validation_alias="VAULT_APPROVAL_KEYS_FILE")
    """The public keys (JWKS) of the access service, whose proofs open emergency credentials; none, and none opens."""
    leases_file: Path | None = Field(default=None, validation_alias="VAULT_LEASES_FILE")
    """What may be lent (see `vault_api/leases/templates.py`); without it nothing is."""
    lease_review_seconds: float = Field(default=5.0, gt=0, le=300, validation_alias="VAULT_LEASE_REVIEW_SECONDS")
    """How often the policy is asked again about every lease, and thus how long one may outlive a freeze."""
    keycloak_admin_url: str = Field(validation_alias="VAULT_KEYCLOAK_ADMIN_URL")
    service_token_url: str | None = Field(default=None, validation_alias="VAULT_TOKEN_URL")
    """Where the vault gets its own token; the realm's token endpoint unless set."""
    client_id: str = Field(default="vault-api", validation_alias="VAULT_CLIENT_ID")
    link_redirect_uris: Annotated[tuple[str, ...], NoDecode] = Field(
        default=("http://localhost:8400/link/callback",), min_length=1, validation_alias="VAULT_LINK_REDIRECT_URIS"
    )
    """Where a broker may send browsers back to, separated by commas; the first is the usual one."""
    smtp: str = Field(default="", validation_alias="VAULT_SMTP")
    """`host:port` of the server that takes e-mail for partners; without it their e-mail routes are not served."""
    smtp_tls: Literal["starttls", "tls", "none"] = Field(default="starttls", validation_alias="VAULT_SMTP_TLS")
    smtp_from: str = Field(default="vault@localhost", validation_alias="VAULT_SMTP_FROM")
    smtp_user: str = Field(default="", validation_alias="VAULT_SMTP_USER")
    smtp_password_file: Path | None = Field(default=None, validation_alias="VAULT_SMTP_PASSWORD_FILE")
    client_key_file: Path = Field(validation_alias="VAULT_CLIENT_KEY_FILE")

    rotator_url: str | None = Field(default=None, validation_alias="VAULT_ROTATOR_DATABASE_URL")
    """For the worker alone, and only where it rotates keys; a serving process is not given these four."""
    rotator_password_file: Path | None = Field(default=None, validation_alias="VAULT_ROTATOR_DATABASE_PASSWORD_FILE")
    rotator_client_id: str = Field(default="vault-rotator", validation_alias="VAULT_ROTATOR_CLIENT_ID")
    rotator_key_file: Path | None = Field(default=None, validation_alias="VAULT_ROTATOR_CLIENT_KEY_FILE")
    settle_seconds: float = Field(default=5.0, ge=0, le=600, validation_alias="VAULT_SALT_SETTLE_SECONDS")
    """How long a new salt is left alone before anything is sealed under it: longer than admin-sync's slowest write."""

    @field_validator("database_url", "rotator_url")
    @classmethod
    def _no_password_in_url(cls, value: str | None) -> str | None:
        return None if value is None else database_url(value)

    @field_validator("link_redirect_uris", mode="before")
    @classmethod
    def _uris(cls, value: object) -> object:
        return tuple(uri.strip() for uri in value.split(",") if uri.strip()) if isinstance(value, str) else value

    @property
    def development(self) -> bool:
        """Whether servers on this machine may be called that the configuration names, and without TLS."""
        return self.environment == "dev"

    @property
    def address(self) -> tuple[str, int]:
        """Host and port to listen on. Raises ValueError when VAULT_BIND is not `host:port`."""
        return listen_address(self.bind, "VAULT_BIND", port=8200)

    @property
    def worker_address(self) -> tuple[str, int]:
        """Host and port of a worker. Raises ValueError when VAULT_WORKER_BIND is not `host:port`."""
        return listen_address(self.worker_bind, "VAULT_WORKER_BIND", port=8201)


class MigrationSettings(BaseSettings):
    """What `migrate` needs: the schema's owner, whom the service itself never is."""

    model_config = SettingsConfigDict(extra="ignore", hide_input_in_errors=True, populate_by_name=True, frozen=True)

    owner_url: str = Field(validation_alias="VAULT_OWNER_DATABASE_URL")
    owner_password_file: Path = Field(validation_alias="VAULT_OWNER_DATABASE_PASSWORD_FILE")

    @field_validator("owner_url")
    @classmethod
    def _no_password_in_url(cls, value: str) -> str:
        return database_url(value)


class RecoverySettings(BaseSettings):
    """What `recover` needs besides the KMS: the vault's own account at the database that was restored."""

    model_config = SettingsConfigDict(extra="ignore", hide_input_in_errors=True, populate_by_name=True, frozen=True)

    database_url: str = Field(validation_alias="VAULT_DATABASE_URL")
    database_password_file: Path = Field(validation_alias="VAULT_DATABASE_PASSWORD_FILE")

    @field_validator("database_url")
    @classmethod
    def _no_password_in_url(cls, value: str) -> str:
        return database_url(value)


class KmsInitSettings(BaseSettings):
    """What `kms-init` needs: where the root key file is to be."""

    model_config = SettingsConfigDict(extra="ignore", hide_input_in_errors=True, populate_by_name=True, frozen=True)

    kms_file: Path = Field(validation_alias="VAULT_KMS_FILE")
