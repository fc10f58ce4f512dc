"""Emergency accounts: which are open, asking for one, closing it, and the queue of what has to be reviewed.

No credential passes through a browser. Whoever opened an account takes it out of the vault at a terminal.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request
from starlette.responses import RedirectResponse, Response

from identity.form import form_of
from workspace.asking import SHORTEST_REASON
from workspace.pages.access_ask import reasons
from workspace.pages.signed_in import Person
from workspace.render import page
from workspace.service import Workspace, workspace_of
from workspace.session.sessions import Session
from workspace.upstream.answer import Refused

router = APIRouter(prefix="/access/break-glass", include_in_schema=False)

Here = Annotated[Workspace, Depends(workspace_of)]

SPANS: Final = ((900, "15 minutes"), (1800, "30 minutes"), (3600, "1 hour"), (4 * 3600, "4 hours"))


@router.get("")
async def console(request: Request, person: Person, here: Here) -> Response:
    """What is open, what waits for a review, what was reviewed, and the form to ask with."""
    return await _console(request, person, here)


@router.post("")
async def ask(request: Request, person: Person, here: Here) -> Response:
    """Asks for an account to be opened. Its approvers agree to it like to any other request."""
    form = await form_of(request)
    told = {name: form.get(name, "").strip() for name in ("account", "environment", "why", "lasts")}
    offers = await here.access.get(person.token, "catalogue")
    errors = _missing(told, offers)
    if errors:
        return await _console(request, person, here, status=422, told=told, errors=errors)
    body = {
        "kind": "break_glass",
        "payload": {"account": told["account"]},
        "environments": [told["environment"]],
        "justification": told["why"],
        "expires": (datetime.now(UTC) + timedelta(seconds=int(told["lasts"]))).isoformat(timespec="seconds"),
    }
    try:
        made = await here.access.post(person.token, "requests", body=body)
    except Refused as refused:
        said = {"why": " ".join(reasons(refused))}
        return await _console(request, person, here, status=refused.status, told=told, errors=said)
    await here.sessions.say(person, f"{made['id']} is sent. Tell those who are named below: they have to agree now.")
    return RedirectResponse(f"/access/requests/{made['id']}", 303)


@router.post("/{name}/closure")
async def close(request: Request, name: str, person: Person, here: Here) -> Response:
    """Closes an opening before its time is up."""
    await form_of(request)
    await here.access.post(person.token, "break-glass", name, "closure")
    await here.sessions.say(person, f"{name} is being closed: its sessions end, and its credential is replaced.")
    return RedirectResponse("/access/break-glass", 303)


@router.get("/{name}")
async def one(request: Request, name: str, person: Person, here: Here) -> Response:
    """One opening, with the form to review it for whoever may."""
    return await _opening(request, person, here, name)


@router.post("/{name}/review")
async def review(request: Request, name: str, person: Person, here: Here) -> Response:
    """What an opening was used for, and whether it should have been."""
    form = await form_of(request)
    told = {"verdict": form.get("verdict", ""), "findings": form.get("findings", "").strip()}
    errors = {}
    if told["verdict"] not in ("justified", "misused"):
        errors["verdict"] = "Say whether it was justified."
    if len(told["findings"]) < SHORTEST_REASON:
        errors["findings"] = f"Say in at least {SHORTEST_REASON} characters what it was used for."
    if errors:
        return await _opening(request, person, here, name, status=422, told=told, errors=errors)
    try:
        await here.access.post(person.token, "break-glass", name, "review", body=told)
    except Refused as refused:
        said = {"findings": " ".join(reasons(refused))}
        return await _opening(request, person, here, name, status=refused.status, told=told, errors=said)
    await here.sessions.say(person, f"The review of {name} is recorded.")
    return RedirectResponse("/access/break-glass", 303)


def _missing(told: Mapping[str, str], offers: Mapping[str, Any]) -> dict[str, str]:
    found = {}
    if told["account"] not in offers["emergencies"]:
        found["account"] = "Choose an account."
    if told["environment"] not in offers["environments"]:
        found["environment"] = "Choose where."
    if len(told["why"]) < SHORTEST_REASON:
        found["why"] = f"Say in at least {SHORTEST_REASON} characters what the emergency is."
    if told["lasts"] not in {str(seconds) for seconds, _ in SPANS}:
        found["lasts"] = "Choose for how long."
    return found


async def _console(
    request: Request,
    person: Session,
    here: Workspace,
    *,
    status: int = 200,
    told: Mapping[str, str] | None = None,
    errors: Mapping[str, str] | None = None,
) -> Response:
    offers = await here.access.get(person.token, "catalogue")
    openings = (await here.access.get(person.token, "break-glass"))["openings"]
    me = (person.principal.email or "").lower()
    return page(
        request,
        "access_emergencies.html",
        person,
        status=status,
        offers=offers,
        spans=[one for one in SPANS if one[0] <= offers["emergency_longest"]],
        told=told or {},
        errors=errors or {},
        running=[one for one in openings if one["stage"] in ("open", "closing")],
        queue=[one for one in openings if one["stage"] == "closed"],
        reviewed=[one for one in openings if one["stage"] == "reviewed"],
        me=me,
    )


async def _opening(
    request: Request,
    person: Session,
    here: Workspace,
    name: str,
    *,
    status: int = 200,
    told: Mapping[str, str] | None = None,
    errors: Mapping[str, str] | None = None,
) -> Response:
    openings = (await here.access.get(person.token, "break-glass"))["openings"]
    found = next((one for one in openings if one["request"] == name), None)
    if found is None:
        raise Refused(404, "not-found", "Not found", "There is no opening of that name that you may see.", {})
    return page(
        request,
        "access_emergency.html",
        person,
        status=status,
        one=found,
        told=told or {},
        errors=errors or {},
    )
