"""A partner's audit trail: newest first, narrowed, and as a file."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response, StreamingResponse

from workspace.pages.signed_in import Person
from workspace.partner import export
from workspace.partner.trail import KINDS, OUTCOMES, WINDOW, WORDS, today, wanted
from workspace.render import page
from workspace.service import Workspace, workspace_of
from workspace.upstream.partner import PartnerAtVault

router = APIRouter(prefix="/partners/{partner}/audit", include_in_schema=False)

Here = Annotated[Workspace, Depends(workspace_of)]

_LINES: Final = 25


@router.get("")
async def audit(request: Request, partner: str, person: Person, here: Here) -> Response:
    """The newest lines that somebody looks for, and whether the chain holds."""
    asked, wrong = wanted(request.query_params)
    before = _number(request.query_params.get("before", ""))
    found = await PartnerAtVault(here.vault, person, partner).trail(asked, before=before, most=_LINES)
    query = asked.query()
    return page(
        request,
        "partner_audit.html",
        person,
        status=400 if wrong else 200,
        partner=partner,
        asked=asked,
        given=request.query_params,
        wrong=wrong,
        found=found,
        walk=found.walk,
        kinds=KINDS,
        words=WORDS,
        outcomes=OUTCOMES,
        before=before,
        older=urlencode({**query, "before": str(found.walk.older)}) if found.walk.older is not None else None,
        newest=urlencode(query),
    )


@router.get("/export.csv")
async def export_csv(request: Request, partner: str, person: Person, here: Here) -> Response:
    """What somebody looks for, oldest first, for a spreadsheet."""
    asked, _ = wanted(request.query_params)
    at = PartnerAtVault(here.vault, person, partner)
    first = await at.window(0, WINDOW)

    async def parts() -> AsyncIterator[str]:
        yield export.header()
        async for events in _windows(at, first):
            yield export.rows(event for event in events if asked.fits(event))

    return _file(parts(), "text/csv; charset=utf-8", f"{partner}-audit-{today(datetime.now(UTC))}.csv")


@router.get("/export.jsonl")
async def export_lines(partner: str, person: Person, here: Here) -> Response:
    """The whole chain, oldest first, as it was hashed: for whoever wants to check it."""
    at = PartnerAtVault(here.vault, person, partner)
    first = await at.window(0, WINDOW)

    async def parts() -> AsyncIterator[str]:
        async for events in _windows(at, first):
            yield export.lines(events)

    return _file(parts(), "application/jsonl", f"{partner}-audit-{today(datetime.now(UTC))}.jsonl")


async def _windows(at: PartnerAtVault, first: Mapping[str, Any]) -> AsyncIterator[list[Mapping[str, Any]]]:
    # What goes wrong on the way breaks the answer off: a file that is not whole never looks as if it were.
    window, end = first, int(first["chain"]["head_seq"])
    while True:
        # Reading writes lines as well; those are not waited for, or it would never end.
        yield [event for event in window["events"] if event["seq"] <= end]
        following = window["next"]
        if following is None or following >= end:
            return
        window = await at.window(following, WINDOW)


def _file(parts: AsyncIterator[str], kind: str, name: str) -> Response:
    return StreamingResponse(parts, media_type=kind, headers={"Content-Disposition": f'attachment; filename="{name}"'})


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and 0 < len(text) < 16 else None
