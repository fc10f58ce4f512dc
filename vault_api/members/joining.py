"""Invitations over HTTP, from both ends: for those who are invited, and for staff who invite a partner's first."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from identity.problem import Problem, not_found
from vault_api import names
from vault_api.leases.schemas import parse
from vault_api.members.code import is_name
from vault_api.members.endpoints import answer, body_of
from vault_api.members.schemas import Acceptance, Accepted, InvitationRequest, Invited, Onboarding
from vault_api.openapi import path_names, problems
from vault_api.permissions import Call
from vault_api.vault import vault_of

_ONBOARDING = "/v1/onboarding"
_INVITED = "/v1/invitations/{partner}/{invitation}"

router = APIRouter(tags=["members"])


@router.get(
    _ONBOARDING,
    summary="How far each partner has come",
    description="Its members, administrators and open invitations. Needs `partner:manage`.",
    responses={200: {"model": Onboarding}, **problems()},
)
async def onboarding(request: Request) -> Response:
    """Every partner of the configuration."""
    vault = vault_of(request)
    admitted = await vault.gate.admit(await vault.gate.caller(request, Call.ONBOARDING))
    return answer(Onboarding(partners=tuple(await vault.members.invitations.onboarding(admitted))))


@router.post(
    _ONBOARDING + "/{partner}/invitations",
    summary="Invite a partner's first people",
    description="As a partner's own administrators do, for one that has none yet. It stands in the partner's trail. "
    "Needs `partner:manage`.",
    status_code=201,
    responses={201: {"model": Invited}, **problems(409, 422)},
    openapi_extra=body_of(InvitationRequest, "partner"),
)
async def invite_first(request: Request) -> Response:
    """Invites somebody to a partner, as staff."""
    vault = vault_of(request)
    admitted = await vault.gate.admit(await vault.gate.caller(request, Call.ONBOARD))
    async with vault.gate.recording(admitted):
        partner = str(request.path_params["partner"])
        if not names.is_partner(partner):
            raise not_found()
        wanted = parse(InvitationRequest, await request.body())
    return answer(await vault.members.invitations.make(admitted, partner, wanted), status=201)


@router.delete(
    _ONBOARDING + "/{partner}/invitations/{invitation}",
    summary="Withdraw an invitation, as staff",
    status_code=204,
    responses=problems(),
    openapi_extra={"parameters": path_names("partner", "invitation")},
)
async def withdraw_first(request: Request) -> Response:
    """Withdraws an invitation, as staff."""
    vault = vault_of(request)
    admitted = await vault.gate.admit(await vault.gate.caller(request, Call.ONBOARD_WITHDRAW))
    partner, invitation = str(request.path_params["partner"]), str(request.path_params["invitation"])
    if not names.is_partner(partner) or not is_name(invitation):
        raise await vault.gate.refused(admitted, not_found())
    await vault.members.invitations.withdraw(admitted, partner, invitation)
    return Response(status_code=204)


@router.post(
    _INVITED + "/acceptance",
    summary="Take an invitation up as somebody new",
    description="Without a token: the code is the proof. It makes an account for an address of the partner's own "
    "domains, for which the code is the password of the first login.",
    status_code=201,
    responses={201: {"model": Accepted}, **problems(409, 422)},
    openapi_extra={**body_of(Acceptance, "partner", "invitation"), "security": []},
)
async def accept(request: Request) -> Response:
    """Takes an invitation up and makes an account."""
    vault = vault_of(request)
    given = parse(Acceptance, await request.body())
    ip = request.client.host if request.client else None
    partner, invitation = str(request.path_params["partner"]), str(request.path_params["invitation"])
    return answer(await vault.members.invitations.accept(partner, invitation, given, ip=ip), status=201)


@router.post(
    _INVITED + "/membership",
    summary="Take an invitation up as oneself",
    description="For somebody who is logged in with the address that was invited.",
    responses={200: {"model": Accepted}, **problems(409, 422)},
    openapi_extra=body_of(Acceptance, "partner", "invitation"),
)
async def join(request: Request) -> Response:
    """Takes an invitation up as whoever is logged in."""
    vault = vault_of(request)
    caller = await vault.gate.caller(request, Call.JOIN, str(request.path_params["partner"]))
    try:
        given = parse(Acceptance, await request.body())
    except Problem as problem:
        raise await vault.gate.refused(caller, problem) from None
    return answer(await vault.members.invitations.join(caller, str(request.path_params["invitation"]), given))
