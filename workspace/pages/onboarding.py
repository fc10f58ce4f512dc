"""Partners as the platform's staff bring them in: how far each has come, and inviting its first people."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import RedirectResponse, Response

from identity.form import form_of
from identity.problem import not_found
from workspace.pages.members import invitation, invited
from workspace.pages.signed_in import Person
from workspace.partner import terms
from workspace.render import page
from workspace.service import Workspace, workspace_of
from workspace.session.sessions import Session
from workspace.upstream.answer import Refused

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
    return await _invite(request, partner, person, here, {"role": "partner-admin"})


@router.post("/{partner}/invite")
async def invite(request: Request, partner: str, person: Person, here: Here) -> Response:
    """Invite somebody. The answer is the only page that shows the code."""
    given = await form_of(request)
    until, wrong = terms.until_of(given, datetime.now(UTC))
    if wrong:
        return await _invite(request, partner, person, here, given, wrong=wrong)
    try:
        made = await here.vault.post(person.token, "onboarding", partner, "invitations", body=invitation(given, until))
    except Refused as refused:
        if refused.status in (403, 404):
            raise
        return await _invite(request, partner, person, here, given, refused=refused)
    return invited(request, person, here, partner, made, back="/onboarding")


@router.post("/{partner}/invitations/{name}/withdraw")
async def withdraw(partner: str, name: str, person: Person, here: Here) -> Response:
    """End an invitation that nobody took up."""
    await here.vault.delete(person.token, "onboarding", partner, "invitations", name)
    await here.sessions.say(person, "The invitation is withdrawn. Its code is good for nothing any more.")
    return RedirectResponse("/onboarding", 303)


async def _invite(
    request: Request,
    partner: str,
    person: Session,
    here: Workspace,
    given: Mapping[str, str],
    *,
    wrong: Mapping[str, str] | None = None,
    refused: Refused | None = None,
) -> Response:
    listed = (await here.vault.get(person.token, "onboarding"))["partners"]
    found = next((one for one in listed if one["partner"] == partner), None)
    if found is None:
        raise not_found()
    wrong = dict(wrong or (terms.mistakes(refused.members) if refused else {}))
    return page(
        request,
        "member_invite.html",
        person,
        status=refused.status if refused else 422 if wrong else 200,
        partner=partner,
        found=found,
        action=f"/onboarding/{partner}/invite",
        back="/onboarding",
        given=given,
        wrong=wrong,
        refused=None if wrong else refused,
        terms=terms,
    )
