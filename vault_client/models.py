"""What the vault answers, as values. Times are aware datetimes; secrets are of type `Secret`.

Fields that a newer vault adds are ignored, so an older client goes on working.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, PlainValidator

from identity.secret import Secret


def _secret(value: object) -> Secret:
    if isinstance(value, Secret):
        return value
    if not isinstance(value, str) or not value:
        raise ValueError("must be text")
    return Secret(value)


SecretText = Annotated[
    Secret, PlainValidator(_secret), PlainSerializer(lambda _: "<secret>", return_type=str, when_used="json")
]
"""A secret in an answer. Written as JSON it is a mask; only `.text()` gives it."""


class _Answer(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True, arbitrary_types_allowed=True)


class TokenSet(_Answer):
    """What a broker gave and the vault is to keep."""

    broker: str
    access_token: SecretText
    refresh_token: SecretText | None = None
    expires_at: datetime | None = None
    refresh_expires_at: datetime | None = None
    scopes: tuple[str, ...] = ()

    def body(self) -> dict[str, Any]:
        """The request body, the one place in which the tokens are text."""
        return {
            "broker": self.broker,
            "access_token": self.access_token.text(),
            "refresh_token": None if self.refresh_token is None else self.refresh_token.text(),
            "expires_at": None if self.expires_at is None else self.expires_at.isoformat(),
            "refresh_expires_at": None if self.refresh_expires_at is None else self.refresh_expires_at.isoformat(),
            "scopes": list(self.scopes),
        }


class Stored(_Answer):
    """What a store came to; `version` is what the next one replaces."""

    connection: str
    broker: str
    version: int
    key_version: int
    expires_at: datetime | None = None
    stored_at: datetime | None = None


class Credential(_Answer):
    """A connection without anything secret. Before its first token set it has no version, nor what goes with one."""

    connection: str
    broker: str
    state: str = "active"
    version: int | None = None
    key_version: int | None = None
    created_at: datetime
    stored_at: datetime | None = None
    stored_by: str | None = None
    age_seconds: int | None = None
    expires_at: datetime | None = None
    expired: bool
    has_refresh_token: bool
    scopes: tuple[str, ...] = ()
    last_released_at: datetime | None = None


class Released(_Answer):
    """An access token. Keep it in memory, use it, forget it."""

    connection: str
    broker: str
    version: int
    token: SecretText = Field(validation_alias="access_token")
    expires_at: datetime | None = None
    scopes: tuple[str, ...] = ()


class Lease(_Answer):
    """A lease without anything secret."""

    lease: str
    template: str
    kind: str
    target: str
    requestor: str
    roles: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    state: str
    issued_at: datetime
    expires_at: datetime
    renewable_until: datetime
    reason: str | None = None
    irrevocable: bool = False


class LentCredential(_Answer):
    """A new lease with its credential, which the vault shows once.

    `facts` says where it is good for (host, database, user name, scopes); `secret` is the password or token.
    """

    lease: Lease
    facts: Mapping[str, Any]
    secret: SecretText
