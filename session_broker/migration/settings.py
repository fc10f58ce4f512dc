"""The settings of a migration. There is one when SESSION_BROKER_MIGRATION_FILE is set; then nearly all are needed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class MigrationSettings(BaseSettings):
    """What is needed to read and write legacy tokens, and to vouch for whom they name."""

    model_config = SettingsConfigDict(extra="ignore", hide_input_in_errors=True, populate_by_name=True, frozen=True)

    phase_file: Path = Field(validation_alias="SESSION_BROKER_MIGRATION_FILE")
    """Written by `python -m session_broker migration`; read by every process."""
    secret_file: Path = Field(validation_alias="SESSION_BROKER_LEGACY_SECRET_FILE")
    """The HS256 secret of legacy tokens, at least 32 bytes."""
    issuer: str = Field(min_length=1, validation_alias="SESSION_BROKER_LEGACY_ISSUER")
    audience: str = Field(min_length=1, validation_alias="SESSION_BROKER_LEGACY_AUDIENCE")
    """What legacy tokens say in `iss` and `aud`, compared exactly."""
    bridge_key_file: Path = Field(validation_alias="SESSION_BROKER_BRIDGE_KEY_FILE")
    """The private key (PEM) of the assertions about whom a legacy token names."""
    bridge_issuer: str = Field(min_length=1, validation_alias="SESSION_BROKER_BRIDGE_ISSUER")
    """Their issuer, as `configs/iam/roles.yaml` has it for the provider `legacy`."""
    deprecated: datetime = Field(validation_alias="SESSION_BROKER_LEGACY_DEPRECATED")
    """Since when legacy tokens are deprecated, with an offset (`Deprecation`, RFC 9745)."""
    sunset: datetime | None = Field(default=None, validation_alias="SESSION_BROKER_LEGACY_SUNSET")
    """When they end (`Sunset`, RFC 8594)."""

    @model_validator(mode="after")
    def _moments(self) -> Self:
        for moment in (self.deprecated, self.sunset):
            if moment is not None and moment.tzinfo is None:
                raise ValueError("SESSION_BROKER_LEGACY_DEPRECATED and _SUNSET need an offset, such as Z")
        if self.sunset is not None and self.sunset < self.deprecated:
            # RFC 9745 section 4.
            raise ValueError("SESSION_BROKER_LEGACY_SUNSET is not before SESSION_BROKER_LEGACY_DEPRECATED")
        return self

    @property
    def deprecated_at(self) -> int:
        """In unix seconds."""
        return int(self.deprecated.astimezone(UTC).timestamp())

    @property
    def sunset_at(self) -> int | None:
        """In unix seconds."""
        return None if self.sunset is None else int(self.sunset.astimezone(UTC).timestamp())
