"""`partners.yaml`: partners and what their kind of partner sees."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from admin_sync.load.scalars import Alias, Domain, Email, Line, Name, Section, Version


class Persona(Section):
    """A kind of partner. Without `allowed_partner_roles` every partner role is open to it."""

    session: Name | None = None
    default_page: Name
    alerts: list[Name] = Field(default_factory=list)
    allowed_partner_roles: list[Name] | None = None


class Partner(Section):
    """A partner, which is an organization in Keycloak under the same alias."""

    name: Line
    domains: Annotated[list[Domain], Field(min_length=1)]
    persona: Name
    brokers: list[Name] = Field(default_factory=list)
    admins: list[Email] = Field(default_factory=list)


class PartnersFile(Section):
    """The whole file."""

    version: Version
    personas: dict[Name, Persona]
    partners: dict[Alias, Partner]
