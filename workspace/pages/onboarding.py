"""Partners as the platform's staff bring them in: how far each has come, and inviting its first people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from identity.problem import not_found
from workspace.pages.inviting import Desk
from workspace.pages.signed_in import Person
from workspace.partner import terms
from workspace.render import page
from workspace.service import Workspace, workspace_of
from workspace.session.sessions import Session

router = APIRouter(prefix="/onboarding", include_in_schema=False)

Here = Annotated[Workspace, Depends(workspace_of)]


@router.get("")
async def partners(request: Request, person: Person, here: Here) -> Response:
    """Every partner, and how far it has come."""
    found = await here.vault.get(person.token, "onboarding")
    return page(request, "onboarding.html", person, partners=found["partners"], terms=terms)


@router.get("/{partner}/invite")
async def ask_to_invite(request: Request, partner: str, person: Person, here: Here) -> Response:
    """Whom, to which role, until when."""
    return await _desk(partner).form(request, person, here, {"role": "partner-admin"})


@router.post("/{partner}/invite")
async def invite(request: Request, partner: str, person: Person, here: Here) -> Response:
    """Invite somebody."""
    return await _desk(partner).invite(request, person, here)


@router.post("/{partner}/invitations/{name}/withdraw")
async def withdraw(partner: str, name: str, person: Person, here: Here) -> Response:
    """End an invitation that nobody took up."""
    return await _desk(partner).withdraw(person, here, name)


def _desk(partner: str) -> Desk:
    return Desk("onboarding", partner, "/onboarding", f"/onboarding/{partner}/invite", _found)


async def _found(person: Session, here: Workspace, partner: str) -> Mapping[str, Any]:
    listed = (await here.vault.get(person.token, "onboarding"))["partners"]
    found: Mapping[str, Any] | None = next((one for one in listed if one["partner"] == partner), None)
    if found is None:
        raise not_found()
    return found
