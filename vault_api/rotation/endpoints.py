"""Rotations over HTTP. All of it needs `secret:rotate`, which the policy counts as sensitive."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from identity.problem import not_found
from vault_api.openapi import path_names, problems
from vault_api.permissions import Call
from vault_api.rotation.schemas import Census, Rotation, RotationRequest, Rotations, parse_request
from vault_api.vault import vault_of

_ROTATIONS = "/v1/keys/rotations"

router = APIRouter(tags=["keys"])


@router.post(
    _ROTATIONS,
    status_code=202,
    summary="Rotate keys",
    description="A worker does it, stage by stage; `Location` says where to look. `dry_run` opens every row, changes "
    "nothing, and estimates. Two rotations at once are refused.",
    responses={202: {"model": Rotation}, **problems(409, 422)},
    openapi_extra={
        "requestBody": {
            "required": False,
            "content": {"application/json": {"schema": RotationRequest.model_json_schema()}},
        }
    },
)
async def begin(request: Request) -> Response:
    """Asks for a rotation."""
    vault = vault_of(request)
    caller = await vault.gate.caller(request, Call.ROTATE)
    admitted = await vault.gate.admit(caller)
    async with vault.gate.recording(admitted):
        asked = parse_request(await request.body())
    rotation = await vault.rotations.begin(admitted, asked)
    found = await vault.rotations.read(admitted, rotation)
    return _json(found[0], status=202, headers={"Location": f"{_ROTATIONS}/{rotation}"})


@router.get(_ROTATIONS, summary="The latest rotations", responses={200: {"model": Rotations}, **problems()})
async def latest(request: Request) -> Response:
    """The latest rotations."""
    vault = vault_of(request)
    admitted = await vault.gate.admit(await vault.gate.caller(request, Call.ROTATIONS))
    return _json(Rotations(rotations=await vault.rotations.read(admitted, None)))


@router.get(
    _ROTATIONS + "/{rotation}",
    summary="How far a rotation has got",
    responses={200: {"model": Rotation}, **problems()},
    openapi_extra={"parameters": path_names("rotation")},
)
async def read(request: Request) -> Response:
    """One rotation."""
    vault = vault_of(request)
    admitted = await vault.gate.admit(await vault.gate.caller(request, Call.ROTATIONS))
    async with vault.gate.recording(admitted):
        rotation = _rotation(request)
    found = await vault.rotations.read(admitted, rotation)
    if not found:
        raise not_found()
    return _json(found[0])


@router.post(
    _ROTATIONS + "/{rotation}/{verb}",
    summary="Pause, resume or abort a rotation",
    description="`verb` is `pause`, `resume` or `abort`. Whatever it is, every row stays readable.",
    responses={200: {"model": Rotation}, **problems(409)},
    openapi_extra={"parameters": path_names("rotation", "verb")},
)
async def steer(request: Request) -> Response:
    """Steers a rotation."""
    vault = vault_of(request)
    calls = {"pause": Call.ROTATION_PAUSE, "resume": Call.ROTATION_RESUME, "abort": Call.ROTATION_ABORT}
    verb = str(request.path_params["verb"])
    call = calls.get(verb)
    admitted = await vault.gate.admit(await vault.gate.caller(request, call or Call.ROTATIONS))
    async with vault.gate.recording(admitted):
        rotation = _rotation(request)
        if call is None:
            raise not_found()
    await vault.rotations.steer(admitted, rotation, verb)
    return _json((await vault.rotations.read(admitted, rotation))[0])


@router.get("/v1/keys/census", summary="Rows by key version", responses={200: {"model": Census}, **problems()})
async def census(request: Request) -> Response:
    """What is sealed under which key."""
    vault = vault_of(request)
    admitted = await vault.gate.admit(await vault.gate.caller(request, Call.CENSUS))
    return _json(await vault.rotations.census(admitted))


def _rotation(request: Request) -> UUID:
    try:
        return UUID(hex=str(request.path_params["rotation"]))
    except ValueError:
        raise not_found() from None


def _json(answer: BaseModel, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(answer.model_dump_json(), status, headers, media_type="application/json")
