"""Looking at a partner's workspace as one of its members would: begin, and end. In between every page is the member's.

The vault decides who may, and refuses whatever is no reading; `signed_in.py` refuses it before that.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request
from starlette.responses import RedirectResponse, Response

from identity.form import form_of
from workspace.asking import SHORTEST_REASON
from workspace.pages.signed_in import Anyone, Person
from workspace.render import page
from workspace.service import Workspace, workspace_of
from workspace.session.content import Simulation
from workspace.session.sessions import Session
from workspace.session.simulated import Simulated
from workspace.upstream.answer import LoginNeeded, Refused, ServiceAway, SimulationOver, StepUpNeeded

router = APIRouter(prefix="/simulation", include_in_schema=False)

Here = Annotated[Workspace, Depends(workspace_of)]

SPANS: Final = ((300, "5 minutes"), (900, "15 minutes"), (1800, "30 minutes"))
_LONGEST_REASON: Final = 300


@router.get("")
async def choose(request: Request, person: Person, here: Here) -> Response:
    """Which partner, as whom, why and for how long."""
    return await _form(request, person, here)


@router.post("")
async def begin(request: Request, person: Person, here: Here) -> Response:
    """Begin. From the next page on everything is the member's."""
    form = await form_of(request)
    told = {name: form.get(name, "").strip() for name in ("who", "why", "lasts")}
    wrong = _wrong(told)
    if wrong:
        return await _form(request, person, here, status=422, told=told, wrong=wrong)
    partner, _, role = told["who"].partition("/")
    body = {"role": role, "reason": told["why"], "seconds": int(told["lasts"])}
    try:
        made = await here.vault.post(person.token, "partners", partner, "simulations", body=body)
    except Refused as refused:
        return await _form(request, person, here, status=refused.status, told=told, refused=refused)
    simulation = Simulation(
        number=made["simulation"],
        partner=made["partner"],
        persona=made["persona"],
        role=made["role"],
        ends_at=datetime.fromisoformat(made["ends_at"]).timestamp(),
    )
    await here.sessions.simulate(person, simulation)
    return RedirectResponse(f"/partners/{simulation.partner}/connections", 303)


@router.post("/end")
async def end(person: Anyone, here: Here) -> Response:
    """End it, and be oneself again. That works without the vault as well, where its time is then up by itself."""
    if person.simulation is None:
        return RedirectResponse("/simulation", 303)
    number, partner = person.simulation.number, person.simulation.partner
    token = person.token.own() if isinstance(person.token, Simulated) else person.token
    said = f"The simulation of {partner} is over. You are yourself again."
    try:
        await here.vault.delete(token, "partners", partner, "simulations", number)
    except (Refused, SimulationOver, StepUpNeeded, LoginNeeded):
        pass
    except ServiceAway:
        said += " The vault could not be told, and ends it when its time is up."
    await here.sessions.simulate(person, None, said)
    return RedirectResponse("/simulation", 303)


@router.get("/over")
async def over(person: Anyone, here: Here) -> Response:
    """Where somebody comes to whose simulation does not stand any more."""
    if person.simulation is not None:
        said = (
            f"The simulation of {person.simulation.partner} is over: its time is up, or you may not simulate any more."
        )
        await here.sessions.simulate(person, None, said)
    return RedirectResponse("/simulation", 303)


async def _form(
    request: Request,
    person: Session,
    here: Workspace,
    *,
    status: int = 200,
    told: Mapping[str, str] | None = None,
    wrong: Mapping[str, str] | None = None,
    refused: Refused | None = None,
) -> Response:
    partners: list[Mapping[str, Any]] = []
    if person.simulation is None:
        try:
            partners = (await here.vault.get(person.token, "simulations", "choices"))["partners"]
        except Refused as refusal:
            if refusal.status != 403:
                raise
            return page(request, "simulation_not_yours.html", person, status=403)
    return page(
        request,
        "simulation.html",
        person,
        status=status,
        partners=partners,
        told=told or {},
        wrong=wrong or {},
        refused=refused,
        spans=SPANS,
        shortest=SHORTEST_REASON,
        longest=_LONGEST_REASON,
    )


def _wrong(told: Mapping[str, str]) -> dict[str, str]:
    """What has to be corrected, by field."""
    wrong = {}
    if "/" not in told["who"]:
        wrong["who"] = "Choose whom you want to be."
    if not SHORTEST_REASON <= len(told["why"]) <= _LONGEST_REASON:
        wrong["why"] = f"Say in {SHORTEST_REASON} to {_LONGEST_REASON} characters why. The partner reads it."
    if told["lasts"] not in {str(seconds) for seconds, _ in SPANS}:
        wrong["lasts"] = "Choose how long."
    return wrong
