"""Where the move between row formats stands, over HTTP."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from identity.audit.errors import AuditUnavailable
from vault_api.legacy.phase import Phases
from vault_api.openapi import problems
from vault_api.permissions import Call
from vault_api.store.database import DatabaseUnavailable
from vault_api.vault import vault_of

router = APIRouter(tags=["migration"])


class Migration(BaseModel):
    """The phase; `in_use` says whether this process serves the earlier format at all."""

    in_use: bool
    phase: str
    since: datetime | None


@router.get(
    "/v1/legacy/status",
    summary="Where the move from the earlier row format stands",
    responses={200: {"model": Migration}, **problems()},
)
async def read_status(request: Request) -> Response:
    """The phase."""
    vault = vault_of(request)
    admitted = await vault.gate.admit(await vault.gate.caller(request, Call.LEGACY_STATUS))
    try:
        phase, since = await Phases(vault.database).state()
    except DatabaseUnavailable:
        raise AuditUnavailable("the phase cannot be read") from None
    await vault.trail.record(admitted.event("success"))
    answer = Migration(in_use=vault.legacy is not None, phase=phase.label, since=since)
    return Response(answer.model_dump_json(), media_type="application/json")
