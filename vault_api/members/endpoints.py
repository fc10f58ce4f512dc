"""Members over HTTP: parse, call one function, render."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from identity.problem import not_found
from vault_api.leases.schemas import parse
from vault_api.members.code import is_name
from vault_api.members.schemas import InvitationRequest, Invited, Members, RoleRequest
from vault_api.openapi import path_names, problems
from vault_api.permissions import Call
from vault_api.vault import vault_of

_MEMBERS = "/v1/partners/{partner}/members"
_MEMBER = _MEMBERS + "/{account}"
_ROLE = _MEMBER + "/roles/{role}"
_INVITATIONS = "/v1/partners/{partner}/invitations"

router = APIRouter(tags=["members"])


def body_of(model: type[BaseModel], *names: str) -> dict[str, Any]:
    """What an endpoint's place in the OpenAPI document says of its body and its path."""
    return {
        "requestBody": {"required": True, "content": {"application/json": {"schema": model.model_json_schema()}}},
        "parameters": path_names(*names),
    }


def answer(found: BaseModel, *, status: int = 200) -> Response:
    """A document as a response that nobody keeps."""
    return Response(
        found.model_dump_json(), status, media_type="application/json", headers={"Cache-Control": "no-store"}
    )


@router.get(
    _MEMBERS,
    summary="Who belongs to a partner",
    description="With which roles, until when and given by whom; and to whoever may change it, who is invited.",
    responses={200: {"model": Members}, **problems()},
    openapi_extra={"parameters": path_names("partner")},
)
async def list_members(request: Request) -> Response:
    """Lists a partner's members."""
    vault = vault_of(request)
    admitted = await vault.gate.admit(await vault.gate.caller(request, Call.MEMBERS, _part(request, "partner")))
    return answer(await vault.members.desk.list(admitted))


@router.put(
    _ROLE,
    summary="Give a member a role, or another end of it",
    description="`until` is when it is over, at once and by itself; without it, it lasts until it is taken. Nobody "
    "gives to themselves, and nobody for longer than they have their own. Needs `member:manage`.",
    status_code=204,
    responses=problems(409, 422),
    openapi_extra=body_of(RoleRequest, "partner", "account", "role"),
)
async def give_role(request: Request) -> Response:
    """Gives a role."""
    vault = vault_of(request)
    caller = await vault.gate.caller(request, Call.MEMBER_GIVE, _part(request, "partner"))
    admitted = await vault.gate.admit(caller)
    async with vault.gate.recording(admitted):
        wanted = parse(RoleRequest, await request.body())
    await vault.members.desk.give(admitted, _part(request, "account"), _part(request, "role"), wanted.until)
    return Response(status_code=204)


@router.delete(
    _ROLE,
    summary="Take a role from a member",
    description="Not from the last one who administers the partner. Needs `member:manage`.",
    status_code=204,
    responses=problems(409),
    openapi_extra={"parameters": path_names("partner", "account", "role")},
)
async def take_role(request: Request) -> Response:
    """Takes a role."""
    vault = vault_of(request)
    admitted = await vault.gate.admit(await vault.gate.caller(request, Call.MEMBER_TAKE, _part(request, "partner")))
    await vault.members.desk.take(admitted, _part(request, "account"), _part(request, "role"))
    return Response(status_code=204)


@router.delete(
    _MEMBER,
    summary="End a membership",
    description="With every role. The account stays: it is its owner's. Needs `member:manage`.",
    status_code=204,
    responses=problems(409),
    openapi_extra={"parameters": path_names("partner", "account")},
)
async def remove_member(request: Request) -> Response:
    """Ends a membership."""
    vault = vault_of(request)
    admitted = await vault.gate.admit(await vault.gate.caller(request, Call.MEMBER_REMOVE, _part(request, "partner")))
    await vault.members.desk.remove(admitted, _part(request, "account"))
    return Response(status_code=204)


@router.post(
    _INVITATIONS,
    summary="Invite somebody",
    description="The answer holds the code and is the only one that ever does. Needs `member:manage`.",
    status_code=201,
    responses={201: {"model": Invited}, **problems(409, 422)},
    openapi_extra=body_of(InvitationRequest, "partner"),
)
async def invite(request: Request) -> Response:
    """Invites somebody."""
    vault = vault_of(request)
    admitted = await vault.gate.admit(await vault.gate.caller(request, Call.INVITE, _part(request, "partner")))
    async with vault.gate.recording(admitted):
        wanted = parse(InvitationRequest, await request.body())
    return answer(await vault.members.invitations.make(admitted, admitted.partner, wanted), status=201)


@router.delete(
    _INVITATIONS + "/{invitation}",
    summary="Withdraw an invitation",
    status_code=204,
    responses=problems(),
    openapi_extra={"parameters": path_names("partner", "invitation")},
)
async def withdraw(request: Request) -> Response:
    """Withdraws an invitation."""
    vault = vault_of(request)
    admitted = await vault.gate.admit(await vault.gate.caller(request, Call.WITHDRAW, _part(request, "partner")))
    invitation = _part(request, "invitation")
    if not is_name(invitation):
        raise await vault.gate.refused(admitted, not_found())
    await vault.members.invitations.withdraw(admitted, admitted.partner, invitation)
    return Response(status_code=204)


def _part(request: Request, name: str) -> str:
    return str(request.path_params[name])
