"""Who belongs to a partner: seen by its members; invited, given and taken roles, and let go by who may manage that."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import RedirectResponse, Response

from identity.form import form_of
from identity.problem import not_found
from workspace.pages.inviting import Desk
from workspace.pages.signed_in import Person
from workspace.partner import terms
from workspace.render import page
from workspace.service import Workspace, workspace_of
from workspace.session.sessions import Session
from workspace.upstream.answer import Refused

router = APIRouter(prefix="/partners/{partner}", include_in_schema=False)

Here = Annotated[Workspace, Depends(workspace_of)]


@router.get("/members")
async def members(request: Request, partner: str, person: Person, here: Here) -> Response:
    """Everybody who belongs to the partner, and who is invited."""
    found = await here.vault.get(person.token, "partners", partner, "members")
    return page(request, "members.html", person, partner=partner, found=found, terms=terms)


@router.get("/members/invite")
async def ask_to_invite(request: Request, partner: str, person: Person, here: Here) -> Response:
    """Whom, to which role, until when."""
    return await _desk(partner).form(request, person, here, {"role": "partner-analyst"})


@router.post("/members/invite")
async def invite(request: Request, partner: str, person: Person, here: Here) -> Response:
    """Invite somebody."""
    return await _desk(partner).invite(request, person, here)


@router.post("/members/invitations/{invitation_name}/withdraw")
async def withdraw(partner: str, invitation_name: str, person: Person, here: Here) -> Response:
    """End an invitation that nobody took up."""
    return await _desk(partner).withdraw(person, here, invitation_name)


@router.get("/members/{account}")
async def member(request: Request, partner: str, account: str, person: Person, here: Here) -> Response:
    """One member, and what can be changed."""
    return await _member(request, partner, account, person, here)


@router.post("/members/{account}/roles")
async def give(request: Request, partner: str, account: str, person: Person, here: Here) -> Response:
    """Give a role, or another end of it."""
    given = await form_of(request)
    until, wrong = terms.until_of(given, datetime.now(UTC))
    role = given.get("role", "")
    if wrong or not role:
        wrong = wrong or {"role": "Choose a role of the list."}
        return await _member(request, partner, account, person, here, given, wrong=wrong)
    body = {"until": None if until is None else until.isoformat()}
    try:
        await here.vault.put(person.token, "partners", partner, "members", account, "roles", role, body=body)
    except Refused as refused:
        if refused.status in (403, 404):
            raise
        return await _member(request, partner, account, person, here, given, refused=refused)
    end = "" if until is None else f" until {until:%d %b %Y, %H:%M} UTC"
    said = f"They are {terms.role_name(role)} of {partner}{end}. It counts from their next login or token on."
    await here.sessions.say(person, said)
    return RedirectResponse(f"/partners/{partner}/members/{account}", 303)


@router.post("/members/{account}/roles/{role}/take")
async def take(request: Request, partner: str, account: str, role: str, person: Person, here: Here) -> Response:  # noqa: PLR0917 - the path's
    """Take a role away."""
    try:
        await here.vault.delete(person.token, "partners", partner, "members", account, "roles", role)
    except Refused as refused:
        if refused.status in (403, 404):
            raise
        return await _member(request, partner, account, person, here, refused=refused)
    await here.sessions.say(
        person, f"They are not {terms.role_name(role)} any more, with their next token at the latest."
    )
    return RedirectResponse(f"/partners/{partner}/members/{account}", 303)


@router.get("/members/{account}/remove")
async def ask_to_remove(request: Request, partner: str, account: str, person: Person, here: Here) -> Response:
    """What it means, before it is done."""
    return await _member(request, partner, account, person, here, template="member_remove.html")


@router.post("/members/{account}/remove")
async def remove(request: Request, partner: str, account: str, person: Person, here: Here) -> Response:
    """End a membership."""
    try:
        await here.vault.delete(person.token, "partners", partner, "members", account)
    except Refused as refused:
        if refused.status in (403, 404):
            raise
        return await _member(request, partner, account, person, here, refused=refused)
    await here.sessions.say(person, f"They belong to {partner} no more, and have no role in it.")
    return RedirectResponse(f"/partners/{partner}/members", 303)


@router.get("/start")
async def start(request: Request, partner: str, person: Person, here: Here) -> Response:
    """What there is to do at the beginning, and what of it is done."""
    found = await here.vault.get(person.token, "partners", partner, "members")
    linked = await here.vault.get(person.token, "partners", partner, "connections")
    active = [one for one in linked["connections"] if one["state"] in ("active", "pending_approval")]
    you = next((one for one in found["members"] if one["account"] == found["you"]), None)
    return page(
        request,
        "partner_start.html",
        person,
        partner=partner,
        found=found,
        steps=terms.steps(partner, you, found, len(active)),
        terms=terms,
        you=you,
    )


@router.get("/start/key")
async def key(request: Request, partner: str, person: Person) -> Response:
    """How a security key is registered: on the realm's own pages."""
    return page(request, "partner_key.html", person, partner=partner)


def _desk(partner: str) -> Desk:
    back = f"/partners/{partner}/members"
    return Desk("partners", partner, back, f"{back}/invite", _manageable)


async def _manageable(person: Session, here: Workspace, partner: str) -> Mapping[str, Any]:
    """Everybody who belongs to the partner, for somebody who may change that."""
    found: Mapping[str, Any] = await here.vault.get(person.token, "partners", partner, "members")
    if not found["may_manage"]:
        raise not_found()
    return found


async def _member(  # noqa: PLR0917 - called here only
    request: Request,
    partner: str,
    account: str,
    person: Session,
    here: Workspace,
    given: Mapping[str, str] | None = None,
    *,
    wrong: Mapping[str, str] | None = None,
    refused: Refused | None = None,
    template: str = "member.html",
) -> Response:
    found = await _manageable(person, here, partner)
    one = next((each for each in found["members"] if each["account"] == account), None)
    if one is None:
        raise not_found()
    wrong = dict(wrong or (terms.mistakes(refused.members) if refused else {}))
    return page(
        request,
        template,
        person,
        status=refused.status if refused else 422 if wrong else 200,
        path=f"/partners/{partner}/members/{account}",
        partner=partner,
        found=found,
        one=one,
        given=given or {},
        wrong=wrong,
        refused=None if wrong else refused,
        terms=terms,
    )
