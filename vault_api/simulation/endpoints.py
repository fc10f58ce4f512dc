"""Simulations over HTTP: parse, call one function, render."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from vault_api.leases.schemas import parse
from vault_api.openapi import path_names, problems
from vault_api.permissions import Call
from vault_api.simulation.schemas import Choices, Simulation, SimulationRequest
from vault_api.vault import vault_of

_SIMULATIONS = "/v1/partners/{partner}/simulations"

router = APIRouter(tags=["simulations"])


@router.get(
    "/v1/simulations/choices",
    summary="Which partners can be looked at",
    description="Every partner of the configuration, its persona, and the roles that it may hand out.",
    responses={200: {"model": Choices}, **problems()},
)
async def choices(request: Request) -> Response:
    """Lists what can be looked at."""
    vault = vault_of(request)
    admitted = await vault.gate.admit(await vault.gate.caller(request, Call.SIMULATION_CHOICES))
    found = await vault.simulations.choices(admitted)
    return Response(found.model_dump_json(), media_type="application/json")


@router.post(
    _SIMULATIONS,
    summary="Look at a partner as one of its members",
    description="For staff with `partner:simulate` and a fresh login. The answer's `simulation` goes into the header "
    "`TradePulse-Simulation` of requests with the token of the same login session: those are answered as a member with "
    "that role is answered, for readings only. It ends after `seconds`, half an hour at most. The reason is in the "
    "partner's own trail.",
    status_code=201,
    responses={201: {"model": Simulation}, **problems(422)},
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": SimulationRequest.model_json_schema()}},
        },
        "parameters": path_names("partner"),
    },
)
async def begin(request: Request) -> Response:
    """Begins a simulation."""
    vault = vault_of(request)
    caller = await vault.gate.caller(request, Call.SIMULATE, str(request.path_params["partner"]))
    async with vault.gate.recording(caller):
        wanted = parse(SimulationRequest, await request.body())
    found = await vault.simulations.begin(await vault.gate.admit(caller), wanted)
    return Response(found.model_dump_json(), 201, media_type="application/json")


@router.delete(
    _SIMULATIONS + "/{simulation}",
    summary="End a simulation",
    description="One's own, before its time is up.",
    status_code=204,
    responses=problems(),
    openapi_extra={"parameters": path_names("partner", "simulation")},
)
async def end(request: Request) -> Response:
    """Ends a simulation."""
    vault = vault_of(request)
    caller = await vault.gate.caller(request, Call.SIMULATION_END, str(request.path_params["partner"]))
    await vault.simulations.end(caller, str(request.path_params["simulation"]))
    return Response(status_code=204)
