"""Reviewers decide over HTTP with their own tokens; the operator opens from the command line."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest
from access_world import World, at

from admin_sync.access.campaigns.office import opened
from admin_sync.access.settings import operator_database
from admin_sync.commands.certifying import certify_open, certify_status
from admin_sync.commands.options import Options
from admin_sync.console import DONE, Console
from admin_sync.errors import Misconfigured

QUARTER = "2026Q4"
PATH = f"/access/v1/campaigns/{QUARTER}"


def operator(world: World, folder: Path) -> dict[str, str]:
    """The operator's settings."""
    told = world.reconciler_settings
    return {
        "ACCESS_RECONCILER_DATABASE_URL": told["ACCESS_DATABASE_URL"],
        "ACCESS_RECONCILER_DATABASE_PASSWORD_FILE": told["ACCESS_DATABASE_PASSWORD_FILE"],
        "ACCESS_ROSTER_FILE": str(world.roster),
        "TRADEPULSE_AUDIT_DIR": str(folder),
    }


@pytest.fixture
async def campaign(access_world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> World:
    """A campaign over the sample's bindings, opened by the command."""
    options = Options(access_world.config, (), Console(as_json=True), operator(access_world, tmp_path))

    def run() -> int:
        return certify_open(options, quarter=QUARTER, without_keycloak=True, allow_orphans=20)

    assert await asyncio.to_thread(run) == DONE
    assert json.loads(capsys.readouterr().out)["quarter"] == QUARTER
    return access_world


async def items(world: World, who: str, **query: Any) -> list[dict[str, Any]]:
    reply = await world.http.get(f"{PATH}/items", params=query, headers=world.auth(who))
    assert reply.status_code == 200, reply.text
    found: list[dict[str, Any]] = reply.json()["items"]
    return found


def of(found: list[dict[str, Any]], holder: str) -> dict[str, Any]:
    return next(one for one in found if one["item"]["binding"]["subject"]["user"] == at(holder))


def saying(item: dict[str, Any], verdict: str = "revoke", **changed: Any) -> dict[str, Any]:
    word = {"item": item["item"]["key"], "hash": item["hash"], "verdict": verdict, "reason": "Left the desk in May."}
    return {"decisions": [{**word, **changed}]}


async def test_a_manager_decides_about_their_people_in_a_fresh_login_and_it_is_on_the_trail(campaign: World) -> None:
    found = await items(campaign, "manager.one")
    assert {one["capacity"] for one in found} == {"manager", None}
    assert [one["item"]["binding"]["subject"]["user"] for one in found if one["capacity"] is None] == [
        at("manager.one")
    ]
    item = of(found, "quant.one")
    for stale in ({"auth_time": int(time.time()) - 3600}, {"sid": None}, {"assurance_level": "aal1", "acr": "aal1"}):
        headers = campaign.auth("manager.one", **stale)
        reply = await campaign.http.post(f"{PATH}/decisions", json=saying(item), headers=headers)
        assert reply.status_code == 401
        assert 'acr_values="aal2"' in reply.headers["www-authenticate"]
    reply = await campaign.http.post(f"{PATH}/decisions", json=saying(item), headers=campaign.auth("manager.one"))
    assert reply.json() == {"answers": [{"item": item["item"]["key"], "code": "taken", "why": ""}]}
    seen = of(await items(campaign, "quant.one"), "quant.one")
    assert (seen["capacity"], seen["decisions"][0]["verdict"], seen["decisions"][0]["reviewer"]) == (
        None,
        "revoke",
        at("manager.one"),
    )
    assert "session" not in seen["decisions"][0]
    (line,) = await campaign.sql("SELECT line FROM access.audit WHERE event = 'certification.decided'")
    told = json.loads(line["line"])
    assert (told["actor"], told["outcome"], told["assurance_level"]) == (at("manager.one"), "success", "aal3")
    assert [one["item"]["key"] for one in await items(campaign, "manager.one", undecided=True)] == [
        one["item"]["key"] for one in found if one["capacity"] and one["hash"] != item["hash"]
    ]


async def test_nobody_sees_or_decides_what_is_none_of_their_business(campaign: World) -> None:
    item = of(await items(campaign, "manager.one"), "quant.one")
    assert [one["item"]["binding"]["subject"]["user"] for one in await items(campaign, "trader.one")] == [
        at("trader.one")
    ]
    codes = {}
    for who in ("trader.one", "quant.one", "QUANT.ONE+x@tradepulse.example", "quant@partner.example", "gone.owner"):
        reply = await campaign.http.post(f"{PATH}/decisions", json=saying(item), headers=campaign.auth(who))
        assert reply.status_code == 200, reply.text
        codes[who] = reply.json()["answers"][0]["code"]
    assert codes == {
        "trader.one": "unknown_item",
        "quant.one": "own_binding",
        "QUANT.ONE+x@tradepulse.example": "own_binding",
        "quant@partner.example": "own_binding",
        "gone.owner": "not_employed",
    }
    assert (await campaign.http.get(f"{PATH}/items")).status_code == 401
    for path in ("/access/v1/campaigns/2025Q1/items", "/access/v1/campaigns/x/items"):
        assert (await campaign.http.get(path, headers=campaign.auth("manager.one"))).status_code == 404


async def test_a_malformed_decision_is_refused_as_a_whole(campaign: World) -> None:
    item = of(await items(campaign, "manager.one"), "quant.one")
    good = saying(item)["decisions"][0]
    wrong = [
        {"verdict": "maybe"},
        {"reason": "short"},
        {"reason": "x" * 2001},
        {"hash": "0"},
        {"item": 5},
        {"unknown": True},
    ]
    bodies = [{}, {"decisions": []}, {"decisions": [good] * 101}, *({"decisions": [good | one]} for one in wrong)]
    for body in bodies:
        reply = await campaign.http.post(f"{PATH}/decisions", json=body, headers=campaign.auth("manager.one"))
        assert reply.status_code == 422, body
    assert of(await items(campaign, "manager.one"), "quant.one")["decisions"] == []


async def test_a_decision_is_about_the_text_that_was_shown_and_each_is_judged_by_itself(campaign: World) -> None:
    found = await items(campaign, "manager.one")
    one, other = of(found, "quant.one"), of(found, "trader.one")
    words = [saying(one, hash=other["hash"])["decisions"][0], saying(other, "keep")["decisions"][0]]
    reply = await campaign.http.post(
        f"{PATH}/decisions", json={"decisions": words}, headers=campaign.auth("manager.one")
    )
    assert [answer["code"] for answer in reply.json()["answers"]] == ["other_text", "taken"]


async def test_after_closing_began_nothing_is_decided(campaign: World, tmp_path: Path) -> None:
    item = of(await items(campaign, "manager.one"), "quant.one")
    async with opened(operator_database(operator(campaign, tmp_path)), node="test", actor="ops") as office:
        await office.begin_to_close(QUARTER)
    reply = await campaign.http.post(f"{PATH}/decisions", json=saying(item), headers=campaign.auth("manager.one"))
    assert (reply.status_code, reply.json()["type"]) == (409, "urn:tradepulse:problem:campaign-closed")
    listed = await campaign.http.get("/access/v1/campaigns", headers=campaign.auth("trader.one"))
    assert [(one["quarter"], one["state"]) for one in listed.json()["campaigns"]] == [(QUARTER, "closing")]
    assert "roster" not in listed.text


async def test_status_says_how_far_it_is_and_settings_that_are_missing(
    campaign: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = Options(campaign.config, (), Console(as_json=True), operator(campaign, tmp_path))
    assert await asyncio.to_thread(certify_status, options) == DONE
    told = json.loads(capsys.readouterr().out)
    assert (told["overdue"], told["campaigns"][0]["decided"]) == (True, 0)
    with pytest.raises(Misconfigured, match="ACCESS_RECONCILER_DATABASE_URL"):
        certify_status(Options(campaign.config, (), Console(), {}))
