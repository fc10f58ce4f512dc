"""Where a partner is told what: its routes, a test of each, and what was told lately and whether it arrived."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request
from starlette.responses import RedirectResponse, Response

from identity.form import form_of
from workspace.pages.signed_in import Person
from workspace.partner import alerts
from workspace.render import page
from workspace.service import Workspace, workspace_of
from workspace.session.sessions import Session
from workspace.upstream.answer import Refused

router = APIRouter(prefix="/partners/{partner}/alerts", include_in_schema=False)

Here = Annotated[Workspace, Depends(workspace_of)]

_ROUTES: Final = "alert-routes"


@router.get("")
async def routing(request: Request, partner: str, person: Person, here: Here, change: str = "") -> Response:
    """The routes, with the form for a new one or to change one, and the log."""
    return await _page(request, partner, person, here, change=change)


@router.post("")
async def set_route(request: Request, partner: str, person: Person, here: Here) -> Response:
    """Set a route. A new webhook's secret is on the page that answers, and on no other."""
    told = alerts.Told.of(await form_of(request))
    if told.errors:
        return await _page(request, partner, person, here, told=told, status=422)
    try:
        made = await here.vault.put(person.token, "partners", partner, _ROUTES, told.name, body=told.body())
    except Refused as refused:
        if refused.status in (403, 404):
            raise
        return await _page(request, partner, person, here, told=told, refused=refused, status=refused.status)
    if made.get("secret") is None:
        await here.sessions.say(person, f"{told.name} is set. Send a test to see that it arrives.")
        return RedirectResponse(f"/partners/{partner}/alerts", 303)
    return page(
        request,
        "partner_alert_secret.html",
        person,
        partner=partner,
        told=told,
        secret=made["secret"],
    )


@router.post("/{route}/test")
async def test(partner: str, route: str, person: Person, here: Here) -> Response:
    """Send an alert that says only that it arrived."""
    try:
        await here.vault.post(person.token, "partners", partner, _ROUTES, route, "test")
    except Refused as refused:
        if refused.status != 409:
            raise
        await here.sessions.say(person, refused.detail)
    else:
        await here.sessions.say(person, f"A test is on its way by {route}. The log below says when it has arrived.")
    return RedirectResponse(f"/partners/{partner}/alerts", 303)


@router.post("/{route}/drop")
async def drop(partner: str, route: str, person: Person, here: Here) -> Response:
    """Take a route away."""
    await here.vault.delete(person.token, "partners", partner, _ROUTES, route)
    await here.sessions.say(person, f"{route} is taken away: nobody is told there any more.")
    return RedirectResponse(f"/partners/{partner}/alerts", 303)


async def _page(
    request: Request,
    partner: str,
    person: Session,
    here: Workspace,
    *,
    change: str = "",
    told: alerts.Told | None = None,
    refused: Refused | None = None,
    status: int = 200,
) -> Response:
    found = await here.vault.get(person.token, "partners", partner, _ROUTES)
    log = await here.vault.get(person.token, "partners", partner, "alerts")
    named = (one for one in found["routes"] if change and one["route"] == change)
    shown = told if told is not None else alerts.Told.from_route(next(named, None))
    return page(
        request,
        "partner_alerts.html",
        person,
        status=status,
        partner=partner,
        found=found,
        usual=alerts.spoken(found["usual"]),
        rows=[(one, alerts.spoken(one["alerts"])) for one in found["routes"]],
        log=log["alerts"],
        words=alerts,
        told=shown,
        changing=any(one["route"] == shown.name for one in found["routes"]),
        refused=refused,
    )
