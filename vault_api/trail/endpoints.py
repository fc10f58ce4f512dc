"""A partner's own audit trail over HTTP."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from vault_api.openapi import path_names, problems, query
from vault_api.paging import page_size, seq_after
from vault_api.permissions import Call
from vault_api.trail.page import read_page
from vault_api.trail.schemas import AuditEvents
from vault_api.vault import vault_of

router = APIRouter(tags=["audit"])


@router.get(
    "/v1/partners/{partner}/audit",
    summary="Read the partner's audit trail",
    description="In the order of the chain. `hash` of an event is SHA-256 over the bytes of `prev` and the RFC 8785 "
    "form of the event without `hash`; `chain` says whether this page holds and where the chain stands.",
    responses={200: {"model": AuditEvents}, **problems(422)},
    openapi_extra={
        "parameters": [
            *path_names("partner"),
            query("after", "integer", "a sequence number; `next` of the page before"),
            query("limit", "integer", "1 to 500, by default 100"),
        ]
    },
)
async def read_audit(request: Request) -> Response:
    """Reads a page of the trail."""
    vault = vault_of(request)
    caller = await vault.gate.caller(request, Call.READ_AUDIT, str(request.path_params["partner"]))
    admitted = await vault.gate.admit(caller)
    async with vault.gate.recording(admitted):
        after, limit = seq_after(request.query_params), page_size(request.query_params)
    page = await read_page(vault.repository, vault.trail, admitted, after=after, limit=limit)
    return Response(page.model_dump_json(), media_type="application/json")
