"""The session broker's settings: environment variables, and secrets only as paths of files (`identity.settings`)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator
from pydantic_settings import NoDecode

from identity.settings import IdentitySettings, listen_address


class BrokerSettings(IdentitySettings):
    """What the service needs. Who may come in has no default: without an access file there is no broker."""

    bind: str = Field(default="127.0.0.1:8300", validation_alias="SESSION_BROKER_BIND")
    workers: int = Field(default=1, ge=1, le=64, validation_alias="SESSION_BROKER_WORKERS")
    """Processes that serve behind the one address."""
    share_port: bool = Field(default=False, validation_alias="SESSION_BROKER_SHARE_PORT")
    """Set by the parent of several processes for each of them."""
    access_file: Path = Field(validation_alias="SESSION_BROKER_ACCESS_FILE")
    """Providers and services (see `session_broker/access.py`)."""
    state_dir: Path = Field(validation_alias="SESSION_BROKER_STATE_DIR")
    """Where the processes of this host share which sessions ended; private to this service's account."""
    client_id: str = Field(default="session-broker", validation_alias="SESSION_BROKER_CLIENT_ID")
    client_key_file: Path = Field(validation_alias="SESSION_BROKER_CLIENT_KEY_FILE")
    revocation_seconds: float = Field(default=30.0, ge=1, le=300, validation_alias="SESSION_BROKER_REVOCATION_SECONDS")
    """How long a grant is remembered at most, and thus how long a revocation without a logout token goes unnoticed."""
    refusal_seconds: float = Field(default=2.0, ge=0, le=30, validation_alias="SESSION_BROKER_REFUSAL_SECONDS")
    """How long Keycloak is not asked again about a token that it refused."""
    cache_size: int = Field(default=20_000, ge=100, le=1_000_000, validation_alias="SESSION_BROKER_CACHE_SIZE")
    exchange_seconds: float = Field(default=3.0, gt=0, le=30, validation_alias="SESSION_BROKER_EXCHANGE_SECONDS")
    """Deadline of one exchange, all of its requests together."""
    exchanges_at_once: int = Field(default=32, ge=1, le=1000, validation_alias="SESSION_BROKER_EXCHANGES_AT_ONCE")
    """More wait, up to the deadline, and are then answered with 503: Keycloak is not helped by a longer queue."""
    breaker_failures: int = Field(default=5, ge=1, le=1000, validation_alias="SESSION_BROKER_BREAKER_FAILURES")
    breaker_seconds: float = Field(default=5.0, gt=0, le=300, validation_alias="SESSION_BROKER_BREAKER_SECONDS")
    """After so many failures in a row Keycloak is left alone for so long."""
    proxies: Annotated[frozenset[str], NoDecode] = Field(
        default=frozenset({"127.0.0.1", "::1"}), validation_alias="SESSION_BROKER_PROXIES"
    )
    """Addresses of the proxies whose word about the client's address is taken."""
    logout_clients: Annotated[frozenset[str], NoDecode] = Field(
        default=frozenset(), validation_alias="SESSION_BROKER_LOGOUT_CLIENTS"
    )
    """Clients of our realm whose logout tokens are taken; none unless named."""
    vault_url: str | None = Field(default=None, validation_alias="SESSION_BROKER_VAULT_URL")
    """Where leases are ended at a logout; without it they end by themselves."""
    logout_relays: Annotated[Mapping[str, tuple[str, ...]], NoDecode] = Field(
        default_factory=dict, validation_alias="SESSION_BROKER_LOGOUT_RELAYS"
    )
    """Where the logout tokens of a client go on to: `client=url`, separated by commas."""

    migration_file: Path | None = Field(default=None, validation_alias="SESSION_BROKER_MIGRATION_FILE")
    """The phase of a migration from a platform's own tokens (`session_broker/migration`); without it there is none."""

    @field_validator("proxies", "logout_clients", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        if isinstance(value, str):
            return frozenset(name.strip() for name in value.split(",") if name.strip())
        return value

    @field_validator("logout_relays", mode="before")
    @classmethod
    def _relays(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        found: dict[str, tuple[str, ...]] = {}
        for entry in filter(None, (part.strip() for part in value.split(","))):
            client, _, url = entry.partition("=")
            parts = urlsplit(url)
            if not client or parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.username:
                raise ValueError(
                    "must be client=url, such as tradepulse=https://workspace.example/auth/backchannel-logout"
                )
            found[client] = (*found.get(client, ()), url)
        return found

    @model_validator(mode="after")
    def _relays_are_of_clients_that_are_heard(self) -> Self:
        if unheard := self.logout_relays.keys() - self.logout_clients:
            raise ValueError(
                f"SESSION_BROKER_LOGOUT_RELAYS: {', '.join(sorted(unheard))} is not in SESSION_BROKER_LOGOUT_CLIENTS, "
                "so none of its logouts would go on"
            )
        return self

    @field_validator("vault_url")
    @classmethod
    def _vault_is_a_url(cls, value: str | None) -> str | None:
        if value is not None and (not value.startswith(("https://", "http://")) or value.endswith("/")):
            raise ValueError("must be an http or https URL without a trailing slash")
        return value or None

    @property
    def address(self) -> tuple[str, int]:
        """Host and port to listen on. Raises `ValueError`."""
        return listen_address(self.bind, "SESSION_BROKER_BIND", port=8300)
