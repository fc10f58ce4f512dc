"""Linking a broker: choose it, agree on the broker's own page, come back here, where the vault finishes it.

What the broker sends back is bound in the vault to the person and the login session that began, and is good once.
"""

from __future__ import annotations

from typing import Annotated, Final
from urllib.parse import urlencode, urlsplit

from fastapi import APIRouter, Depends, Request
from starlette.responses import RedirectResponse, Response

from identity.form import form_of
from identity.problem import Problem
from workspace.pages.signed_in import Person, signed_in
from workspace.render import page
from workspace.service import Workspace, workspace_of
from workspace.session.sessions import Session
from workspace.upstream.answer import LoginNeeded, Refused, StepUpNeeded
from workspace.upstream.partner import PartnerAtVault

router = APIRouter(include_in_schema=False)

Here = Annotated[Workspace, Depends(workspace_of)]

CALLBACK: Final = "/link/callback"
"""Where brokers send people back to; the vault allows it by VAULT_LINK_REDIRECT_URIS."""

_ANSWER: Final = ("state", "code", "iss", "error")
_NAMES: Final = "Use up to 63 small letters, digits and hyphens, and begin with a letter or a digit."
_SAYS: Final = {
    "connection": _NAMES,
    "broker": "Choose one of the list.",
}


@router.get("/partners/{partner}/link")
async def choose(request: Request, partner: str, person: Person, here: Here, broker: str = "") -> Response:
    """Which broker, and what to call the connection."""
    return await _form(request, partner, person, here, {"broker": broker})


@router.post("/partners/{partner}/link")
async def start(request: Request, partner: str, person: Person, here: Here) -> Response:
    """Begin, and show where it goes on.

    The answer is a page with a link and no redirect: browsers hold a redirect after a form to the policy's
    `form-action`, which names no broker. So it is also said whose page comes next, before it comes.
    """
    given = await form_of(request)
    wanted = {"broker": given.get("broker", ""), "connection": given.get("connection", "").strip()}
    try:
        started = await here.vault.post(
            person.token,
            "partners",
            partner,
            "connections",
            body={**wanted, "redirect_uri": here.settings.url + CALLBACK},
        )
    except Refused as refused:
        if refused.status in (403, 404):
            raise
        return await _form(request, partner, person, here, wanted, refused)
    place = urlsplit(started["authorize_url"])
    if place.scheme not in ("https", "http") or not place.hostname:
        raise Problem(502, "broker-address", "The broker has no proper address", "Tell whoever runs this site.")
    offers = await PartnerAtVault(here.vault, person, partner).offers()
    return page(
        request,
        "partner_leave.html",
        person,
        path=_in_the_menu(partner),
        partner=partner,
        started=started,
        host=place.netloc.rpartition("@")[2],
        broker=next((one for one in offers["brokers"] if one["broker"] == started["broker"]), None),
    )


@router.get(CALLBACK)
async def finish(request: Request, here: Here) -> Response:
    """Back from the broker, with its yes or its no."""
    try:
        person = await signed_in(request)
        given = request.query_params
        if any(len(given.getlist(name)) > 1 for name in _ANSWER) or not given.get("state"):
            raise _not_an_answer()
        answer = {name: given[name] for name in _ANSWER if given.get(name)}
        linked = await here.vault.post(person.token, "link", "callback", body=answer)
    except LoginNeeded:
        # Not back to here afterwards: the answer belongs to the session that is over.
        raise _ended() from None
    except StepUpNeeded as needed:
        asked = {"next": "/", "level": needed.level.value}
        if needed.max_age is not None:
            asked["max_age"] = str(needed.max_age)
        return RedirectResponse(f"/confirm?{urlencode(asked)}", 303)
    except Refused as refused:
        return _not_linked(request, person, refused)
    name = linked["connection"]
    done = (
        f"{name} is linked, and waits for somebody else to approve it."
        if linked["state"] == "pending_approval"
        else f"{name} is linked."
    )
    await here.sessions.say(person, done)
    # The code leaves the address with this.
    return RedirectResponse(f"/partners/{linked['partner']}/connections/{name}", 303)


async def _form(  # noqa: PLR0917 - called here only
    request: Request,
    partner: str,
    person: Session,
    here: Workspace,
    given: dict[str, str],
    refused: Refused | None = None,
) -> Response:
    offers = await PartnerAtVault(here.vault, person, partner).offers()
    wrong: dict[str, str] = {}
    if refused is not None:
        places = refused.members.get("errors")
        for mistake in places if isinstance(places, list) else ():
            name = str(mistake.get("location", "")).strip("/") if isinstance(mistake, dict) else ""
            if name in _SAYS:
                wrong[name] = _SAYS[name]
    return page(
        request,
        "partner_link.html",
        person,
        status=200 if refused is None else refused.status,
        path=_in_the_menu(partner),
        partner=partner,
        offers=offers,
        given=given,
        names=_NAMES,
        wrong=wrong,
        refused=None if wrong else refused,
    )


def _in_the_menu(partner: str) -> str:
    # The address is not below that of the connections: one of them may be called `link`.
    return f"/partners/{partner}/connections/link"


def _not_linked(request: Request, person: Session, refused: Refused) -> Response:
    return page(
        request,
        "partner_not_linked.html",
        person,
        status=refused.status,
        refused=refused,
        partners=sorted(person.principal.organizations),
    )


def _not_an_answer() -> Problem:
    return Problem(
        400, "no-broker-answer", "That is no answer of a broker", "Link the broker again from the connections page."
    )


def _ended() -> Problem:
    return Problem(
        400,
        "session-ended-meanwhile",
        "Your session ended meanwhile",
        "Nothing was linked. Log in and link the broker again.",
    )
