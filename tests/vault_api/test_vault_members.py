"""Members of a partner: who may change what, what the trail then says, and invitations, which are good once."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import pytest
from vault_world import VaultProcess, World, audit_url

from vault_api.members.code import code_hash, new_code, read_code

ADMIN, ANALYST = "partner-admin", "partner-analyst"


@pytest.fixture
def admin(world: World, partner: str) -> dict[str, str]:
    """The partner's administrator, who is in Keycloak's book too."""
    world.realm.book.add(partner, f"{partner}@example.test", ADMIN, account=f"sub-{partner}")
    return world.realm.bearer(partner, role=ADMIN)


@pytest.fixture
def member(world: World, partner: str) -> str:
    """Somebody else who belongs to the partner."""
    return world.realm.book.add(partner, f"kim.{partner}@example.test", ANALYST)


@pytest.fixture
def stubborn(world: World) -> Iterator[Callable[[int, str], None]]:
    """Let Keycloak refuse every change."""

    def refuse(status: int, code: str) -> None:
        world.realm.book.refuses = (status, code)

    yield refuse
    world.realm.book.refuses = None


def members_url(partner: str, *more: str) -> str:
    return "/".join((f"/v1/partners/{partner}/members", *more))


def invitations_url(partner: str) -> str:
    return f"/v1/partners/{partner}/invitations"


def invite(
    vault: VaultProcess, partner: str, bearer: dict[str, str], email: str, role: str = ANALYST
) -> dict[str, Any]:
    answer = vault.http.post(invitations_url(partner), headers=bearer, json={"email": email, "role": role})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def accept(vault: VaultProcess, partner: str, invitation: str, code: str) -> httpx.Response:
    body = {"code": code, "first_name": "New", "last_name": "Person"}
    return vault.http.post(f"/v1/invitations/{partner}/{invitation}/acceptance", json=body)


def told(vault: VaultProcess, world: World, partner: str) -> list[tuple[str, str, str | None, str | None]]:
    """What the trail says of members and invitations: event, outcome, actor, reason."""
    events = vault.http.get(audit_url(partner), headers=world.realm.bearer(partner)).json()["events"]
    lines = [json.loads(one) if isinstance(one, str) else one for one in events]
    return [
        (one["event"], one["outcome"], one["actor"], one["reason"])
        for one in lines
        if one["event"].startswith(("member.", "invitation.")) and one["event"] != "member.list"
    ]


def test_an_administrator_gives_lends_and_takes_and_the_trail_says_who_did(
    vault: VaultProcess, world: World, partner: str, admin: dict[str, str], member: str
) -> None:
    until = (datetime.now(UTC) + timedelta(days=3)).isoformat(timespec="seconds")
    trader = members_url(partner, member, "roles", "partner-trader")
    assert vault.http.put(trader, headers=admin, json={"until": until}).status_code == 204
    listed = vault.http.get(members_url(partner), headers=admin).json()
    shown = next(one for one in listed["members"] if one["account"] == member)
    lent = next(one for one in shown["roles"] if one["role"] == "partner-trader")
    assert (datetime.fromisoformat(lent["until"]), lent["ended"]) == (datetime.fromisoformat(until), False)
    assert lent["given_by"] == f"{partner}@example.test"
    assert listed["may_manage"]
    assert listed["you"] == f"sub-{partner}"

    assert vault.http.delete(trader, headers=admin).status_code == 204
    assert vault.http.delete(members_url(partner, member), headers=admin).status_code == 204
    assert member not in world.realm.book.held[partner]
    by = f"{partner}@example.test"
    assert told(vault, world, partner) == [
        ("member.give", "success", by, None),
        ("member.take", "success", by, None),
        ("member.remove", "success", by, None),
    ]


def test_members_see_each_other_and_only_an_administrator_sees_who_is_invited_or_changes_anything(
    vault: VaultProcess, world: World, partner: str, admin: dict[str, str], member: str
) -> None:
    invite(vault, partner, admin, f"new.{partner}@example.test")
    analyst = world.realm.bearer(partner, role=ANALYST, sub=member, email=f"kim.{partner}@example.test")
    seen = vault.http.get(members_url(partner), headers=analyst).json()
    assert len(seen["members"]) == 2
    assert (seen["may_manage"], seen["invitations"]) == (False, [])
    for method, url, body in (
        ("PUT", members_url(partner, member, "roles", ADMIN), {}),
        ("DELETE", members_url(partner, f"sub-{partner}", "roles", ADMIN), None),
        ("DELETE", members_url(partner, f"sub-{partner}"), None),
        ("POST", invitations_url(partner), {"email": "a@example.test", "role": ADMIN}),
        ("POST", f"/v1/onboarding/{partner}/invitations", {"email": "a@example.test", "role": ADMIN}),
        ("GET", "/v1/onboarding", None),
    ):
        assert vault.http.request(method, url, headers=analyst, json=body).status_code == 403, url


def test_a_partners_members_are_nobodys_elses(
    vault: VaultProcess, world: World, partner: str, other_partner: str, admin: dict[str, str], member: str
) -> None:
    stranger = world.realm.bearer(other_partner, role=ADMIN)
    made = invite(vault, partner, admin, f"new.{partner}@example.test")
    for method, url, body in (
        ("GET", members_url(partner), None),
        ("PUT", members_url(partner, member, "roles", ADMIN), {}),
        ("DELETE", members_url(partner, member), None),
        ("POST", invitations_url(partner), {"email": "a@example.test", "role": ADMIN}),
        ("DELETE", f"{invitations_url(partner)}/{made['invitation']}", None),
        # Neither by a foreign account or a foreign invitation at one's own partner.
        ("PUT", members_url(other_partner, member, "roles", ADMIN), {}),
        ("DELETE", members_url(other_partner, member), None),
        ("DELETE", f"{invitations_url(other_partner)}/{made['invitation']}", None),
    ):
        assert vault.http.request(method, url, headers=stranger, json=body).status_code == 404, url
    assert accept(vault, other_partner, made["invitation"], made["code"]).status_code == 404
    assert world.realm.book.held[partner][member] == {ANALYST: None}


def test_a_change_of_members_needs_a_fresh_login(
    vault: VaultProcess, world: World, partner: str, admin: dict[str, str], member: str
) -> None:
    stale = world.realm.bearer(partner, role=ADMIN, auth_time=int(time.time()) - 900)
    answer = vault.http.put(members_url(partner, member, "roles", "partner-trader"), headers=stale, json={})
    assert answer.status_code == 401
    assert "insufficient_user_authentication" in answer.headers["www-authenticate"]
    # The page may lead there, so it is said that they may.
    assert vault.http.get(members_url(partner), headers=stale).json()["may_manage"] is True


def test_nobody_changes_their_own_roles_nor_invites_themselves(
    vault: VaultProcess, world: World, partner: str, admin: dict[str, str]
) -> None:
    me = f"sub-{partner}"
    for method, url, body in (
        ("PUT", members_url(partner, me, "roles", ADMIN), {"until": None}),
        ("DELETE", members_url(partner, me, "roles", ADMIN), None),
        ("DELETE", members_url(partner, me), None),
        ("POST", invitations_url(partner), {"email": f"{partner.upper()}@example.test", "role": ADMIN}),
    ):
        answer = vault.http.request(method, url, headers=admin, json=body)
        assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (409, "own-role"), url
    assert {line[1:] for line in told(vault, world, partner)} == {("denied", f"{partner}@example.test", "own_role")}


def test_a_deputy_gives_nothing_that_outlasts_them(
    vault: VaultProcess, world: World, partner: str, admin: dict[str, str], member: str
) -> None:
    end = int(time.time()) + 3600
    groups = [f"/{ADMIN}/until-{end}"]
    deputy = world.realm.bearer(
        partner, sub="sub-deputy", email="deputy@other.test",
        organization={partner: {"id": world.realm.ids[partner], "groups": groups}},
    )  # fmt: skip
    behind = datetime.fromtimestamp(end + 1, UTC).isoformat()
    for until in (None, behind):
        given = vault.http.put(members_url(partner, member, "roles", ADMIN), headers=deputy, json={"until": until})
        asked = vault.http.post(
            invitations_url(partner), headers=deputy, json={"email": "a@example.test", "role": ADMIN, "until": until}
        )
        for answer in (given, asked):
            assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (422, "longer-than-own")
    within = datetime.fromtimestamp(end, UTC).isoformat()
    given = vault.http.put(members_url(partner, member, "roles", ADMIN), headers=deputy, json={"until": within})
    assert given.status_code == 204
    # Nor do they oust whom they stand in for.
    boss = f"sub-{partner}"
    for method, path, body in (
        ("PUT", (boss, "roles", ADMIN), {"until": within}),
        ("DELETE", (boss, "roles", ADMIN), None),
        ("DELETE", (boss,), None),
    ):
        answer = vault.http.request(method, members_url(partner, *path), headers=deputy, json=body)
        assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (409, "outlasts-own")
    assert vault.http.delete(members_url(partner, member), headers=deputy).status_code == 204


def test_a_lent_role_is_over_at_its_second_though_token_and_keycloak_still_have_it(
    vault: VaultProcess, world: World, partner: str
) -> None:
    end = int(time.time()) + 2
    organization = {partner: {"id": world.realm.ids[partner], "groups": [f"/{ANALYST}/until-{end}"]}}
    lent = world.realm.bearer(partner, organization=organization)
    url = f"/v1/partners/{partner}/connections"
    assert vault.http.get(url, headers=lent).status_code == 200
    time.sleep(max(0.0, end - time.time()))
    answer = vault.http.get(url, headers=lent)
    assert answer.status_code == 403
    reasons = [line for line in _denials(vault, world, partner) if line[0] == "connection.list"]
    assert reasons == [("connection.list", "partner_role_ended")]


def test_what_keycloak_refuses_is_said_and_stands_in_the_trail_as_not_done(
    vault: VaultProcess, world: World, partner: str, admin: dict[str, str], member: str,
    stubborn: Callable[[int, str], None],
) -> None:  # fmt: skip
    stubborn(409, "last_administrator")
    answer = vault.http.delete(members_url(partner, member, "roles", ANALYST), headers=admin)
    assert (answer.status_code, answer.json()["title"]) == (409, "Somebody has to administer the partner")
    stubborn(500, "broken")
    assert vault.http.delete(members_url(partner, member), headers=admin).status_code == 503
    assert [line[0:2] + line[3:] for line in told(vault, world, partner)] == [
        ("member.take", "success", None),
        ("member.take", "failure", "last_administrator"),
        ("member.remove", "success", None),
        ("member.remove", "failure", "directory_unavailable"),
    ]


def test_an_invitation_makes_one_account_once_with_the_code_as_its_first_password(
    vault: VaultProcess, world: World, partner: str, admin: dict[str, str]
) -> None:
    email = f"new.{partner}@example.test"
    made = invite(vault, partner, admin, email.upper(), ADMIN)
    again = vault.http.post(invitations_url(partner), headers=admin, json={"email": email, "role": ADMIN})
    assert again.json()["type"].rpartition(":")[2] == "already-invited"
    listed = vault.http.get(members_url(partner), headers=admin).json()["invitations"]
    assert [(one["email"], one["state"]) for one in listed] == [(email, "open")]
    assert made["code"] not in json.dumps(listed)

    typed = made["code"].lower().replace("-", " ")
    answer = accept(vault, partner, made["invitation"], typed)
    assert (answer.status_code, answer.json()["email"], answer.json()["role"]) == (201, email, ADMIN)
    book = world.realm.book
    account = next(one for one, address in book.accounts.items() if address == email)
    assert book.passwords[account] == made["code"]
    assert book.held[partner][account] == {ADMIN: None}
    assert accept(vault, partner, made["invitation"], made["code"]).status_code == 404
    after = vault.http.get(members_url(partner), headers=admin).json()
    assert after["invitations"] == []
    role = next(one for one in after["members"] if one["account"] == account)["roles"][0]
    assert role["given_by"] == f"{partner}@example.test"
    assert [line[:2] for line in told(vault, world, partner)] == [
        ("invitation.make", "success"),
        ("invitation.make", "denied"),
        ("invitation.accept", "success"),
        ("member.give", "success"),
    ]
    assert made["code"] not in vault.logged()


def test_of_many_who_take_one_invitation_up_at_once_one_gets_it(
    vault: VaultProcess, world: World, partner: str, admin: dict[str, str]
) -> None:
    made = invite(vault, partner, admin, f"new.{partner}@example.test")
    body = {"code": made["code"], "first_name": "New", "last_name": "Person"}

    async def all_at_once() -> list[int]:
        async with httpx.AsyncClient(base_url=vault.url, timeout=30) as http:
            url = f"/v1/invitations/{partner}/{made['invitation']}/acceptance"
            answers = await asyncio.gather(*(http.post(url, json=body) for _ in range(8)))
        return sorted(answer.status_code for answer in answers)

    assert asyncio.run(all_at_once()) == [201, *[404] * 7]
    assert len([one for one in world.realm.book.held[partner] if one in world.realm.book.passwords]) == 1


def test_ten_wrong_codes_lock_an_invitation_and_the_right_one_opens_it_no_more(
    vault: VaultProcess, world: World, partner: str, admin: dict[str, str]
) -> None:
    made = invite(vault, partner, admin, f"new.{partner}@example.test")
    bodies = {accept(vault, partner, made["invitation"], new_code()).text for _ in range(10)}
    right = accept(vault, partner, made["invitation"], made["code"])
    unknown = accept(vault, partner, "0" * 16, made["code"])
    assert right.status_code == unknown.status_code == 404
    # Whoever guesses is told one thing, whatever it is.
    same = {json.dumps({k: v for k, v in json.loads(body).items() if k != "trace_id"}) for body in bodies}
    same |= {json.dumps({k: v for k, v in answer.json().items() if k != "trace_id"}) for answer in (right, unknown)}
    assert len(same) == 1
    listed = vault.http.get(members_url(partner), headers=admin).json()["invitations"]
    assert [one["state"] for one in listed] == ["locked"]
    assert vault.http.delete(
        f"{invitations_url(partner)}/{made['invitation']}", headers=admin
    ).status_code == 204  # fmt: skip


def test_an_account_that_exists_is_not_taken_over_by_a_code(
    vault: VaultProcess, world: World, partner: str, admin: dict[str, str]
) -> None:
    email, account = f"old.{partner}@example.test", f"sub-old-{partner}"
    world.realm.book.accounts[account] = email
    made = invite(vault, partner, admin, email)
    answer = accept(vault, partner, made["invitation"], made["code"])
    assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (409, "account-exists")
    assert account not in world.realm.book.passwords

    joining = f"/v1/invitations/{partner}/{made['invitation']}/membership"
    eve = world.realm.bearer(None, sub="sub-eve", email="eve@example.test")
    assert vault.http.post(joining, headers=eve, json={"code": made["code"]}).status_code == 404
    owner = world.realm.bearer(None, sub=account, email=email)
    assert vault.http.post(joining, headers=owner, json={"code": new_code()}).status_code == 404
    assert vault.http.post(joining, headers=owner, json={"code": made["code"]}).status_code == 200
    assert world.realm.book.held[partner][account] == {ANALYST: None}
    assert vault.http.post(joining, headers=owner, json={"code": made["code"]}).status_code == 404


async def test_an_invitation_ends_by_itself(
    vault: VaultProcess, world: World, partner: str, admin: dict[str, str], superuser: asyncpg.Connection
) -> None:
    made = invite(vault, partner, admin, f"new.{partner}@example.test")
    await superuser.execute(
        "UPDATE vault.invitation SET expires_at = clock_timestamp() WHERE invitation = $1", made["invitation"]
    )
    assert accept(vault, partner, made["invitation"], made["code"]).status_code == 404
    listed = vault.http.get(members_url(partner), headers=admin).json()["invitations"]
    assert [one["state"] for one in listed] == ["expired"]
    # It stands in nobody's way.
    invite(vault, partner, admin, f"new.{partner}@example.test")


def test_a_withdrawn_invitation_is_good_for_nothing(
    vault: VaultProcess, world: World, partner: str, admin: dict[str, str]
) -> None:
    made = invite(vault, partner, admin, f"new.{partner}@example.test")
    url = f"{invitations_url(partner)}/{made['invitation']}"
    assert vault.http.delete(url, headers=admin).status_code == 204
    assert vault.http.delete(url, headers=admin).status_code == 404
    assert accept(vault, partner, made["invitation"], made["code"]).status_code == 404


def test_staff_invite_a_partners_first_administrator_and_the_partner_can_read_it(
    vault: VaultProcess, world: World, partner: str
) -> None:
    staff = world.realm.bearer(None, sub="sub-root", email="root@example.test", groups=["super_admin"])
    email = f"first.{partner}@example.test"
    url = f"/v1/onboarding/{partner}/invitations"
    made = vault.http.post(url, headers=staff, json={"email": email, "role": ADMIN}).json()
    assert accept(vault, partner, made["invitation"], made["code"]).status_code == 201
    assert [line[:3] for line in told(vault, world, partner)] == [
        ("invitation.make", "success", "root@example.test"),
        ("invitation.accept", "success", None),
        ("member.give", "success", "root@example.test"),
    ]
    # Staff bring partners in; what they hold gives them no say in who is a member.
    assert vault.http.put(members_url(partner, "x", "roles", ADMIN), headers=staff, json={}).status_code in (403, 404)
    missing = vault.http.post("/v1/onboarding/no-such/invitations", headers=staff, json={"email": email, "role": ADMIN})
    assert missing.status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {"email": "no address", "role": ADMIN},
        {"email": "\u0430dmin@example.test", "role": ADMIN},
        {"email": "a@example.test", "role": "partner-king"},
        {"email": "a@example.test", "role": ADMIN, "until": "2020-01-01T00:00:00Z"},
        {"email": "a@example.test", "role": ADMIN, "until": "2027-01-01T00:00:00"},
        {"email": "a@example.test", "role": ADMIN, "more": 1},
        {"role": ADMIN},
    ],
    ids=["no address", "a Cyrillic a", "no such role", "in the past", "without a zone", "a field too many", "nobody"],
)
def test_an_invitation_that_means_nothing_is_refused_and_repeats_nothing(
    vault: VaultProcess, partner: str, admin: dict[str, str], body: dict[str, Any]
) -> None:
    answer = vault.http.post(invitations_url(partner), headers=admin, json=body)
    assert answer.status_code == 422, answer.text
    assert all(str(value) not in answer.text for name, value in body.items() if name in ("email", "until"))


def test_a_code_is_read_as_people_type_it_and_is_good_for_its_invitation_alone() -> None:
    code = new_code()
    assert read_code(code.lower().replace("-", "")) == read_code(f"  {code} ") == code
    assert read_code("oil0-OIL0-0000-0000") == "0110-0110-0000-0000"
    assert [read_code(text) for text in ("", code[:-1], code + "A", "U" * 16, "é" * 16)] == [None] * 5
    hashes = {code_hash(*place, code) for place in (("a", "b"), ("a", "c"), ("b", "b"))}
    assert len(hashes) == 3


def _denials(vault: VaultProcess, world: World, partner: str) -> list[tuple[str, str]]:
    events = vault.http.get(audit_url(partner), headers=world.realm.bearer(partner)).json()["events"]
    lines = [json.loads(one) if isinstance(one, str) else one for one in events]
    return [(one["event"], one["reason"]) for one in lines if one["outcome"] == "denied"]
