"""`partners.yaml`: partners and what their kind of partner sees."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from admin_sync.load.scalars import Alias, Domain, Email, Line, Name, SecretReference, Section, Url, Version


class Persona(Section):
    """A kind of partner. Without `allowed_partner_roles` every partner role is open to it."""

    session: Name | None = None
    default_page: Name
    alerts: list[Name] = Field(default_factory=list)
    allowed_partner_roles: list[Name] | None = None
    approve_connections: bool = False
    """Whether what somebody links waits until a second person of the partner has approved it."""


class AlertRoute(Section):
    """Where a partner's alerts go: an e-mail address, or a webhook that is signed with a shared secret."""

    email: Email | None = None
    webhook: Url | None = None
    secret: SecretReference | None = None
    alerts: list[Name] | None = None
    """What goes there; what the persona lists when absent."""

    @model_validator(mode="before")
    @classmethod
    def _one_address(cls, value: Any) -> Any:
        if isinstance(value, dict):
            if len(value.keys() & {"email", "webhook"}) != 1:
                raise PydanticCustomError("alert-route", "a route names exactly one of email and webhook")
            if ("webhook" in value) != ("secret" in value):
                raise PydanticCustomError("alert-route", "a webhook has a secret to sign with, an e-mail has none")
        return value


class Partner(Section):
    """A partner, which is an organization in Keycloak under the same alias."""

    name: Line
    domains: Annotated[list[Domain], Field(min_length=1)]
    persona: Name
    brokers: list[Name] = Field(default_factory=list)
    admins: list[Email] = Field(default_factory=list)
    approve_connections: bool | None = None
    """As in the persona, for this partner alone."""
    alert_routes: list[AlertRoute] = Field(default_factory=list)


class PartnersFile(Section):
    """The whole file."""

    version: Version
    personas: dict[Name, Persona]
    partners: dict[Alias, Partner]
