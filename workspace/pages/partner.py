"""A partner's pages: the broker connections."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from workspace.pages.signed_in import Person
from workspace.render import page
from workspace.service import Workspace, workspace_of

router = APIRouter(prefix="/partners/{partner}", include_in_schema=False)

Here = Annotated[Workspace, Depends(workspace_of)]


@router.get("/connections")
async def connections(request: Request, partner: str, person: Person, here: Here) -> Response:
    """Every broker connection of a partner, with its state."""
    found = await here.vault.get(person.token, "partners", partner, "connections")
    return page(request, "connections.html", person, partner=partner, connections=found["connections"])
