"""Links over HTTP: parse, call one function, render."""

from __future__ import annotations

from collections import Counter
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from vault_api.linking.schemas import (
    Approved,
    Callback,
    Linked,
    LinkRequest,
    LinkStarted,
    parse_body,
    parse_query,
)
from vault_api.openapi import path_names, problems, query
from vault_api.permissions import Call
from vault_api.vault import vault_of

_CONNECTIONS = "/v1/partners/{partner}/connections"
_CONNECTION = _CONNECTIONS + "/{connection}"
_CALLBACK = "/v1/link/callback"

_FINISHES = (
    "Carries the bearer token of the person who began, from the same login session: the broker's redirect goes to "
    "the workspace, which finishes it here. A state is good once, for ten minutes."
)

router = APIRouter(tags=["linking"])


def _body(model: type[BaseModel]) -> dict[str, Any]:
    return {"required": True, "content": {"application/json": {"schema": model.model_json_schema()}}}


@router.post(
    _CONNECTIONS,
    summary="Start linking a broker",
    description="Answers where to send the person (code, PKCE S256, state, and a nonce where an ID token is asked "
    "for). An existing connection is connected again: it keeps its id and gets a new version.",
    status_code=201,
    responses={201: {"model": LinkStarted}, **problems(409, 422)},
    openapi_extra={"requestBody": _body(LinkRequest), "parameters": path_names("partner")},
)
async def start_link(request: Request) -> Response:
    """Starts a link."""
    vault = vault_of(request)
    caller = await vault.gate.caller(request, Call.LINK, str(request.path_params["partner"]))
    async with vault.gate.recording(caller):
        wanted = parse_body(LinkRequest, await request.body())
    admitted = await vault.gate.admit(caller, {"broker": wanted.broker})
    return _json(await vault.brokers.linking.starting.start(admitted, wanted), status=201)


@router.get(
    _CALLBACK,
    summary="Finish a link with what the broker put into the redirect",
    description=_FINISHES,
    responses={200: {"model": Linked}, **problems(409, 422, 500, 502)},
    openapi_extra={
        "parameters": [
            query("state", "string", "as the redirect has it"),
            query("code", "string", "as the redirect has it"),
            query("iss", "string", "as the redirect has it (RFC 9207)"),
            query("error", "string", "in place of a code, where the broker refused"),
        ]
    },
)
async def finish_link(request: Request) -> Response:
    """Finishes a link."""
    vault = vault_of(request)
    caller = await vault.gate.caller(request, Call.LINK_FINISH, "")
    async with vault.gate.recording(caller):
        counts = Counter(name for name, _ in request.query_params.multi_items())
        callback = parse_query(dict(request.query_params), counts)
    return _json(await vault.brokers.linking.finishing.finish(caller, callback))


@router.post(
    _CALLBACK,
    summary="Finish a link, with the code in the body instead of the address",
    description=_FINISHES,
    responses={200: {"model": Linked}, **problems(409, 422, 500, 502)},
    openapi_extra={"requestBody": _body(Callback)},
)
async def finish_link_in_body(request: Request) -> Response:
    """Finishes a link."""
    vault = vault_of(request)
    caller = await vault.gate.caller(request, Call.LINK_FINISH, "")
    async with vault.gate.recording(caller):
        callback = parse_body(Callback, await request.body())
    return _json(await vault.brokers.linking.finishing.finish(caller, callback))


@router.post(
    _CONNECTION + "/approve",
    summary="Approve what somebody else linked",
    description="Only then does the connection release anything. Not by the person who linked it.",
    responses={200: {"model": Approved}, **problems(409, 500)},
    openapi_extra={"parameters": path_names("partner", "connection")},
)
async def approve(request: Request) -> Response:
    """Approves a link."""
    vault = vault_of(request)
    partner, connection = str(request.path_params["partner"]), str(request.path_params["connection"])
    admitted = await vault.gate.admit(await vault.gate.caller(request, Call.APPROVE, partner, connection))
    return _json(await vault.brokers.linking.decisions.approve(admitted, connection))


@router.delete(
    _CONNECTION,
    summary="Revoke a connection",
    description="Dead here at once; the broker is told as well (RFC 7009), again and again while it is away.",
    status_code=204,
    responses={204: {"description": "Revoked"}, **problems()},
    openapi_extra={"parameters": path_names("partner", "connection")},
)
async def revoke(request: Request) -> Response:
    """Revokes a connection."""
    vault = vault_of(request)
    partner, connection = str(request.path_params["partner"]), str(request.path_params["connection"])
    admitted = await vault.gate.admit(await vault.gate.caller(request, Call.REVOKE, partner, connection))
    await vault.brokers.linking.decisions.revoke(admitted, connection)
    return Response(status_code=204)


def _json(answer: BaseModel, *, status: int = 200) -> Response:
    return Response(answer.model_dump_json(), status, media_type="application/json")
