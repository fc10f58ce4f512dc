"""Requests from the first word to the last, over HTTP, on real PostgreSQL and OPA."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from access_world import World, at, in_hours, wish

from admin_sync.access.settings import DatabaseSettings
from admin_sync.access.store.handover import Handover
from admin_sync.access.verified import problems
from identity.audit.chain import GENESIS, link


def codes(problem: dict[str, Any]) -> set[str]:
    return {one["code"] for one in problem["reasons"]}


async def handover(world: World) -> Handover:
    return await Handover.open(DatabaseSettings.model_validate(world.reconciler_settings), node="test")


async def test_a_manager_and_the_owners_make_a_request_approved_and_the_reconciler_is_given_it(
    access_world: World,
) -> None:
    world = access_world
    asked = await world.ask("mlops.one", payload={"role": "sre"}, environments=["dev"])
    assert [(one["capacity"], one["who"]) for one in asked["waiting_for"]] == [
        ("manager", [at("manager.one")]),
        ("system_owner", [at("owner.one")]),
        ("security", [at("security.one"), at("security.two")]),
    ]
    assert {one["permission"] for one in asked["gains"]} == {"deployment:rollout", "system:configure", "audit:view"}
    for who in ("manager.one", "owner.one"):
        reply = await world.approve(who, asked)
        assert (reply.status_code, reply.json()["state"]) == (201, "open")
    done = (await world.approve("security.two", asked, comment="Checked the rota.")).json()
    assert done["state"] == "approved"
    assert [(one["by"], one["as"]) for one in done["approvals"]] == [
        (at("manager.one"), "manager"),
        (at("owner.one"), "system_owner"),
        (at("security.two"), "security"),
    ]
    hand = await handover(world)
    (due,) = await hand.due("grant")
    known = await world.access.desk.configured.known()
    assert problems(known.document, known.roster, due, (), await hand.now()) == []
    assert await hand.take(due.request.number) is not None
    refused = await world.http.post(
        f"/access/v1/requests/{asked['id']}/cancellation", json={}, headers=world.auth("mlops.one")
    )
    assert refused.status_code == 409, "what the reconciler has is not taken back half-way"
    assert await hand.fulfilled(due.request.number, {"commit": "abc"})
    assert (await world.read("mlops.one", asked)).json()["result"] == {"commit": "abc"}
    await hand.close()


@pytest.mark.parametrize(
    ("who", "changes", "code"),
    [
        ("quant.one", {}, "own-request"),
        ("QUANT.ONE@tradepulse.example", {}, "own-request"),
        ("quant.one+second@tradepulse.example", {}, "own-request"),
        ("quant@partner.example", {"sub": "another-account"}, "own-request"),
    ],
)
async def test_nobody_approves_their_own_request_in_any_guise(
    access_world: World, who: str, changes: dict[str, Any], code: str
) -> None:
    asked = await access_world.ask("quant.one")
    reply = await access_world.approve(who, asked, headers=access_world.auth(who, **changes))
    assert reply.status_code == 403
    assert reply.json()["type"].endswith(code)


async def test_whoever_asks_for_another_does_not_approve_that_even_as_their_manager(access_world: World) -> None:
    world = access_world
    asked = await world.ask("manager.one", subject=at("platform.one"), payload={"role": "mlops"})
    assert asked["waiting_for"][0]["who"] == [at("chief")], "the next one above speaks instead"
    reply = await world.approve("manager.one", asked)
    assert reply.status_code == 403
    # The same account under another address is the same account.
    stranger = world.auth("owner.one", sub=_account(world, "manager.one"))
    assert (await world.approve("owner.one", asked, headers=stranger)).status_code == 403


def _account(world: World, who: str) -> str:
    payload = world.realm.token(at(who)).split(".")[1]
    import base64  # noqa: PLC0415

    return str(json.loads(base64.urlsafe_b64decode(payload + "=="))["sub"])


async def test_an_approval_is_not_replayed_and_counts_for_one_text_only(access_world: World) -> None:
    world = access_world
    first = await world.ask("mlops.one", payload={"role": "quant"})
    second = await world.ask("mlops.one", payload={"role": "quant"}, environments=["staging"])
    assert (await world.approve("manager.one", first)).status_code == 201
    again = await world.approve("manager.one", first)
    assert again.json()["type"].endswith("already-spoken")
    other_text = await world.approve("manager.one", {**second, "hash": first["hash"]})
    assert other_text.status_code == 409
    assert other_text.json()["type"].endswith("another-request")
    assert (await world.read("mlops.one", second)).json()["approvals"] == []


async def test_a_request_whose_text_was_changed_in_the_database_is_approved_by_nobody(access_world: World) -> None:
    world = access_world
    asked = await world.ask("mlops.one")
    changed = json.dumps({"form": 1, "id": asked["id"], "kind": "grant"})
    with pytest.raises(Exception, match="permission denied"):
        await world.sql("UPDATE access.request SET content = $1", changed, dsn=world.app_dsn)
    with pytest.raises(Exception, match="never changes"):
        await world.sql(
            "UPDATE access.request SET content = $1, hash = encode(sha256(convert_to($1::text, 'UTF8')), 'hex')",
            changed,
        )


@pytest.mark.parametrize("end", ["denied", "cancelled", "expired"])
async def test_what_has_ended_is_approved_by_nobody(access_world: World, end: str) -> None:
    world = access_world
    asked = await world.ask("mlops.one")
    if end == "denied":
        path = f"/access/v1/requests/{asked['id']}/denials"
        body = {"comment": "Not for this release."}
        assert (await world.http.post(path, json=body, headers=world.auth("owner.one"))).status_code == 201
    elif end == "cancelled":
        path = f"/access/v1/requests/{asked['id']}/cancellation"
        assert (await world.http.post(path, json={}, headers=world.auth("mlops.one"))).status_code == 200
    else:
        await _time_passes(world)
    reply = await world.approve("manager.one", asked)
    assert reply.status_code == 409
    assert reply.json()["state"] == end
    assert (await world.read("mlops.one", asked)).json()["state"] == end


async def _time_passes(world: World) -> None:
    """The trail says that it is next year; from then on it is, whatever the clock says."""
    await world.sql(
        "INSERT INTO access.audit (seq, recorded_at, event, outcome, hash, line) SELECT max(seq) + 1,"
        " now() + interval '1 year', 'test', 'success', max(hash), '{}' FROM access.audit"
    )


async def test_a_clock_that_is_set_back_brings_nothing_back(access_world: World) -> None:
    world = access_world
    asked = await world.ask("mlops.one")
    await _time_passes(world)
    # PostgreSQL's clock is a year behind what the trail has seen: the request is over all the same.
    assert (await world.approve("manager.one", asked)).json()["state"] == "expired"
    late = await world.ask("mlops.one", expect=422, expires=in_hours(5))
    assert "end-before-start" in codes(late)


async def test_two_last_approvers_at_once_make_one_outcome(access_world: World) -> None:
    world = access_world
    asked = await world.ask("mlops.one", payload={"role": "sre"})
    for who in ("manager.one", "owner.one"):
        assert (await world.approve(who, asked)).status_code == 201
    headers = [world.auth(who) for who in ("security.one", "security.two") for _ in range(6)]
    replies = await asyncio.gather(*(world.approve("security.one", asked, headers=one) for one in headers))
    assert sorted(one.status_code for one in replies) == [201, *[409] * 11]
    final = (await world.read("mlops.one", asked)).json()
    assert (final["state"], len(final["approvals"])) == ("approved", 3)


async def test_a_yes_and_a_no_and_a_withdrawal_at_once_leave_one_end(access_world: World) -> None:
    world = access_world
    for _ in range(4):
        asked = await world.ask("mlops.one")
        assert (await world.approve("manager.one", asked)).status_code == 201
        path = f"/access/v1/requests/{asked['id']}"
        replies = await asyncio.gather(
            world.approve("owner.one", asked),
            world.http.post(
                f"{path}/denials", json={"comment": "Not for this one."}, headers=world.auth("manager.one")
            ),
            world.http.post(f"{path}/cancellation", json={}, headers=world.auth("mlops.one")),
        )
        final = (await world.read("mlops.one", asked)).json()["state"]
        approved, denied, cancelled = (one.is_success for one in replies)
        # An approved request can be taken back, so those two may both have been told yes; a no is the end.
        assert (approved, denied, cancelled).count(True) == 1 or (approved and cancelled and not denied)
        assert final == ("cancelled" if cancelled else "denied" if denied else "approved")
        moves = await world.sql("SELECT event FROM access.audit WHERE number = $1", int(asked["id"][4:]))
        ends = [one["event"] for one in moves if one["event"].split(".")[1] in ("approved", "denied", "cancelled")]
        assert len(ends) == (approved + denied + cancelled)
        if final == "approved":
            await world.http.post(f"{path}/cancellation", json={}, headers=world.auth("mlops.one"))


async def test_conflicting_roles_asked_for_in_parallel_are_refused_but_for_one(access_world: World) -> None:
    world = access_world
    bodies = [{"role": "quant"}, {"role": "trader"}, {"group": "research"}, {"group": "trading/night-desk"}] * 3
    headers = world.auth("newcomer"), world.auth("new.account", sub="second-account")
    replies = await asyncio.gather(
        *(
            world.http.post(
                "/access/v1/requests",
                json={
                    "kind": "grant",
                    "payload": body,
                    "environments": ["dev"],
                    "justification": "Needed for the release of this week.",
                    "expires": in_hours(4),
                },
                headers=headers[number % 2],
            )
            for number, body in enumerate(bodies)
        )
    )
    made = [one.json()["payload"] for one in replies if one.status_code == 201]
    sides = {"quant" if one in ({"role": "quant"}, {"group": "research"}) else "trader" for one in made}
    assert made, replies[0].text
    assert len(sides) == 1, made
    refused = [one.json() for one in replies if one.status_code != 201]
    assert any("segregation-of-duties" in codes(one) for one in refused)


async def test_duties_stay_apart_from_what_a_person_holds_by_any_way(access_world: World) -> None:
    world = access_world
    # By a group that bindings give them.
    refused = await world.ask("quant.one", expect=409, payload={"group": "trading"})
    assert codes(refused) == {"segregation-of-duties"}
    # By another address of theirs.
    refused = await world.ask("quant@partner.example", expect=409, payload={"role": "trader"})
    assert codes(refused) == {"segregation-of-duties"}
    # By a mapping of an identity provider, of which only their token tells.
    mapped = world.auth("newcomer", groups=["viewer", "quant"])
    refused = await world.ask("newcomer", expect=409, payload={"role": "trader"}, headers=mapped)
    assert codes(refused) == {"segregation-of-duties"}


async def test_a_login_of_dev_has_no_say_about_what_denies_roles_from_dev(access_world: World) -> None:
    world = access_world
    prod = {"payload": {"role": "viewer"}, "environments": ["prod"]}
    refused = await world.ask("newcomer", expect=422, **prod)
    assert codes(refused) == {"another-realm"}
    shown = await world.http.post("/access/v1/requests/preview", json=wish(**prod), headers=world.auth("newcomer"))
    assert [one["code"] for one in shown.json()["refusals"]] == ["another-realm"]
    # One that was made when the policy still allowed it, or through the service of another realm.
    policies = world.config / "policies.yaml"
    strict = policies.read_text()
    policies.write_text(strict.replace("deny_roles_from: [dev, staging]", "deny_roles_from: [staging]"))
    asked = await world.ask("newcomer", **prod)
    assert (await world.approve("manager.one", asked)).status_code == 201
    policies.write_text(strict)
    for path, body in (("approvals", {"hash": asked["hash"]}), ("denials", {"comment": "Not from here, not now."})):
        reply = await world.http.post(
            f"/access/v1/requests/{asked['id']}/{path}", json=body, headers=world.auth("owner.one")
        )
        assert (reply.status_code, codes(reply.json())) == (422, {"another-realm"})
    seen = (await world.read("owner.one", asked)).json()
    assert (seen["state"], seen["may_decide"]) == ("open", False)


async def test_an_exception_takes_a_risk_approval_and_ends_within_seven_days(access_world: World) -> None:
    world = access_world
    body = {"kind": "exception", "payload": {"role": "trader", "rules": ["build-or-run"]}, "environments": ["dev"]}
    refused = await world.ask("quant.one", expect=409, expires=in_hours(8 * 24), **body)
    assert codes(refused) == {"too-long", "too-far", "segregation-of-duties"}
    asked = await world.ask("quant.one", expires=in_hours(6 * 24), **body)
    assert [one["capacity"] for one in asked["waiting_for"]] == ["manager", "system_owner", "risk"]
    for who in ("manager.one", "owner.one", "security.one"):
        reply = await world.approve(who, asked)
        assert reply.status_code == 201, reply.text
    assert reply.json()["state"] == "approved"
    named = await world.ask("quant.one", expect=422, **{**body, "payload": {"role": "trader", "rules": ["no-such"]}})
    assert codes(named) == {"unknown-rule"}


async def test_a_decision_takes_a_fresh_and_strong_login(access_world: World) -> None:
    world = access_world
    asked = await world.ask("mlops.one")
    now = int(__import__("time").time())
    for changes in (
        {"auth_time": now - 301},
        {"auth_time": now + 3600},
        {"assurance_level": "aal1", "acr": "aal1"},
    ):
        reply = await world.approve("manager.one", asked, headers=world.auth("manager.one", **changes))
        assert reply.status_code == 401
        assert 'error="insufficient_user_authentication"' in reply.headers["www-authenticate"]
        assert 'max_age="300"' in reply.headers["www-authenticate"]
    assert (await world.read("mlops.one", asked)).json()["approvals"] == []


async def test_a_request_of_somebody_else_looks_like_one_that_is_not_there(access_world: World) -> None:
    world = access_world
    asked = await world.ask("mlops.one")
    missing = await world.read("trader.one", {"id": "REQ-999999"})
    hidden = await world.read("trader.one", asked)
    told = [{**one.json(), "trace_id": None} for one in (missing, hidden)]
    assert (missing.status_code, hidden.status_code) == (404, 404)
    assert told[0] == told[1]
    for path, body in (("approvals", {"hash": asked["hash"]}), ("denials", {"comment": "No, not this time."})):
        reply = await world.http.post(
            f"/access/v1/requests/{asked['id']}/{path}", json=body, headers=world.auth("trader.one")
        )
        assert {**reply.json(), "trace_id": None} == told[0]


async def test_a_request_that_nobody_could_approve_is_refused_at_once(access_world: World) -> None:
    refused = await access_world.ask("stranger@elsewhere.example", expect=422)
    assert "no-approver" in codes(refused)


async def test_only_leaders_and_who_assigns_roles_ask_for_others(access_world: World) -> None:
    world = access_world
    await world.ask("chief", subject=at("mlops.one"))
    await world.ask("security.one", subject=at("trader.one"), payload={"role": "mlops"})
    denied = await world.ask("trader.one", expect=403, subject=at("mlops.one"), payload={"role": "quant"})
    assert denied["type"].endswith("forbidden")


async def test_the_trail_is_one_chain_with_a_line_for_every_yes_and_every_no(access_world: World) -> None:
    world = access_world
    asked = await world.ask("mlops.one")
    await world.approve("mlops.one", asked)
    await world.approve("manager.one", asked)
    await world.approve("owner.one", asked)
    await world.access.shipper.stop()
    lines = [json.loads(line) for line in (world.audit / "iam_events.jsonl").read_text().splitlines()]
    prev = GENESIS
    for number, line in enumerate(lines, start=1):
        assert (line["seq"], line["hash"]) == (number, link(prev, line))
        prev = line["hash"]
    told = [(line["event"], line["outcome"], line["actor"]) for line in lines]
    assert told == [
        ("request.submitted", "success", at("mlops.one")),
        ("request.approve", "denied", at("mlops.one")),
        ("request.endorsed", "success", at("manager.one")),
        ("request.approved", "success", at("owner.one")),
    ]


async def test_a_configuration_that_is_not_valid_decides_nothing(access_world: World) -> None:
    world = access_world
    asked = await world.ask("mlops.one")
    whole = (world.config / "policies.yaml").read_text()
    (world.config / "policies.yaml").write_text(whole.replace("approvals: [manager", "approvals: [nobody", 1))
    reply = await world.approve("manager.one", asked)
    assert (reply.status_code, reply.json()["type"]) == (503, "urn:tradepulse:problem:not-configured")
    (world.config / "policies.yaml").write_text(whole)
    world.roster.write_text(world.roster.read_text().splitlines()[0] + "\n")
    assert (await world.approve("manager.one", asked)).status_code == 503


async def test_a_policy_that_became_stricter_holds_for_what_is_open(access_world: World) -> None:
    world = access_world
    asked = await world.ask("mlops.one")
    assert (await world.approve("manager.one", asked)).status_code == 201
    text = (world.config / "policies.yaml").read_text()
    (world.config / "policies.yaml").write_text(
        text.replace("approvals: [manager, system_owner], max", "approvals: [manager, system_owner, security], max")
    )
    assert (await world.approve("owner.one", asked)).json()["state"] == "open"
    assert (await world.approve("security.one", asked)).json()["state"] == "approved"


async def test_lists_show_what_waits_for_whom(access_world: World) -> None:
    world = access_world
    asked = await world.ask("mlops.one")

    async def listed(who: str, view: str, **more: Any) -> list[str]:
        reply = await world.http.get("/access/v1/requests", params={"view": view, **more}, headers=world.auth(who))
        assert reply.status_code == 200, reply.text
        return [one["id"] for one in reply.json()["requests"]]

    assert await listed("mlops.one", "mine") == [asked["id"]]
    assert await listed("trader.one", "mine") == []
    assert await listed("manager.one", "to_decide") == [asked["id"]]
    assert await listed("security.one", "to_decide") == []
    await world.approve("manager.one", asked)
    assert await listed("manager.one", "to_decide") == []
    assert await listed("owner.one", "to_decide", limit=1) == [asked["id"]]
    everything = await world.http.get("/access/v1/requests?view=all", headers=world.auth("mlops.one"))
    assert everything.status_code == 403


async def test_the_mean_time_to_decide_is_measured(access_world: World) -> None:
    world = access_world
    asked = await world.ask("mlops.one")
    await world.approve("manager.one", asked)
    await world.approve("owner.one", asked)
    text = (await world.http.get("/access/v1/metrics")).text
    assert 'access_decisions{kind="grant",outcome="approved"} 1.0' in text
    assert 'access_requests{kind="grant",state="approved"} 1.0' in text
    (mean,) = [line for line in text.splitlines() if line.startswith("access_decision_seconds_mean{")]
    assert 0 < float(mean.split()[-1]) < 60


async def test_another_half_or_another_rule_makes_no_other_request(access_world: World) -> None:
    world = access_world
    half = {"salt": "0" * 32, "hash": "0" * 64}
    bypass = {"kind": "mfa_bypass", "expires": in_hours(2)}
    first = await world.ask("quant.one", payload={"half": half}, **bypass)
    again = await world.ask("quant.one", expect=409, payload={"half": {**half, "salt": "1" * 32}}, **bypass)
    assert codes(again) == {"already-asked"}
    assert first["id"] in again["detail"]


async def test_nobody_has_more_than_so_many_requests_waiting(
    access_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = access_world
    monkeypatch.setattr("admin_sync.access.desk.MOST", 2)
    first = await world.ask("newcomer", payload={"role": "viewer"})
    await world.ask("new.account@tradepulse.example", payload={"role": "responder"})
    refused = await world.ask("newcomer", expect=409, payload={"role": "mlops"})
    assert refused["type"].endswith("too-many-requests-open")
    path = f"/access/v1/requests/{first['id']}/cancellation"
    assert (await world.http.post(path, json={}, headers=world.auth("newcomer"))).status_code == 200
    await world.ask("newcomer", payload={"role": "mlops"})


async def test_a_partners_people_learn_nothing_of_the_platforms_roles_and_approvers(access_world: World) -> None:
    world = access_world
    organization = {"alpha-capital": {"id": "6f1b3d8e-9a57-4b27-8f0e-2f3c1a0b7d11", "groups": ["/partner-admin"]}}
    partner = world.auth("admin@alpha.example", organization=organization)
    for path in ("/access/v1/requests", "/access/v1/requests/preview"):
        reply = await world.http.post(path, json=wish(payload={"role": "super_admin"}), headers=partner)
        assert (reply.status_code, "tradepulse.example" in reply.text) == (403, False)
    assert (await world.http.get("/access/v1/catalogue", headers=partner)).status_code == 403
    # Whoever works here and belongs to a partner as well still asks for access.
    both = world.auth("newcomer", organization=organization)
    await world.ask("newcomer", headers=both)
    offered = (await world.http.get("/access/v1/catalogue", headers=both)).json()
    assert "super_admin" in {one["name"] for one in offered["roles"]}
    assert (offered["environments"], offered["sees_all"]) == (["dev", "staging"], False)
