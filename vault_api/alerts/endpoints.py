"""Where a partner is told what, over HTTP: parse, call one function, render."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from vault_api.alerts.schemas import Log, RouteRequest, Routes, RouteSet
from vault_api.gate import Caller
from vault_api.leases.schemas import parse
from vault_api.openapi import path_names, problems
from vault_api.permissions import Call
from vault_api.vault import Vault, vault_of

_ROUTES = "/v1/partners/{partner}/alert-routes"
_ROUTE = _ROUTES + "/{route}"

router = APIRouter(tags=["alerts"])


@router.get(
    _ROUTES,
    summary="Where a partner is told what",
    description="Its own routes, and those that the configuration has. A webhook's secret is never in it.",
    responses={200: {"model": Routes}, **problems()},
    openapi_extra={"parameters": path_names("partner")},
)
async def list_routes(request: Request) -> Response:
    """Lists routes."""
    vault = vault_of(request)
    admitted = await vault.gate.admit(await _caller(vault, request, Call.ALERT_ROUTES))
    async with vault.gate.recording(admitted):
        found = await vault.alerts.list(admitted)
    await vault.trail.record(admitted.event("success"))
    return _json(found)


@router.put(
    _ROUTE,
    summary="Say where to tell what",
    description="One address of e-mail or a webhook (https, signed after the Standard Webhooks specification). A new "
    "webhook's secret is in the answer, once; one that stays where it is keeps its secret. Needs `alert:manage`.",
    responses={200: {"model": RouteSet}, **problems(409, 422)},
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": RouteRequest.model_json_schema()}},
        },
        "parameters": path_names("partner", "route"),
    },
)
async def set_route(request: Request) -> Response:
    """Sets a route."""
    vault = vault_of(request)
    name = str(request.path_params["route"])
    admitted = await vault.gate.admit(await _caller(vault, request, Call.ALERT_ROUTE_SET, name))
    async with vault.gate.recording(admitted):
        wanted = parse(RouteRequest, await request.body())
    secret = await vault.alerts.set(admitted, name, wanted)
    return _json(RouteSet(route=name, secret=None if secret is None else secret.text()))


@router.delete(
    _ROUTE,
    summary="Tell nobody there any more",
    status_code=204,
    responses=problems(),
    openapi_extra={"parameters": path_names("partner", "route")},
)
async def drop_route(request: Request) -> Response:
    """Takes a route away."""
    vault = vault_of(request)
    name = str(request.path_params["route"])
    admitted = await vault.gate.admit(await _caller(vault, request, Call.ALERT_ROUTE_DROP, name))
    await vault.alerts.drop(admitted, name)
    return Response(status_code=204)


@router.post(
    _ROUTE + "/test",
    summary="Send an alert that says only that it arrived",
    description="It is delivered like any other, with patience; the log says what came of it.",
    status_code=202,
    responses=problems(409),
    openapi_extra={"parameters": path_names("partner", "route")},
)
async def test_route(request: Request) -> Response:
    """Raises a test."""
    vault = vault_of(request)
    name = str(request.path_params["route"])
    admitted = await vault.gate.admit(await _caller(vault, request, Call.ALERT_TEST, name))
    alert = await vault.alerts.test(admitted, name)
    return Response(f'{{"alert":"{alert}"}}', 202, media_type="application/json")


@router.get(
    "/v1/partners/{partner}/alerts",
    summary="What a partner was told lately, and whether it arrived",
    responses={200: {"model": Log}, **problems()},
    openapi_extra={"parameters": path_names("partner")},
)
async def read_log(request: Request) -> Response:
    """The newest alerts with their deliveries."""
    vault = vault_of(request)
    admitted = await vault.gate.admit(await _caller(vault, request, Call.ALERT_LOG))
    async with vault.gate.recording(admitted):
        found = await vault.alerts.log(admitted)
    await vault.trail.record(admitted.event("success"))
    return _json(found)


async def _caller(vault: Vault, request: Request, call: Call, route: str | None = None) -> Caller:
    return await vault.gate.caller(request, call, str(request.path_params["partner"]), route, among="alert-routes")


def _json(answer: BaseModel) -> Response:
    headers: dict[str, Any] = {"Cache-Control": "no-store"}
    return Response(answer.model_dump_json(), media_type="application/json", headers=headers)
