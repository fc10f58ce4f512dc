"""Taking up an invitation: by somebody new, without a login; or as oneself, logged in with the invited address.

Nothing is told to whoever has only the address of the page: not even to which partner it leads.
"""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Depends, Request
from starlette.responses import RedirectResponse, Response

from identity.form import form_of
from workspace.pages.signed_in import signed_in
from workspace.partner import terms
from workspace.render import page
from workspace.service import Workspace, workspace_of
from workspace.session.sessions import Session
from workspace.upstream.answer import LoginNeeded, Refused, StepUpNeeded

router = APIRouter(prefix="/invitation/{partner}/{name}", include_in_schema=False)

Here = Annotated[Workspace, Depends(workspace_of)]


@router.get("")
async def invitation(request: Request, partner: str, name: str) -> Response:
    """The form for the code."""
    return _form(request, partner, name, await _who(request), {})


@router.post("")
async def accept(request: Request, partner: str, name: str, here: Here) -> Response:
    """Take it up."""
    given = await form_of(request)
    person = await _who(request)
    code = given.get("code", "").strip()
    first, last = (given.get(part, "").strip() for part in ("first_name", "last_name"))
    wrong = {} if code else {"code": "Write the code that you were given."}
    if person is None:
        wrong |= {} if first else {"first_name": "Write your first name."}
        wrong |= {} if last else {"last_name": "Write your last name."}
    if wrong:
        return _form(request, partner, name, person, given, wrong=wrong)
    try:
        if person is not None:
            await here.vault.post(person.token, "invitations", partner, name, "membership", body={"code": code})
            # The tokens of before say nothing of the membership; the realm knows the person and asks nothing.
            return RedirectResponse(f"/auth/login?{urlencode({'next': f'/partners/{partner}/start'})}", 303)
        body = {"code": code, "first_name": first, "last_name": last}
        made = await here.vault.post(None, "invitations", partner, name, "acceptance", body=body)
    except (LoginNeeded, StepUpNeeded):
        raise
    except Refused as refused:
        return _form(request, partner, name, person, given, refused=refused)
    start = f"/partners/{quote(made['partner'], safe='')}/start"
    return page(
        request, "invitation_done.html", made=made, terms=terms, login=f"/auth/login?{urlencode({'next': start})}"
    )


async def _who(request: Request) -> Session | None:
    try:
        return await signed_in(request)
    except LoginNeeded:
        return None


def _form(
    request: Request,
    partner: str,
    name: str,
    person: Session | None,
    given: dict[str, str] | object,
    *,
    wrong: dict[str, str] | None = None,
    refused: Refused | None = None,
) -> Response:
    here = f"/invitation/{quote(partner, safe='')}/{quote(name, safe='')}"
    return page(
        request,
        "invitation.html",
        person,
        status=refused.status if refused else 422 if wrong else 200,
        here=here,
        log_in=f"/auth/login?{urlencode({'next': here})}",
        given=given,
        wrong=wrong or {},
        refused=refused,
    )
