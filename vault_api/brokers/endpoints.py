"""What the caller may do at a partner, over HTTP."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from vault_api.brokers.offers import OfferedCalls, Offers
from vault_api.openapi import path_names, problems
from vault_api.permissions import Call
from vault_api.vault import vault_of

router = APIRouter(tags=["connections"])


@router.get(
    "/v1/partners/{partner}/offers",
    summary="What the caller may do with the partner's connections, and which brokers they may link",
    description="For pages, which leave out what would only say no. It allows nothing: each call is decided again.",
    responses={200: {"model": Offers}, **problems()},
    openapi_extra={"parameters": path_names("partner")},
)
async def read_offers(request: Request) -> Response:
    """Says what the caller may do."""
    vault = vault_of(request)
    caller = await vault.gate.caller(request, Call.OFFERS, str(request.path_params["partner"]))
    admitted = await vault.gate.admit(caller)
    offers = OfferedCalls(vault.policy, vault.brokers.catalog, environment=vault.settings.environment)
    async with vault.gate.recording(admitted):
        found = await offers.to(admitted)
    await vault.trail.record(admitted.event("success"))
    return Response(found.model_dump_json(), media_type="application/json")
