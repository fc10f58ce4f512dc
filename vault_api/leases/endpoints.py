"""Leases over HTTP: parse, call one function, render."""

from __future__ import annotations

import re
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from vault_api.leases.issuing import Issued
from vault_api.leases.schemas import (
    Ending,
    EndRequest,
    Lease,
    LeaseIssued,
    LeaseRequest,
    Leases,
    RenewRequest,
    parse,
    shown,
)
from vault_api.openapi import path_names, problems, query
from vault_api.paging import name_after, page_size
from vault_api.permissions import Call
from vault_api.vault import vault_of

_LEASES = "/v1/partners/{partner}/leases"
_LEASE = _LEASES + "/{lease}"

_ID = re.compile(r"[0-9a-f]{24}\Z")

router = APIRouter(tags=["leases"])


def _body(model: type[BaseModel], *, required: bool) -> dict[str, Any]:
    return {"required": required, "content": {"application/json": {"schema": model.model_json_schema()}}}


@router.post(
    _LEASES,
    summary="Lease a credential",
    description="Makes an account on a database, or narrows a broker's token, as the named template says. The answer "
    "holds the credential and is the only one that ever does. Needs every permission that the template's scopes need; "
    "ends somewhat before the time asked for, with the decision that allows it, at logout, offboarding and freeze.",
    status_code=201,
    responses={201: {"model": LeaseIssued}, **problems(409, 422, 500)},
    openapi_extra={"requestBody": _body(LeaseRequest, required=True), "parameters": path_names("partner")},
)
async def issue(request: Request) -> Response:
    """Issues a lease."""
    vault = vault_of(request)
    caller = await vault.gate.caller(request, Call.LEASE_ISSUE, _partner(request))
    async with vault.gate.recording(caller):
        wanted = parse(LeaseRequest, await request.body())
    issued = await vault.leases.issuing.issue(caller, wanted)
    return _json(LeaseIssued(lease=shown(issued.row), credential=_credential(issued)), status=201)


@router.get(
    _LEASES,
    summary="List leases",
    description="In the order of their ids, ended ones among them; and which templates the partner may ask for.",
    responses={200: {"model": Leases}, **problems(422)},
    openapi_extra={
        "parameters": [
            *path_names("partner"),
            query("after", "string", "`next` of the page before"),
            query("limit", "integer", "1 to 500, by default 100"),
        ]
    },
)
async def list_leases(request: Request) -> Response:
    """Lists a partner's leases."""
    vault = vault_of(request)
    admitted = await vault.gate.admit(await vault.gate.caller(request, Call.LEASE_LIST, _partner(request)))
    async with vault.gate.recording(admitted):
        after = name_after(request.query_params, lambda name: _ID.match(name) is not None)
        limit = page_size(request.query_params)
    found = await vault.leases.holdings.list(admitted, after=after, limit=limit)
    return _json(
        Leases(
            leases=tuple(shown(row) for row in found),
            templates=vault.leases.holdings.templates(admitted.partner),
            next=found[-1].lease if len(found) == limit else None,
        )
    )


@router.get(
    _LEASE,
    summary="Describe a lease",
    responses={200: {"model": Lease}, **problems()},
    openapi_extra={"parameters": path_names("partner", "lease")},
)
async def describe_lease(request: Request) -> Response:
    """Describes a lease."""
    vault = vault_of(request)
    caller = await vault.gate.caller(request, Call.LEASE_READ, _partner(request), _lease(request), among="leases")
    return _json(shown(await vault.leases.holdings.describe(await vault.gate.admit(caller), _lease(request))))


@router.post(
    _LEASE + "/renew",
    summary="Renew one's own lease",
    description="Up to the template's longest time. The policy is asked for every scope again.",
    responses={200: {"model": Lease}, **problems(409, 422)},
    openapi_extra={
        "requestBody": _body(RenewRequest, required=False),
        "parameters": path_names("partner", "lease"),
    },
)
async def renew(request: Request) -> Response:
    """Renews a lease."""
    vault = vault_of(request)
    caller = await vault.gate.caller(request, Call.LEASE_RENEW, _partner(request), _lease(request), among="leases")
    async with vault.gate.recording(caller):
        wanted = parse(RenewRequest, await request.body())
    return _json(shown(await vault.leases.issuing.renew(caller, _lease(request), wanted.ttl_seconds)))


@router.delete(
    _LEASE,
    summary="End a lease",
    description="One's own, or with `connection:revoke` anybody's. 202 while its target has not agreed yet; it is then "
    "tried until it does.",
    responses={200: {"model": Lease}, 202: {"model": Lease}, **problems()},
    openapi_extra={"parameters": path_names("partner", "lease")},
)
async def end_lease(request: Request) -> Response:
    """Ends a lease."""
    vault = vault_of(request)
    caller = await vault.gate.caller(request, Call.LEASE_REVOKE, _partner(request), _lease(request), among="leases")
    row = await vault.leases.holdings.end(caller, _lease(request))
    return _json(shown(row), status=200 if row.state == "ended" else 202)


@router.post(
    "/v1/leases/revocations",
    summary="End the leases of a session, a person or a partner",
    description="For operators, and for services that learn of a logout or a leaving. Needs `lease:revoke`.",
    responses={200: {"model": Ending}, **problems(422)},
    openapi_extra={"requestBody": _body(EndRequest, required=True)},
)
async def end_leases(request: Request) -> Response:
    """Ends the leases that match."""
    vault = vault_of(request)
    caller = await vault.gate.caller(request, Call.LEASES_END)
    admitted = await vault.gate.admit(caller)
    async with vault.gate.recording(admitted):
        wanted = parse(EndRequest, await request.body())
    ending = await vault.leases.holdings.end_for(
        admitted, reason=wanted.reason, partner=wanted.partner, session=wanted.session, subject=wanted.subject
    )
    return _json(Ending(ending=ending))


def _credential(issued: Issued) -> dict[str, Any]:
    name = "password" if issued.row.kind == "postgresql" else "access_token"
    return {**issued.made.shown, name: issued.made.secret.text()}


def _partner(request: Request) -> str:
    return str(request.path_params["partner"])


def _lease(request: Request) -> str:
    return str(request.path_params["lease"])


def _json(answer: BaseModel, *, status: int = 200) -> Response:
    return Response(answer.model_dump_json(), status, media_type="application/json")
