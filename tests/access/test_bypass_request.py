"""Asking for an emergency code: who agrees, what is refused, and what reaches the reconciler."""

from __future__ import annotations

from typing import Any

import pytest
from access_world import World, in_hours

from admin_sync.access.settings import DatabaseSettings
from admin_sync.access.store.handover import Handover
from admin_sync.access.verified import problems
from admin_sync.bypass.carried import comment, handed_half, marked, own_half
from admin_sync.bypass.code import Verifier

OWN = Verifier(salt="0" * 32, hash="a" * 64)
HANDED = Verifier(salt="1" * 32, hash="b" * 64)


async def asked(world: World, who: str = "mlops.one", **changes: Any) -> Any:
    wish = {"kind": "mfa_bypass", "payload": {"half": OWN.model_dump()}, "expires": in_hours(1), **changes}
    return await world.ask(who, **wish)


def reasons(problem: dict[str, Any]) -> set[str]:
    return {one["code"] for one in problem["reasons"]}


async def test_security_and_an_owner_agree_and_the_reconciler_gets_a_half_from_each_side(access_world: World) -> None:
    world = access_world
    request = await asked(world)
    assert {one["capacity"] for one in request["waiting_for"]} == {"security", "system_owner"}
    owners = next(one["who"] for one in request["waiting_for"] if one["capacity"] == "system_owner")
    assert request["gains"] == []
    # An owner who sends a half as well has no part in the code.
    forged = comment(None, Verifier(salt="2" * 32, hash="c" * 64))
    first = await world.approve(owners[0], request, comment=forged, **{"as": "system_owner"})
    assert (first.status_code, first.json()["state"]) == (201, "open")
    second = await world.approve("security.one", request, comment=comment("Called her.", HANDED), **{"as": "security"})
    assert (second.status_code, second.json()["state"]) == (201, "approved")
    hand = await Handover.open(DatabaseSettings.model_validate(world.reconciler_settings), node="test")
    try:
        (due,) = await hand.due("mfa_bypass")
        known = await world.access.desk.configured.known()
        assert problems(known.document, known.roster, due, (), await hand.now()) == []
        assert (own_half(due), handed_half(due)) == (OWN, HANDED)
    finally:
        await hand.close()


async def test_security_agrees_with_a_half_or_not_at_all(access_world: World) -> None:
    request = await asked(access_world)
    refused = await access_world.approve("security.one", request, comment="Fine.", **{"as": "security"})
    assert (refused.status_code, reasons(refused.json())) == (422, {"no-half"})
    assert (await access_world.read("mlops.one", request)).json()["approvals"] == []


async def test_a_session_of_an_emergency_code_approves_no_other(access_world: World) -> None:
    request = await asked(access_world)
    # What such a token says; see tests/realm/test_bypass_login.py.
    weak = {"auth_time": 0, "acr": "aal2", "assurance_level": "aal2", "amr": ["pwd", "mfa_bypass"]}
    headers = access_world.auth("security.one", **weak)
    reply = await access_world.approve("security.one", request, headers=headers, comment=comment(None, HANDED))
    assert reply.status_code == 401
    assert "insufficient_user_authentication" in reply.headers["WWW-Authenticate"]


async def test_a_password_alone_may_ask(access_world: World) -> None:
    weak = access_world.auth("mlops.one", acr="aal1", assurance_level="aal1", amr=["pwd"])
    request = await asked(access_world, headers=weak)
    assert request["state"] == "open"


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"expires": in_hours(5)}, "too-long"),
    ({"expires": in_hours(-1)}, "end-before-start"),
    ({"starts": in_hours(2), "expires": in_hours(1)}, "end-before-start"),
    ({"environments": ["dev", "staging"]}, "one-environment"),
    ({"payload": {}}, "payload"),
    ({"payload": {"half": {"salt": "0" * 32, "hash": "short"}}}, "payload"),
    ({"payload": {"half": OWN.model_dump(), "more": 1}}, "payload"),
]


async def test_what_is_no_such_request_is_refused(access_world: World) -> None:
    for changes, code in REFUSED:
        assert code in reasons(await asked(access_world, expect=422, **changes)), changes


async def test_nobody_agrees_to_their_own_code(access_world: World) -> None:
    request = await asked(access_world, "security.one")
    reply = await access_world.approve("security.one", request, comment=comment(None, HANDED))
    assert reply.status_code == 403


@pytest.mark.parametrize(
    "said",
    [None, "", "handed-half=", f"x{comment(None, HANDED)}", comment(None, HANDED) + "\n", comment(None, HANDED) + " x"],
)
def test_only_a_whole_half_at_the_end_of_a_comment_is_one(said: str | None) -> None:
    assert marked(said) is None


def test_a_half_is_carried_beside_what_was_said() -> None:
    assert marked(comment("Called her; she is who she says.", HANDED)) == HANDED
    assert marked(comment(None, HANDED)) == HANDED
