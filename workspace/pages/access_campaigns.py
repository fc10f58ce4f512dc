"""Certification: which campaigns there are, and what somebody has a say in: to keep or to take away, with a reason."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import RedirectResponse, Response

from identity.form import form_of
from workspace.asking import SHORTEST_REASON
from workspace.pages.access_ask import reasons
from workspace.pages.signed_in import Person
from workspace.render import instant, page
from workspace.service import Workspace, workspace_of
from workspace.session.sessions import Session
from workspace.upstream.answer import Refused

router = APIRouter(prefix="/access/campaigns", include_in_schema=False)

Here = Annotated[Workspace, Depends(workspace_of)]


@router.get("")
async def campaigns(request: Request, person: Person, here: Here) -> Response:
    """Every campaign, the latest first."""
    found = await here.access.get(person.token, "campaigns")
    return page(request, "access_campaigns.html", person, campaigns=found["campaigns"])


@router.get("/{quarter}")
async def campaign(
    request: Request, quarter: str, person: Person, here: Here, *, after: str = "", which: str = ""
) -> Response:
    """What of a campaign waits for my word; or all of it that I have a say in, hold, or decided."""
    return await _shown(request, person, here, quarter, after=_start(after), everything=which == "all")


@router.post("/{quarter}/decisions")
async def decide(request: Request, quarter: str, person: Person, here: Here) -> Response:
    """One decision. The form brings back the hash of what it was shown with."""
    form = await form_of(request)
    told = {name: form.get(name, "").strip() for name in ("item", "hash", "verdict", "reason")}
    if told["verdict"] not in ("keep", "revoke") or len(told["reason"]) < SHORTEST_REASON:
        said = f"Say in at least {SHORTEST_REASON} characters why, and choose whether it stays."
        return await _shown(request, person, here, quarter, status=422, told=told, error=said)
    try:
        answers = await here.access.post(person.token, "campaigns", quarter, "decisions", body={"decisions": [told]})
    except Refused as refused:
        if refused.status == 404:
            raise
        said = " ".join(reasons(refused))
        return await _shown(request, person, here, quarter, status=refused.status, told=told, error=said)
    answer = answers["answers"][0]
    if answer["code"] not in ("taken", "decided_already"):
        said = f"{answer['why'][:1].upper()}{answer['why'][1:]}."
        return await _shown(request, person, here, quarter, status=409, told=told, error=said)
    kept = "It stays." if told["verdict"] == "keep" else "It is taken away when the campaign closes."
    await here.sessions.say(person, f"Your decision is recorded. {kept}")
    return RedirectResponse(f"/access/campaigns/{quarter}", 303)


async def _shown(
    request: Request,
    person: Session,
    here: Workspace,
    quarter: str,
    *,
    status: int = 200,
    after: int = 0,
    everything: bool = False,
    told: Mapping[str, str] | None = None,
    error: str | None = None,
) -> Response:
    query = {"after": str(after), **({} if everything else {"undecided": "true"})}
    found = await here.access.get(person.token, "campaigns", quarter, "items", query=query)
    listed = (await here.access.get(person.token, "campaigns"))["campaigns"]
    return page(
        request,
        "access_campaign.html",
        person,
        status=status,
        campaign=next(one for one in listed if one["quarter"] == quarter),
        items=[_item(one) for one in found["items"]],
        found=found,
        everything=everything,
        told=told or {},
        error=error,
    )


def _start(after: str) -> int:
    """Where a page of items begins; from the first for what is no such place."""
    return int(after) if after.isascii() and after.isdigit() and len(after) <= 6 else 0


def _item(one: Mapping[str, Any]) -> dict[str, Any]:
    """An item with what a page shows of it; its last use is the latest of all environments."""
    item = one["item"]
    binding = item["binding"]
    target = next((f"{name} {binding[name]}" for name in ("role", "group") if name in binding), "client role")
    used = [moment for use in item["use"].values() if (moment := instant(use["last"])) is not None]
    known = any(use["recorded_since"] for use in item["use"].values())
    return {
        **one,
        "target": target,
        "holder": binding["subject"]["user"],
        "last": max(used, default=None),
        "known": known,
    }
