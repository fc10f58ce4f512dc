"""`brokers.yaml`: the brokers' OAuth endpoints, which the vault links partners to."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from admin_sync.load.scalars import Duration, Lifetime, Name, SecretReference, Section, Text, Url, VariableName, Version


class Refresh(Section):
    """How long a broker's tokens live and how they are renewed."""

    before_expiry: Lifetime | None = None
    rotates_refresh_token: bool = False
    expires: Literal["never"] | None = None
    relink_every: Duration | None = None


class Broker(Section):
    """A broker with a discovery document (`issuer`) or with its endpoints spelt out."""

    display_name: Text
    issuer: Url | None = None
    authorize_url: Url | None = None
    token_url: Url | None = None
    revoke_url: Url | None = None
    scopes: list[Text] = Field(default_factory=list)
    client_id: str
    client_secret: SecretReference
    enabled_if: VariableName | None = None
    refresh: Refresh = Field(default_factory=Refresh)

    @model_validator(mode="before")
    @classmethod
    def _one_way_to_endpoints(cls, value: Any) -> Any:
        if isinstance(value, dict):
            spelt = value.keys() & {"authorize_url", "token_url"}
            if ("issuer" in value and spelt) or ("issuer" not in value and len(spelt) != 2):
                raise PydanticCustomError("broker", "name an issuer, or authorize_url and token_url, not both")
        return value


class BrokersFile(Section):
    """The whole file."""

    version: Version
    brokers: dict[Name, Broker]
