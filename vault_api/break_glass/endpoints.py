"""Custody over HTTP: parse, call one function, render."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from identity.secret import Secret
from vault_api.break_glass.schemas import (
    ConfirmRequest,
    CustodyList,
    KeepRequest,
    Released,
    ReleaseRequest,
    Version,
    names,
    shown,
)
from vault_api.break_glass.seals import Slot
from vault_api.leases.schemas import parse
from vault_api.openapi import path_names, problems
from vault_api.permissions import Call
from vault_api.vault import vault_of

_ACCOUNTS = "/v1/break-glass"
_ACCOUNT = _ACCOUNTS + "/{environment}/{account}"

router = APIRouter(tags=["break-glass"])


def _extra(model: type[BaseModel]) -> dict[str, Any]:
    return {
        "requestBody": {"required": True, "content": {"application/json": {"schema": model.model_json_schema()}}},
        "parameters": path_names("environment", "account"),
    }


@router.get(_ACCOUNTS, summary="What is in custody", responses={200: {"model": CustodyList}, **problems()})
async def custody(request: Request) -> Response:
    """Which accounts' credentials are sealed, released or being changed; never the credentials."""
    vault = vault_of(request)
    admitted = await vault.gate.admit(await vault.gate.caller(request, Call.CUSTODY))
    return _json(CustodyList(accounts=tuple(shown(row) for row in await vault.custody.kept(admitted))))


@router.put(
    _ACCOUNT,
    summary="Keep a new credential",
    description="It is pending, and the one before it can be released no more, until the version is confirmed.",
    responses={200: {"model": Version}, **problems(409, 422)},
    openapi_extra=_extra(KeepRequest),
)
async def keep(request: Request) -> Response:
    """Seals a new credential."""
    vault = vault_of(request)
    admitted = await vault.gate.admit(await vault.gate.caller(request, Call.CUSTODY_KEEP))
    async with vault.gate.recording(admitted):
        environment, account = _names(request)
        wanted = parse(KeepRequest, await request.body())
    slot = await vault.custody.keep(admitted, environment, account, Secret(wanted.credential.get_secret_value()))
    return _json(_version(slot, "pending"))


@router.post(
    _ACCOUNT + "/confirmations",
    summary="Say that a credential is in force",
    responses={200: {"model": Version}, **problems(409, 422)},
    openapi_extra=_extra(ConfirmRequest),
)
async def confirm(request: Request) -> Response:
    """Lets a version be released."""
    vault = vault_of(request)
    admitted = await vault.gate.admit(await vault.gate.caller(request, Call.CUSTODY_CONFIRM))
    async with vault.gate.recording(admitted):
        environment, account = _names(request)
        wanted = parse(ConfirmRequest, await request.body())
    slot = Slot(environment, account, wanted.version)
    await vault.custody.confirm(admitted, slot)
    return _json(_version(slot, "sealed"))


@router.post(
    _ACCOUNT + "/release",
    summary="Receive the credential of an emergency account, once",
    description="Needs `emergency:open`, which is sensitive, and the access service's proof that the request of "
    "this very person was approved. The answer is the only one that ever holds this credential.",
    responses={200: {"model": Released}, **problems(409, 422)},
    openapi_extra=_extra(ReleaseRequest),
)
async def release(request: Request) -> Response:
    """Releases a credential."""
    vault = vault_of(request)
    admitted = await vault.gate.admit(await vault.gate.caller(request, Call.CUSTODY_RELEASE))
    async with vault.gate.recording(admitted):
        environment, account = _names(request)
        wanted = parse(ReleaseRequest, await request.body())
    slot, credential = await vault.custody.release(admitted, environment, account, wanted.proof.get_secret_value())
    return _json(
        Released(environment=slot.environment, account=slot.account, version=slot.version, credential=credential.text())
    )


def _names(request: Request) -> tuple[str, str]:
    return names(str(request.path_params["environment"]), str(request.path_params["account"]))


def _version(slot: Slot, state: str) -> Version:
    return Version(environment=slot.environment, account=slot.account, version=slot.version, state=state)


def _json(answer: BaseModel) -> Response:
    return Response(answer.model_dump_json(), media_type="application/json", headers={"Cache-Control": "no-store"})
