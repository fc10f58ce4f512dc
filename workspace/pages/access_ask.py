"""Asking for access: the form, what would come of it, and off it goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import RedirectResponse, Response

from identity.form import form_of
from workspace.asking import SPANS, Wish, asked_for, wish_of
from workspace.pages.signed_in import Person
from workspace.render import page
from workspace.service import Workspace, workspace_of
from workspace.session.sessions import Session
from workspace.upstream.answer import Refused

router = APIRouter(prefix="/access", include_in_schema=False)

Here = Annotated[Workspace, Depends(workspace_of)]


@router.get("/ask")
async def ask(request: Request, person: Person, here: Here, what: str = "", environment: str = "") -> Response:
    """The empty form, or one that a link filled in: what, and where."""
    offers = await here.access.get(person.token, "catalogue")
    known = {f"{kind[:-1]}:{one['name']}" for kind in ("roles", "groups") for one in offers[kind]}
    wish = Wish(
        what=what if what in known else "",
        environments=tuple(one for one in environment.split(",") if one in offers["environments"]),
    )
    return _form(request, person, offers, wish)


@router.post("/ask")
async def asked(request: Request, person: Person, here: Here) -> Response:
    """Shows what would come of it, or sends it. A no is shown with the form, which keeps what was filled in."""
    form = await form_of(request)
    offers = await here.access.get(person.token, "catalogue")
    wish = wish_of(form, offers["environments"])
    if wish.errors:
        return _form(request, person, offers, wish, status=422)
    body = wish.body(datetime.now(UTC))
    try:
        if form.get("action") != "send":
            preview = await here.access.post(person.token, "requests", "preview", body=body)
            return _form(request, person, offers, wish, preview={**preview, "expires": body["expires"]})
        made = await here.access.post(person.token, "requests", body=body)
    except Refused as refused:
        return _form(request, person, offers, wish, status=refused.status, refusals=reasons(refused))
    await here.sessions.say(person, f"{made['id']} is sent: {asked_for(made)}. It waits for the people named below.")
    return RedirectResponse(f"/access/requests/{made['id']}", 303)


def reasons(refused: Refused) -> Sequence[str]:
    """Every reason of a no, each a sentence."""
    told = refused.members.get("reasons")
    if isinstance(told, list) and told:
        return [_sentence(str(one.get("detail", ""))) for one in told if isinstance(one, dict)]
    return [_sentence(refused.detail)]


def _sentence(text: str) -> str:
    # An address keeps its own spelling.
    capital = text[:1] if "@" in text.partition(" ")[0] else text[:1].upper()
    return capital + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


def _form(
    request: Request,
    person: Session,
    offers: Mapping[str, Any],
    wish: Wish,
    *,
    status: int = 200,
    preview: Mapping[str, Any] | None = None,
    refusals: Sequence[str] = (),
) -> Response:
    conflict = False
    if preview is not None:
        refusals = [_sentence(one["detail"]) for one in preview["refusals"]]
        conflict = any(one["code"] == "segregation-of-duties" for one in preview["refusals"])
    return page(
        request,
        "access_ask.html",
        person,
        status=status,
        offers=offers,
        wish=wish,
        spans=SPANS,
        preview=preview,
        refusals=refusals,
        conflict=conflict,
    )
