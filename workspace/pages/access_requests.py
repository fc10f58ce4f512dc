"""Requests: mine, those that wait for my yes, one with all its facts; and saying yes or no, or taking it back."""

from __future__ import annotations

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

router = APIRouter(prefix="/access", include_in_schema=False)

Here = Annotated[Workspace, Depends(workspace_of)]

STATES: Final = ("open", "approved", "fulfilled", "denied", "cancelled", "expired", "failed")
_PAGE: Final = "50"


@router.get("/requests")
async def mine(
    request: Request, person: Person, here: Here, *, state: str = "", after: str = "", view: str = "mine"
) -> Response:
    """What I asked for, or what is asked for me; with the right to read the trail, everybody's."""
    query = {"view": "all" if view == "all" else "mine", "limit": _PAGE}
    if state in STATES:
        query["state"] = state
    if after:
        query["after"] = after
    found = await here.access.get(person.token, "requests", query=query)
    offers = await here.access.get(person.token, "catalogue")
    return page(
        request,
        "access_requests.html",
        person,
        found=found,
        view=query["view"],
        state=query.get("state", ""),
        states=STATES,
        after=after,
        sees_all=offers["sees_all"],
    )


@router.get("/to-decide")
async def to_decide(request: Request, person: Person, here: Here, after: str = "") -> Response:
    """Requests in which my yes is missing."""
    query = {"view": "to_decide", "limit": _PAGE, **({"after": after} if after else {})}
    found = await here.access.get(person.token, "requests", query=query)
    return page(request, "access_to_decide.html", person, found=found, after=after)


@router.get("/requests/{name}")
async def one(request: Request, name: str, person: Person, here: Here) -> Response:
    """One request: what it is about, what it would change, who agreed and who has to."""
    return _shown(request, person, await here.access.get(person.token, "requests", name))


@router.post("/requests/{name}/approval")
async def approve(request: Request, name: str, person: Person, here: Here) -> Response:
    """A yes to exactly the text that the page showed: its hash comes back with the form."""
    form = await form_of(request)
    body = {"hash": form.get("hash", "")}
    if form.get("comment", "").strip():
        body["comment"] = form["comment"].strip()
    return await _decide(request, person, here, (name, "approvals"), body)


@router.post("/requests/{name}/denial")
async def deny(request: Request, name: str, person: Person, here: Here) -> Response:
    """A no with its reason. It ends the request."""
    comment = (await form_of(request)).get("comment", "").strip()
    if len(comment) < SHORTEST_REASON:
        told = await here.access.get(person.token, "requests", name)
        error = f"Say in at least {SHORTEST_REASON} characters why not: whoever asked reads it."
        return _shown(request, person, told, status=422, errors={"denial": error}, comment=comment)
    return await _decide(request, person, here, (name, "denials"), {"comment": comment})


@router.post("/requests/{name}/cancellation")
async def cancel(request: Request, name: str, person: Person, here: Here) -> Response:
    """Takes a request back."""
    await form_of(request)
    return await _decide(request, person, here, (name, "cancellation"), {})


async def _decide(
    request: Request, person: Session, here: Workspace, place: tuple[str, str], body: dict[str, str]
) -> Response:
    name, what = place
    try:
        told = await here.access.post(person.token, "requests", name, what, body=body)
    except Refused as refused:
        if refused.status == 404:
            raise
        # Somebody else may have decided meanwhile: what it is now is shown with the reason.
        told = await here.access.get(person.token, "requests", name)
        return _shown(request, person, told, status=refused.status, errors={"page": " ".join(reasons(refused))})
    await here.sessions.say(person, _done(what, told))
    return RedirectResponse(f"/access/requests/{told['id']}", 303)


def _done(what: str, told: dict[str, Any]) -> str:
    if what == "denials":
        return f"{told['id']} is denied. Whoever asked for it sees your reason."
    if what == "cancellation":
        return f"{told['id']} is taken back."
    if told["state"] == "open":
        return f"Your yes to {told['id']} is recorded. It still needs others."
    return f"{told['id']} is approved. It takes effect within the next minute."


def _shown(
    request: Request,
    person: Session,
    told: dict[str, Any],
    *,
    status: int = 200,
    errors: dict[str, str] | None = None,
    comment: str = "",
) -> Response:
    me = (person.principal.email or "").lower()
    mine_too = me in (told["requester"].lower(), told["subject"].lower())
    return page(
        request,
        "access_request.html",
        person,
        status=status,
        told=told,
        may_cancel=mine_too and told["state"] in ("open", "approved"),
        errors=errors or {},
        comment=comment,
    )
