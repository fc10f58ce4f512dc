"""The digest over HTTP. Whoever belongs to a partner sees that partner; auditors see all of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from fastapi import APIRouter, Request, Response
from starlette.datastructures import QueryParams

from identity.audit.errors import AuditUnavailable
from vault_api.compliance.digest import Digest
from vault_api.compliance.gather import gather
from vault_api.compliance.markdown import markdown
from vault_api.openapi import problems, query
from vault_api.paging import whole_number
from vault_api.permissions import Call
from vault_api.problems import invalid
from vault_api.store.database import DatabaseUnavailable
from vault_api.vault import vault_of

router = APIRouter(tags=["compliance"])


@router.get(
    "/v1/compliance/digest",
    summary="What happened and what is held",
    description="The last days until now. With `partner` it is about that one and for its own people; without, about "
    "all, for whoever may view audit trails. Markdown where Accept asks for it, else JSON.",
    responses={200: {"model": Digest}, **problems(422)},
    openapi_extra={
        "parameters": [
            query("partner", "string", "one partner"),
            query("days", "integer", "1 to 92, by default 7"),
        ]
    },
)
async def read_digest(request: Request) -> Response:
    """The digest."""
    vault = vault_of(request)
    partner = _partner(request.query_params)
    if partner is None:
        caller = await vault.gate.caller(request, Call.DIGEST)
    else:
        caller = await vault.gate.caller(request, Call.PARTNER_DIGEST, partner)
    admitted = await vault.gate.admit(caller)
    async with vault.gate.recording(admitted):
        if len(request.query_params.getlist("partner")) > 1:
            raise invalid("give `partner` once")
        days = whole_number(request.query_params, "days", default=7, smallest=1, largest=92)
    until = datetime.now(UTC)
    try:
        found = await gather(
            vault.database, None if partner is None else [partner], since=until - timedelta(days=days), until=until
        )
    except DatabaseUnavailable:
        raise AuditUnavailable("the trail cannot be read") from None
    await vault.trail.record(admitted.event("success"))
    if "text/markdown" in request.headers.get("accept", ""):
        return Response(markdown(found), media_type="text/markdown; charset=utf-8")
    return Response(found.model_dump_json(), media_type="application/json")


def _partner(given: QueryParams) -> str | None:
    # Absent means all of them; an empty name is a name that nobody has.
    return given.get("partner")
