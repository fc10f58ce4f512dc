"""The first page, and those that are for everybody."""

from __future__ import annotations

import asyncio
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from identity.principal import AssuranceLevel
from workspace.login.places import local
from workspace.pages.signed_in import Person
from workspace.render import page
from workspace.service import Workspace, workspace_of
from workspace.session.sessions import Session
from workspace.upstream.answer import LoginNeeded, Refused, ServiceAway, StepUpNeeded

router = APIRouter(include_in_schema=False)

_PULSE_SECONDS: Final = 1.0
"""How long the first page waits to hear whether to ask."""


@router.get("/")
async def home(request: Request, person: Person, here: Annotated[Workspace, Depends(workspace_of)]) -> Response:
    """What somebody can do here, and how they are logged in."""
    pulse = await _asked(person, here)
    return page(request, "home.html", person, idle_seconds=here.settings.idle_seconds, pulse=pulse)


async def _asked(person: Session, here: Workspace) -> bool:
    """Whether somebody is asked how easy it was to log in. Nothing that is wrong with that keeps anybody from here."""
    try:
        async with asyncio.timeout(_PULSE_SECONDS):
            return bool((await here.access.get(person.token, "pulse")).get("due"))
    except (ServiceAway, Refused, StepUpNeeded, LoginNeeded, TimeoutError):
        return False


@router.get("/signed-out")
async def signed_out(request: Request, here: str = "") -> Response:
    """Where a logout ends. It says so where Keycloak could not be told, and where nobody used the session."""
    return page(request, "signed_out.html", only_here=here == "only", idle=here == "idle")


@router.get("/confirm")
async def confirm(request: Request, person: Person, next: str = "/", level: str = "", max_age: str = "") -> Response:  # noqa: A002
    """Why a stronger or a fresher login is needed, before the realm asks for it."""
    known = level if level in set(AssuranceLevel) else ""
    age = int(max_age) if max_age.isascii() and max_age.isdigit() and len(max_age) < 6 else None
    return page(request, "confirm.html", person, back_to=local(next), level=known, max_age=age)
