"""What somebody was granted, and for how much longer. Asking and deciding have modules of their own (`access_…`)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from workspace.pages.signed_in import Person
from workspace.render import instant, page
from workspace.service import Workspace, workspace_of
from workspace.upstream.answer import Refused

router = APIRouter(prefix="/access", include_in_schema=False)

Here = Annotated[Workspace, Depends(workspace_of)]


@router.get("/grants")
async def grants(request: Request, person: Person, here: Here, user: str = "") -> Response:
    """Mine, or those of somebody whom I lead or whose trail I may read."""
    wanted, error = user.strip(), None
    query = {"user": wanted} if wanted else None
    try:
        found = await here.access.get(person.token, "grants", query=query)
    except Refused as refused:
        if not wanted:
            raise
        error = _unknown(wanted) if refused.status == 422 else refused.detail
        if refused.status == 403:
            error = f"You may see the grants of people whom you lead; {wanted} is not one of them."
        found = await here.access.get(person.token, "grants")
    rows = sorted((_row(one) for one in found["grants"]), key=lambda row: (not row["in_force"], row["ends"]))
    me = (person.principal.email or "").lower()
    # A grant may name a request of before this database, which nobody can look at.
    listed = await here.access.get(person.token, "requests", query={"view": "mine", "limit": "200"})
    return page(
        request,
        "access_grants.html",
        person,
        status=200 if error is None else 422,
        rows=rows,
        readable={one["id"] for one in listed["requests"]},
        whose=found["user"],
        own=found["user"] == me,
        user=wanted,
        error=error,
    )


def _unknown(user: str) -> str:
    return f"“{user}” is no e-mail address. Write one such as name@company.example."


def _row(grant: dict[str, Any]) -> dict[str, Any]:
    """A grant with what a link to ask for it again needs; the soonest end sorts first, no end last."""
    kind, _, name = grant["target"].partition(" ")
    ends = instant(grant["expires"])
    return {
        **grant,
        "again": f"{kind}:{name}",
        "ends": datetime.max.replace(tzinfo=UTC) if ends is None else ends,
    }
