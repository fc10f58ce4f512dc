"""Campaigns over HTTP: which there are, what somebody may decide, and their decisions.

A campaign is opened and closed by an operator (`admin-sync certify`), never here: this service has neither Keycloak's
events nor the right to commit.
"""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Path, Query, Request

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
from admin_sync.access.configured import Configured
from admin_sync.access.gate import Gate
from identity.problem import Problem, not_found

PAGE: Final = 200

Quarter = Annotated[str, Path(max_length=16)]


def campaign_routes(gate: Gate, configured: Configured, deciding: Deciding) -> APIRouter:
    """The routes, to be put under `/access/v1`."""
    router = APIRouter(prefix="/campaigns", tags=["certification"])

    @router.get("", summary="Campaigns, the latest first")
    async def list_campaigns(request: Request) -> CampaignsBody:
        await gate.person(request)
        return CampaignsBody(campaigns=[CampaignBody.of(one) for one in await deciding.campaigns()])

    @router.get("/{quarter}/items", summary="What you may decide about, or have, or decided")
    async def list_items(
        request: Request,
        quarter: Quarter,
        after: Annotated[int, Query(ge=0)] = 0,
        undecided: Annotated[bool, Query()] = False,
    ) -> ItemsBody:
        person = await gate.person(request)
        known = await configured.known()
        try:
            found = await deciding.review(person.email or "", known, quarter)
        except NoCampaign:
            raise not_found() from None
        if undecided:
            found = [one for one in found if not one.decisions and one.capacity is not None]
        page = found[after : after + PAGE]
        following = after + PAGE if after + PAGE < len(found) else None
        return ItemsBody(items=[ItemBody.of(one) for one in page], total=len(found), next=following)

    @router.post("/{quarter}/decisions", summary="Keep or revoke, with a reason, in a stepped-up session")
    async def decide(request: Request, quarter: Quarter, body: DecisionsBody) -> AnswersBody:
        person = await gate.person(request)
        known = await configured.known()
        gate.stepped_up(person, known.document)
        try:
            answers = await deciding.decide(person, known, quarter, [one.word() for one in body.decisions])
        except NoCampaign:
            raise not_found() from None
        except NotOpen:
            raise Problem(
                409,
                "campaign-closed",
                "The campaign takes no decisions any more",
                "Ask for what was taken away as any other access; the next campaign asks about what was kept.",
            ) from None
        return AnswersBody(answers=[AnswerBody.of(one) for one in answers])

    return router
