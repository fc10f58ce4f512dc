"""A partner's broker connections: what there is and how it is; approve and revoke. To link one see linking.py."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request
from starlette.responses import RedirectResponse, Response

from workspace.pages.signed_in import Person
from workspace.partner.health import health
from workspace.partner.trail import WORDS
from workspace.render import page
from workspace.service import Workspace, workspace_of
from workspace.session.sessions import Session
from workspace.upstream.answer import Refused
from workspace.upstream.partner import PartnerAtVault, both

router = APIRouter(prefix="/partners/{partner}", include_in_schema=False)

Here = Annotated[Workspace, Depends(workspace_of)]

_LATELY: Final = 8
"""Lines of the trail beside a connection."""


@router.get("/connections")
async def connections(request: Request, partner: str, person: Person, here: Here, after: str = "") -> Response:
    """Every broker connection of a partner, with its health."""
    at = PartnerAtVault(here.vault, person, partner)
    offers, found = await asyncio.gather(at.offers(), at.connections(after))
    now = datetime.now(UTC)
    return page(
        request,
        "partner_connections.html",
        person,
        partner=partner,
        offers=offers,
        brokers={one["broker"]: one["display_name"] for one in offers["brokers"]},
        rows=[(one, health(one, now)) for one in found["connections"]],
        people=await at.people(found["connections"]),
        following=found["next"],
        after=after,
    )


@router.get("/connections/{connection}")
async def connection(request: Request, partner: str, connection: str, person: Person, here: Here) -> Response:
    """One connection: its facts, what can be done with it, and what happened to it lately."""
    return await _connection(request, partner, connection, person, here)


@router.post("/connections/{connection}/approve")
async def approve(request: Request, partner: str, connection: str, person: Person, here: Here) -> Response:
    """Approve what somebody else linked."""
    try:
        await here.vault.post(person.token, "partners", partner, "connections", connection, "approve")
    except Refused as refused:
        if refused.status == 404:
            raise
        return await _connection(request, partner, connection, person, here, refused)
    await here.sessions.say(person, f"{connection} is approved, and releases tokens from now on.")
    return RedirectResponse(f"/partners/{partner}/connections/{connection}", 303)


@router.get("/connections/{connection}/revoke")
async def ask_to_revoke(request: Request, partner: str, connection: str, person: Person, here: Here) -> Response:
    """What revoking means, before it is done."""
    at = PartnerAtVault(here.vault, person, partner)
    offers, found = await both(at, connection)
    return page(
        request,
        "partner_revoke.html",
        person,
        partner=partner,
        connection=found,
        health=health(found, datetime.now(UTC)),
        may=offers["may"],
    )


@router.post("/connections/{connection}/revoke")
async def revoke(partner: str, connection: str, person: Person, here: Here) -> Response:
    """End a connection."""
    await here.vault.delete(person.token, "partners", partner, "connections", connection)
    await here.sessions.say(person, f"{connection} is revoked: it releases nothing any more, and the broker is told.")
    return RedirectResponse(f"/partners/{partner}/connections", 303)


async def _connection(  # noqa: PLR0917 - called here only
    request: Request, partner: str, name: str, person: Session, here: Workspace, refused: Refused | None = None
) -> Response:
    at = PartnerAtVault(here.vault, person, partner)
    offers, found = await both(at, name)
    lately = await at.lately(name, most=_LATELY)
    people = await at.people([found])
    return page(
        request,
        "partner_connection.html",
        person,
        status=200 if refused is None else refused.status,
        partner=partner,
        offers=offers,
        brokers={one["broker"]: one["display_name"] for one in offers["brokers"]},
        connection=found,
        health=health(found, datetime.now(UTC)),
        people=people[found["connection"]],
        lately=lately,
        words=WORDS,
        refused=refused,
    )
