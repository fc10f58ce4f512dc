"""Campaigns over HTTP: which there are, what somebody may decide, and their decisions.

A campaign is opened and closed by an operator (`admin-sync certify`), never here: this service has neither Keycloak's
events nor the right to commit.
"""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path, Query

from admin_sync.access.api.openapi import problems
from admin_sync.access.campaigns.bodies import (
    AnswerBody,
    AnswersBody,
    CampaignBody,
    CampaignsBody,
    DecisionsBody,
    ItemBody,
    ItemsBody,
)
from admin_sync.access.campaigns.deciding import Deciding, NoCampaign, NotOpen
from admin_sync.access.service import Access, access_of, person
from identity.principal import Principal
from identity.problem import Problem, not_found

PAGE: Final = 200

Person = Annotated[Principal, Depends(person)]
Service = Annotated[Access, Depends(access_of)]
Quarter = Annotated[str, Path(max_length=16)]

router = APIRouter(prefix="/access/v1/campaigns", tags=["certification"])


@router.get("", summary="Campaigns, the latest first", responses=problems())
async def list_campaigns(_: Person, access: Service) -> CampaignsBody:
    """Lists campaigns: their state and what they came to, never who holds what."""
    return CampaignsBody(campaigns=[CampaignBody.of(one) for one in await _deciding(access).campaigns()])


@router.get(
    "/{quarter}/items",
    summary="What you may decide about, hold, or decided",
    description="Everything else answers as if it were not there.",
    responses=problems(422),
)
async def list_items(
    quarter: Quarter,
    caller: Person,
    access: Service,
    *,
    after: Annotated[int, Query(ge=0, le=1_000_000, description="`next` of the page before")] = 0,
    undecided: Annotated[bool, Query(description="Only those that wait for you")] = False,
) -> ItemsBody:
    """Lists items."""
    known = await access.desk.configured.known()
    try:
        found = await _deciding(access).review(caller.email or "", known, quarter)
    except NoCampaign:
        raise not_found() from None
    if undecided:
        found = [one for one in found if not one.decisions and one.capacity is not None]
    page = found[after : after + PAGE]
    following = after + PAGE if after + PAGE < len(found) else None
    return ItemsBody(items=[ItemBody.of(one) for one in page], total=len(found), next=following)


@router.post(
    "/{quarter}/decisions",
    summary="Keep or revoke",
    description="Each decision names the hash of what you were shown and gives a reason. Needs a login that is stepped "
    "up (RFC 9470), and a person who has a say and no hand in it. Each is judged by itself, with an answer of its own.",
    responses=problems(409, 422),
)
async def decide(quarter: Quarter, body: DecisionsBody, caller: Person, access: Service) -> AnswersBody:
    """Takes decisions."""
    known = await access.desk.configured.known()
    access.gate.stepped_up(caller, known.document)
    try:
        answers = await _deciding(access).decide(caller, known, quarter, [one.word() for one in body.decisions])
    except NoCampaign:
        raise not_found() from None
    except NotOpen:
        raise Problem(
            409,
            "campaign-closed",
            "The campaign takes no decisions any more",
            "Ask for what was taken away as any other access; the next campaign asks about what was kept.",
        ) from None
    access.desk.told()
    return AnswersBody(answers=[AnswerBody.of(one) for one in answers])


def _deciding(access: Access) -> Deciding:
    return Deciding(access.database, access.settings.node)
