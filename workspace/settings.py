"""The workspace's settings: environment variables, and secrets only as paths of files (`identity.settings`)."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from identity.settings import IdentitySettings, database_url, listen_address


class WorkspaceSettings(IdentitySettings):
    """What the service needs. It has no key but the one by which the client `tradepulse` proves itself to Keycloak."""

    url: str = Field(validation_alias="WORKSPACE_URL")
    """Where people reach it, without a trailing slash: what its cookies and its redirect URI are bound to."""
    bind: str = Field(default="127.0.0.1:8400", validation_alias="WORKSPACE_BIND")
    workers: int = Field(default=1, ge=1, le=64, validation_alias="WORKSPACE_WORKERS")
    share_port: bool = Field(default=False, validation_alias="WORKSPACE_SHARE_PORT")
    """Set by the parent of several processes for each of them."""
    client_id: str = Field(default="tradepulse", validation_alias="WORKSPACE_CLIENT_ID")
    client_key_file: Path = Field(validation_alias="WORKSPACE_CLIENT_KEY_FILE")
    vault_url: str = Field(validation_alias="WORKSPACE_VAULT_URL")
    access_url: str = Field(validation_alias="WORKSPACE_ACCESS_URL")
    database_url: str = Field(validation_alias="WORKSPACE_DATABASE_URL")
    """`postgresql://` as `workspace_app`, without the password."""
    database_password_file: Path = Field(validation_alias="WORKSPACE_DATABASE_PASSWORD_FILE")
    owner_database_url: str | None = Field(default=None, validation_alias="WORKSPACE_OWNER_DATABASE_URL")
    """As the schema's owner; for `migrate` alone."""
    owner_database_password_file: Path | None = Field(
        default=None, validation_alias="WORKSPACE_OWNER_DATABASE_PASSWORD_FILE"
    )
    idle_seconds: int = Field(default=3600, ge=60, le=86_400, validation_alias="WORKSPACE_IDLE_SECONDS")
    """How long a session lives without being used; what the realm gives it too (docs/sessions.md)."""
    session_seconds: int = Field(default=36_000, ge=300, le=86_400, validation_alias="WORKSPACE_SESSION_SECONDS")
    """How long a session lives whatever is done in it."""
    database_connections: int = Field(default=10, ge=2, le=200, validation_alias="WORKSPACE_DATABASE_CONNECTIONS")

    @field_validator("url", "vault_url", "access_url")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.netloc or value.endswith("/") or parts.query:
            raise ValueError("must be an http or https URL without a trailing slash")
        return value

    @field_validator("database_url", "owner_database_url")
    @classmethod
    def _no_password_in_url(cls, value: str | None) -> str | None:
        return None if value is None else database_url(value)

    @field_validator("url")
    @classmethod
    def _is_an_origin(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.path or (parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1", "::1")):
            raise ValueError("must be an https origin such as https://workspace.example (http for this host alone)")
        return value

    @property
    def redirect_uri(self) -> str:
        """Where Keycloak sends a person back to, as the client registers it."""
        return f"{self.url}/auth/callback"

    @property
    def address(self) -> tuple[str, int]:
        """Host and port to listen on. Raises `ValueError`."""
        return listen_address(self.bind, "WORKSPACE_BIND", port=8400)
