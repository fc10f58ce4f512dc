"""Requests over HTTP."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel

from admin_sync.access import deciding, views
from admin_sync.access.api.openapi import problems
from admin_sync.access.api.schemas import (
    ApprovalBody,
    CancellationBody,
    DenialBody,
    GrantsShown,
    PreviewShown,
    RequestBody,
    RequestShown,
    RequestsShown,
    granted,
    previewed,
    shown,
)
from admin_sync.access.request import Record, number_of, request_id
from admin_sync.access.service import Access, access_of, person
from admin_sync.access.state import State
from admin_sync.load.scalars import Email
from identity.principal import Principal
from identity.problem import Problem

router = APIRouter(prefix="/access/v1", tags=["requests"])

Person = Annotated[Principal, Depends(person)]
Service = Annotated[Access, Depends(access_of)]


@router.post(
    "/requests",
    summary="Ask for access",
    description="Makes a request that waits for the approvals its kind needs. One of yourself, of somebody whom you "
    "lead, or with role:assign of anybody.",
    status_code=201,
    response_model=RequestShown,
    responses=problems(409, 422),
)
async def submit(body: RequestBody, caller: Person, access: Service) -> Response:
    """Makes a request."""
    made = await access.desk.submit(caller, body.wish())
    return await _answer(access, caller, made, status=201)


@router.post(
    "/requests/preview",
    summary="See what a request would come to",
    description="The permissions that would be gained, by environment and way; what speaks against it; who could "
    "agree.",
    response_model=PreviewShown,
    responses=problems(422),
)
async def preview(body: RequestBody, caller: Person, access: Service) -> Response:
    """Judges a request without making it."""
    return _json(previewed(await access.desk.preview(caller, body.wish())))


@router.get(
    "/requests",
    summary="List requests",
    description="`mine`: asked by or for you. `to_decide`: open ones in which your yes is missing. `all`: needs "
    "audit:view.",
    response_model=RequestsShown,
    responses=problems(422),
)
async def listing(
    caller: Person,
    access: Service,
    *,
    view: Annotated[Literal["mine", "to_decide", "all"], Query()] = "mine",
    state: Annotated[State | None, Query()] = None,
    after: Annotated[str | None, Query(description="`next` of the page before")] = None,
    limit: Annotated[int, Query(ge=1, le=views.MOST)] = 50,
) -> Response:
    """Lists requests."""
    start = 0 if after is None else number_of(after)
    if start is None:
        raise _no_place()
    found, last = await views.listed(access.desk, caller, view, state=state, after=start, limit=limit)
    following = None if last is None else request_id(last)
    return _json(RequestsShown(requests=tuple(map(shown, found)), next=following))


@router.get("/requests/{name}", summary="Read a request", response_model=RequestShown, responses=problems())
async def read(name: str, caller: Person, access: Service) -> Response:
    """Reads one request."""
    return _json(shown(await views.one(access.desk, caller, name)))


@router.post(
    "/requests/{name}/approvals",
    summary="Approve a request",
    description="Names the hash of what you were shown. Needs a login that is stepped up (RFC 9470), and a person who "
    "has a say: the manager, a role's owner, a member of the capacity's group, and never whoever asked or gets it.",
    status_code=201,
    response_model=RequestShown,
    responses=problems(409, 422),
)
async def approve(name: str, body: ApprovalBody, caller: Person, access: Service) -> Response:
    """Adds a yes."""
    done = await deciding.approve(
        access.desk, caller, name, named_hash=body.hash, comment=body.comment, capacity=body.capacity
    )
    return await _answer(access, caller, done, status=201)


@router.post(
    "/requests/{name}/denials",
    summary="Deny a request",
    description="Ends it. Whoever could approve can deny; needs a reason and a login that is stepped up.",
    status_code=201,
    response_model=RequestShown,
    responses=problems(409, 422),
)
async def deny(name: str, body: DenialBody, caller: Person, access: Service) -> Response:
    """Says no."""
    done = await deciding.deny(access.desk, caller, name, comment=body.comment)
    return await _answer(access, caller, done, status=201)


@router.post(
    "/requests/{name}/cancellation",
    summary="Take a request back",
    description="While it is open or approved and not being carried out; by whoever asked or would get it.",
    response_model=RequestShown,
    responses=problems(409, 422),
)
async def cancel(name: str, body: CancellationBody, caller: Person, access: Service) -> Response:
    """Cancels a request."""
    return await _answer(access, caller, await access.desk.cancel(caller, name, body.comment))


@router.get(
    "/grants",
    summary="What somebody was granted",
    description="By bindings of the configuration. Your own; those of people whom you lead; with audit:view anybody's.",
    response_model=GrantsShown,
    responses=problems(422),
)
async def grants(caller: Person, access: Service, *, user: Annotated[Email | None, Query()] = None) -> Response:
    """Lists somebody's grants."""
    desk = access.desk
    known = await desk.configured.known()
    async with desk.transaction() as ledger:
        facts = known.facts(await ledger.now())
    speakers, me = facts.speakers, caller.email or ""
    wanted = speakers.person(user or me)
    if wanted != speakers.person(me) and not speakers.leads(me, wanted):
        await desk.gate.require(caller, "audit:view")
    found = tuple(
        granted(
            one.target,
            one.environments,
            one.expires,
            facts.now,
            request=one.request,
            justification=one.justification,
        )
        for one in facts.document.bindings.bindings
        if speakers.person(one.subject.user) == wanted
    )
    return _json(GrantsShown(user=wanted, grants=found))


async def _answer(access: Access, caller: Principal, record: Record, *, status: int = 200) -> Response:
    """The request as the caller sees it now."""
    known = await access.desk.configured.known()
    async with access.desk.transaction() as ledger:
        facts = known.facts(await ledger.now())
    return _json(shown(views.seen(facts, caller, record)), status=status)


def _no_place() -> Problem:
    return Problem(422, "invalid-request", "The request is not valid", "Give as `after` what `next` of a page says.")


def _json(answer: BaseModel, *, status: int = 200) -> Response:
    return Response(answer.model_dump_json(by_alias=True), status, media_type="application/json")
