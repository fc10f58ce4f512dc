"""What can be asked for, over HTTP."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from admin_sync.access.api.openapi import problems
from admin_sync.access.catalogue import Offer, catalogue
from admin_sync.access.service import Access, access_of, person
from identity.principal import Principal
from identity.problem import forbidden

router = APIRouter(prefix="/access/v1", tags=["requests"])

Person = Annotated[Principal, Depends(person)]
Service = Annotated[Access, Depends(access_of)]


class OfferShown(BaseModel):
    """A role or a group."""

    name: str
    description: str
    roles: tuple[str, ...] = Field(description="All that it gives, those that are included as well")
    permissions: tuple[str, ...]
    sensitive: bool
    longest: int = Field(description="How long it can be asked for, in seconds")


class RuleShown(BaseModel):
    """A rule of segregation of duties that can be set aside."""

    name: str
    roles: tuple[str, ...]
    approver: str
    longest: int = Field(description="For how long, in seconds")


class CatalogueShown(BaseModel):
    """Everything on offer."""

    environments: tuple[str, ...]
    roles: tuple[OfferShown, ...]
    groups: tuple[OfferShown, ...]
    rules: tuple[RuleShown, ...]
    emergencies: tuple[str, ...] = Field(description="Emergency accounts")
    emergency_longest: int = Field(description="How long one is open, in seconds")
    bypass_longest: int = Field(description="How long an emergency code may be used, in seconds")
    realms: dict[str, str] = Field(description="What each environment's realm is called")
    sees_all: bool = Field(description="Whether you may list requests of everybody (audit:view)")


@router.get(
    "/catalogue",
    summary="See what can be asked for",
    description="Roles, groups, environments and rules as they are now. For people of the platform; a partner's "
    "people are given their roles inside it.",
    responses=problems(),
)
async def read_catalogue(caller: Person, access: Service) -> CatalogueShown:
    """Lists what can be asked for."""
    known = await access.desk.configured.known()
    async with access.desk.transaction() as ledger:
        speakers = known.facts(await ledger.now()).speakers
    if caller.organizations and not speakers.employed(caller.email or ""):
        raise forbidden()
    found = catalogue(known.document, caller.environment)
    return CatalogueShown(
        environments=found.environments,
        roles=tuple(map(_offer, found.roles)),
        groups=tuple(map(_offer, found.groups)),
        rules=tuple(
            RuleShown(name=one.name, roles=one.roles, approver=one.approver, longest=int(one.longest.total_seconds()))
            for one in found.rules
        ),
        emergencies=found.emergencies,
        emergency_longest=int(found.emergency_longest.total_seconds()),
        bypass_longest=int(found.bypass_longest.total_seconds()),
        realms=dict(found.realms),
        sees_all=await access.desk.gate.allowed(caller, "audit:view"),
    )


def _offer(one: Offer) -> OfferShown:
    return OfferShown(
        name=one.name,
        description=one.description,
        roles=one.roles,
        permissions=one.permissions,
        sensitive=one.sensitive,
        longest=int(one.longest.total_seconds()),
    )
