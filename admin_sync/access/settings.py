"""The access service's settings: environment variables, and secrets only as paths of files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from identity.settings import IdentitySettings, database_url, listen_address


class DatabaseSettings(BaseSettings):
    """Where the requests are, and as whom. The reconciler and `offboard` read these alone, with a role of their own."""

    model_config = SettingsConfigDict(extra="ignore", hide_input_in_errors=True, populate_by_name=True, frozen=True)

    database_url: str = Field(validation_alias="ACCESS_DATABASE_URL")
    database_password_file: Path = Field(validation_alias="ACCESS_DATABASE_PASSWORD_FILE")
    statement_seconds: float = Field(default=5.0, gt=0, le=60, validation_alias="ACCESS_STATEMENT_SECONDS")
    """After this long PostgreSQL gives a statement, or a wait for a lock, up."""

    @field_validator("database_url")
    @classmethod
    def _no_password_in_url(cls, value: str) -> str:
        return database_url(value)


def operator_database(environ: Mapping[str, str]) -> DatabaseSettings:
    """The database as an operator's commands and the reconciler reach it: as `access_reconciler`. Raises ValueError."""
    names = ("ACCESS_RECONCILER_DATABASE_URL", "ACCESS_RECONCILER_DATABASE_PASSWORD_FILE")
    missing = [name for name in names if not environ.get(name)]
    if missing:
        raise ValueError(f"set {' and '.join(missing)} to reach the database of requests and campaigns")
    try:
        return DatabaseSettings.model_validate(
            {"database_url": environ[names[0]], "database_password_file": environ[names[1]]}
        )
    except ValidationError as problem:
        raise ValueError(f"{names[0]}: {problem.errors()[0]['msg']}") from None


class AccessSettings(IdentitySettings, DatabaseSettings):
    """What the service needs: no secret of Keycloak's administration, and no right to write the repository."""

    bind: str = Field(default="127.0.0.1:8500", validation_alias="ACCESS_BIND")
    database_pool: int = Field(default=10, ge=1, le=200, validation_alias="ACCESS_DATABASE_POOL")
    config: Path = Field(default=Path("configs/iam"), validation_alias="ADMIN_SYNC_CONFIG")
    """The configuration that grants are committed to: read, never written."""
    roster_file: Path | None = Field(default=None, validation_alias="ACCESS_ROSTER_FILE")
    """The HR roster (CSV or SCIM-shaped JSON). Without it nobody is employed, so nobody approves anything."""
    approval_key_file: Path | None = Field(default=None, validation_alias="ACCESS_APPROVAL_KEY_FILE")
    """The Ed25519 key (PEM) that tells the vault of an approved opening; without it no emergency account is opened."""
    audit_lag_seconds: float = Field(default=30.0, gt=0, le=3600, validation_alias="ACCESS_AUDIT_LAG_SECONDS")
    """How far the audit file may fall behind the database before the service says that it is not ready."""

    metrics_pages: str = Field(default="", validation_alias="ACCESS_METRICS_PAGES")
    """Pages of metrics that the auth health dashboard is fed with, as `name=URL`, separated by commas."""
    report_dir: Path | None = Field(default=None, validation_alias="ACCESS_REPORT_DIR")
    """Where the auth health report of each day is put when the day is over; without it, nowhere."""

    @property
    def metrics_by_name(self) -> Mapping[str, str]:
        """The address of each page of metrics. Raises ValueError when ACCESS_METRICS_PAGES cannot be read."""
        found: dict[str, str] = {}
        for part in filter(None, (one.strip() for one in self.metrics_pages.split(","))):
            name, _, url = part.partition("=")
            if not name or not url.startswith(("http://", "https://")) or name in found:
                raise ValueError("ACCESS_METRICS_PAGES must be name=URL pairs, separated by commas, each name once")
            found[name] = url
        return found

    @property
    def address(self) -> tuple[str, int]:
        """Host and port to listen on. Raises ValueError when ACCESS_BIND is not `host:port`."""
        return listen_address(self.bind, "ACCESS_BIND", port=8500)


class MigrationSettings(BaseSettings):
    """What `migrate` needs: the schema's owner, whom the service itself never is."""

    model_config = SettingsConfigDict(extra="ignore", hide_input_in_errors=True, populate_by_name=True, frozen=True)

    owner_url: str = Field(validation_alias="ACCESS_OWNER_DATABASE_URL")
    owner_password_file: Path = Field(validation_alias="ACCESS_OWNER_DATABASE_PASSWORD_FILE")

    @field_validator("owner_url")
    @classmethod
    def _no_password_in_url(cls, value: str) -> str:
        return database_url(value)
