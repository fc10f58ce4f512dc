"""Openings of emergency accounts as people and the reconciler see them, on a real database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from access_world import World, at, in_hours

from admin_sync.access.request import number_of
from admin_sync.access.settings import DatabaseSettings
from admin_sync.access.store.database import BrokenRule, Database, DatabaseUnavailable
from admin_sync.access.store.handover import Handover
from admin_sync.break_glass.accounts import address, places, role
from admin_sync.break_glass.opening import event_of
from admin_sync.break_glass.proof import Signer
from admin_sync.break_glass.stage import Opening, Review, Stage, Verdict, next_event
from admin_sync.break_glass.store import Openings
from admin_sync.load.document import load
from identity.key_set import parse_key_set
from identity.principal import AssuranceLevel, Principal
from identity.secret import read_secret
from vault_api.break_glass.proof import ProofKeys, ProofRefused

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
OPENING = Opening(
    number=7,
    environment="prod",
    account="break-glass-1",
    opener=at("platform.one"),
    approvers=(at("security.one"), at("security.two")),
    reason="nobody can log in any more",
    opened_at=NOW,
    until=NOW + timedelta(hours=1),
    due=NOW + timedelta(hours=25),
)


class Emergency:
    """What the reconciler does about openings, beside the service of a world."""

    def __init__(self, world: World, openings: Openings, handover: Handover) -> None:
        self.world, self.openings, self.handover = world, openings, handover

    async def approved(self, who: str = "platform.one", account: str = "break-glass-1") -> dict[str, Any]:
        request: dict[str, Any] = await self.world.ask(
            who,
            headers=self.world.auth(who, groups=["viewer", "responder"]),
            kind="break_glass",
            payload={"account": account},
            environments=["dev"],
            justification="Nobody can log in any more, and trading has stopped.",
            expires=in_hours(0.9),
        )
        for approver in ("security.one", "security.two"):
            reply = await self.world.approve(approver, request)
            assert reply.status_code == 201, reply.text
        return request

    async def opened(self, who: str = "platform.one") -> tuple[dict[str, Any], Opening]:
        """A request that was fulfilled as the reconciler does it, but for the realm and the vault."""
        request = await self.approved(who)
        opening = await self.noted(request, who)
        assert opening is not None
        number = opening.number
        assert await self.handover.take(number) is not None
        assert await self.handover.fulfilled(number, {})
        return request, opening

    async def noted(self, request: dict[str, Any], who: str) -> Opening | None:
        now = await self.openings.now()
        number = number_of(request["id"])
        assert number is not None
        account = request["payload"]["account"]
        opening = replace(
            OPENING, number=number, environment="dev", account=account, opener=at(who), opened_at=now,
            until=datetime.fromisoformat(request["expires"]), due=now + timedelta(hours=25),
        )  # fmt: skip
        return await self.openings.begin(opening, event_of("break_glass.opened", opening))

    async def closed(self, opening: Opening) -> None:
        now = await self.openings.now()
        assert await self.openings.close(opening.number, now, event_of("break_glass.closed", opening))

    async def post(self, who: str, path: str, body: dict[str, Any] | None = None, **claims: Any) -> Any:
        return await self.world.http.post(
            f"/access/v1/break-glass/{path}", json=body, headers=self.world.auth(who, **claims)
        )

    async def stage(self, who: str, name: str) -> dict[str, Any] | None:
        listed = (await self.world.http.get("/access/v1/break-glass", headers=self.world.auth(who))).json()["openings"]
        return next((one for one in listed if one["request"] == name), None)


@pytest_asyncio.fixture
async def emergency(access_world: World) -> AsyncIterator[Emergency]:
    settings = DatabaseSettings.model_validate(access_world.reconciler_settings)
    password = read_secret(settings.database_password_file, name="password").text()
    database = await Database.connect(settings.database_url, password, size=4)
    handover = await Handover.open(settings, node="test")
    yield Emergency(access_world, Openings(database, "test"), handover)
    await handover.close()
    await database.close()


REVIEW = {"verdict": "justified", "findings": "A broken flow was replaced; nothing else was touched."}


def slug(reply: Any) -> str:
    return str(reply.json()["type"]).rpartition(":")[2]


async def test_an_opening_goes_from_request_to_review(emergency: Emergency) -> None:
    request, opening = await emergency.opened()
    name = request["id"]
    assert (await emergency.post("platform.one", f"{name}/proof")).status_code == 200
    assert (await emergency.post("owner.one", f"{name}/review", REVIEW)).status_code == 409
    assert (await emergency.post("platform.one", f"{name}/closure")).json()["stage"] == "closing"
    # The last moment to take the credential out is over as soon as somebody wants it closed.
    assert slug(await emergency.post("platform.one", f"{name}/proof")) == "not-open"
    await emergency.closed(opening)
    reviewed = (await emergency.post("owner.one", f"{name}/review", REVIEW)).json()
    assert (reviewed["stage"], reviewed["reviewed_by"], reviewed["verdict"]) == (
        "reviewed", at("owner.one"), "justified",
    )  # fmt: skip
    assert slug(await emergency.post("manager.two", f"{name}/review", REVIEW)) == "no-say"
    assert slug(await emergency.post("owner.one", f"{name}/review", REVIEW)) == "reviewed-already"
    told = await emergency.world.sql(
        "SELECT event FROM access.audit WHERE event LIKE 'break_glass%' AND outcome = 'success' ORDER BY seq"
    )
    assert [row["event"] for row in told] == [
        "break_glass.opened", "break_glass.proved", "break_glass.close_asked", "break_glass.closed",
        "break_glass.reviewed",
    ]  # fmt: skip


async def test_nobody_who_had_a_part_reviews_under_any_address(emergency: Emergency) -> None:
    request, opening = await emergency.opened()
    await emergency.closed(opening)
    name = request["id"]
    for who in (
        "platform.one",
        "security.one",
        "security.two",
        "sec1@idp.example",
        "Security.Two+x@tradepulse.example",
    ):
        refused = await emergency.post(who, f"{name}/review", REVIEW)
        assert (refused.status_code, slug(refused)) in ((403, "own-opening"), (403, "no-say")), who
    stands = await emergency.openings.one(opening.number)
    assert stands is not None
    assert stands.reviewed_at is None
    # Nor is it a matter of the service alone: the database knows who had a part.
    now = await emergency.openings.now()
    app = Openings(emergency.world.access.database, "test")
    with pytest.raises(BrokenRule):
        await app.review(
            opening.number, Review(at("security.two"), Verdict.JUSTIFIED, "it was all fine", now),
            event_of("break_glass.reviewed", opening),
        )  # fmt: skip


async def test_a_proof_is_for_the_very_account_that_asked_and_convinces_the_vault(
    emergency: Emergency, tmp_path: Path
) -> None:
    request, opening = await emergency.opened()
    path = f"{request['id']}/proof"
    assert (await emergency.post("security.one", path)).status_code == 404
    assert (await emergency.post("platform.one", path, sub="another-account")).status_code == 404
    assert slug(await emergency.post("platform.one", path, auth_time=1)) == "step-up-required"
    assert slug(await emergency.post("platform.one", path, assurance_level="aal1", acr="aal1")) == "step-up-required"
    proof = (await emergency.post("platform.one", path)).json()
    assert (proof["environment"], proof["account"]) == ("dev", "break-glass-1")
    keys = ProofKeys(parse_key_set(Signer.from_file(tmp_path / "approval.pem").key_set().encode()))
    record = await emergency.handover.find(opening.number)
    assert record is not None
    caller = principal(record.request.requester_account, record.request.requester)
    found = keys.verify(proof["proof"], caller, environment="dev", account="break-glass-1")
    assert (found.request, found.hash) == (request["id"], request["hash"])
    for other in (principal("another", caller.email), principal(caller.subject, at("security.one"))):
        with pytest.raises(ProofRefused):
            keys.verify(proof["proof"], other, environment="dev", account="break-glass-1")
    with pytest.raises(ProofRefused):
        keys.verify(proof["proof"], caller, environment="prod", account="break-glass-1")


async def test_what_is_only_approved_is_not_proved(emergency: Emergency) -> None:
    request = await emergency.approved()
    waiting = await emergency.post("platform.one", f"{request['id']}/proof")
    assert (slug(waiting), waiting.json()["state"]) == ("not-open", "approved")
    assert (await emergency.post("mlops.one", f"{request['id']}/proof")).status_code == 404
    assert (await emergency.post("platform.one", "REQ-999999/proof")).status_code == 404
    await emergency.noted(request, "platform.one")
    assert slug(await emergency.post("platform.one", f"{request['id']}/proof")) == "not-open"


async def test_of_two_openings_of_one_account_at_once_one_stands(emergency: Emergency) -> None:
    first, other = await emergency.approved(), await emergency.approved(account="break-glass-2")
    # Nobody is let ask for the same twice; whoever could write requests is held by the table itself.
    second = {**other, "payload": first["payload"]}
    found = await asyncio.gather(
        *(emergency.noted(one, who) for one, who in ((first, "platform.one"), (second, "mlops.one")))
    )
    assert sorted(one is None for one in found) == [False, True]
    standing = next(one for one in found if one is not None)
    # Repeated after a crash it is the one that stands, and after its end the other one may begin.
    again = first if standing.number == number_of(first["id"]) else second
    repeated = await emergency.noted(again, standing.opener.partition("@")[0])
    assert repeated is not None
    assert repeated.number == standing.number
    await emergency.closed(standing)
    other, who = (second, "mlops.one") if again is first else (first, "platform.one")
    assert await emergency.noted(other, who) is not None


async def test_two_reviews_at_once_leave_one(emergency: Emergency) -> None:
    request, opening = await emergency.opened()
    await emergency.closed(opening)
    path = f"{request['id']}/review"
    replies = await asyncio.gather(
        *(emergency.post("owner.one", path, {**REVIEW, "verdict": one}) for one in ("justified", "misused"))
    )
    assert sorted(one.status_code for one in replies) == [200, 409]
    shown = await emergency.stage("owner.one", request["id"])
    assert shown is not None
    assert shown["verdict"] == next(one.json()["verdict"] for one in replies if one.status_code == 200)


async def test_closing_twice_is_closing_once_and_a_stranger_closes_nothing(emergency: Emergency) -> None:
    request, opening = await emergency.opened()
    path = f"{request['id']}/closure"
    assert (await emergency.post("quant.one", path)).status_code == 404
    replies = await asyncio.gather(*(emergency.post(who, path) for who in ("platform.one", "security.one")))
    assert [one.status_code for one in replies] == [202, 202]
    stands = await emergency.openings.one(opening.number)
    assert stands is not None
    assert stands.close_asked_by in (at("platform.one"), at("security.one"))
    await emergency.closed(opening)
    now = await emergency.openings.now()
    assert not await emergency.openings.close(opening.number, now, event_of("break_glass.closed", opening))


async def test_each_role_of_the_database_may_do_its_own_part_alone(emergency: Emergency) -> None:
    request, opening = await emergency.opened()
    app = Openings(emergency.world.access.database, "test")
    now = await app.now()
    with pytest.raises(DatabaseUnavailable):
        await app.close(opening.number, now, event_of("x", opening))
    with pytest.raises(DatabaseUnavailable):
        await app.begin(replace(opening, number=10**6), event_of("x", opening))
    await emergency.closed(opening)
    said = Review(at("owner.one"), Verdict.MISUSED, "it was none of their business", now)
    with pytest.raises(DatabaseUnavailable):
        await emergency.openings.review(opening.number, said, event_of("x", opening))
    # What happened is not taken back by anybody, the owner included.
    with pytest.raises(Exception, match="not taken back"):
        await emergency.world.sql("UPDATE access.break_glass SET closed_at = NULL WHERE number = $1", opening.number)
    with pytest.raises(Exception, match="never changes"):
        await emergency.world.sql(
            "UPDATE access.break_glass SET until = until + interval '1 h' WHERE number = $1", opening.number
        )
    assert request["id"]


async def test_metrics_say_what_is_open_and_what_nobody_reviewed(emergency: Emergency) -> None:
    _, opening = await emergency.opened()
    text = (await emergency.world.http.get("/access/v1/metrics")).text
    assert 'access_break_glass_openings{which="not_closed"} 1.0' in text
    await emergency.closed(opening)
    text = (await emergency.world.http.get("/access/v1/metrics")).text
    assert 'access_break_glass_openings{which="not_closed"} 0.0' in text
    assert 'access_break_glass_openings{which="not_reviewed"} 1.0' in text
    assert 'access_break_glass_openings{which="overdue"} 0.0' in text


async def test_an_account_is_asked_for_in_one_environment_by_whoever_needs_it(emergency: Emergency) -> None:
    responder = emergency.world.auth("platform.one", groups=["viewer", "responder"])
    wish: dict[str, Any] = {
        "kind": "break_glass", "payload": {"account": "break-glass-1"}, "expires": in_hours(0.5), "headers": responder,
    }  # fmt: skip
    # Who could not take the credential is told so before anybody has agreed.
    nobody = await emergency.world.ask("mlops.one", expect=403, environments=["dev"], **{**wish, "headers": None})
    assert str(nobody["type"]).endswith(":not-a-responder")
    several = await emergency.world.ask("platform.one", expect=422, environments=["dev", "prod"], **wish)
    assert {one["code"] for one in several["reasons"]} >= {"one-environment"}
    other = await emergency.world.ask(
        "platform.one", expect=422, environments=["dev"], **{**wish, "payload": {"account": "root"}}
    )
    assert {one["code"] for one in other["reasons"]} == {"unknown-account"}
    long = await emergency.world.ask(
        "platform.one", expect=422, environments=["dev"], **{**wish, "expires": in_hours(2)}
    )
    assert "too-long" in {one["code"] for one in long["reasons"]}


def test_an_opening_is_red_until_it_was_reviewed_and_is_told_again_when_overdue() -> None:
    assert OPENING.stage(NOW) is Stage.OPEN
    assert OPENING.stage(OPENING.until) is Stage.CLOSING
    closed = replace(OPENING, closed_at=OPENING.until)
    assert closed.stage(NOW) is Stage.CLOSED
    assert closed.red()
    assert not closed.overdue(closed.due - timedelta(seconds=1))
    day = timedelta(hours=24)
    assert closed.to_escalate(closed.due, day)
    told = replace(closed, escalated_at=closed.due)
    assert not told.to_escalate(closed.due + day - timedelta(seconds=1), day)
    assert told.to_escalate(closed.due + day, day)
    reviewed = replace(told, reviewed_at=closed.due + day)
    assert not reviewed.red()
    assert not reviewed.to_escalate(closed.due + 2 * day, day)


def test_the_next_thing_to_do_is_an_end_or_a_review() -> None:
    closed = replace(OPENING, number=8, closed_at=NOW, due=NOW + timedelta(minutes=5))
    assert next_event([], NOW) is None
    assert next_event([OPENING, closed], NOW) == closed.due
    assert next_event([OPENING], NOW) == OPENING.until
    assert next_event([replace(OPENING, reviewed_at=NOW, closed_at=NOW)], NOW) is None


def test_the_role_of_an_opening_can_end_a_freeze_and_is_the_least_that_can() -> None:
    document = load(Path(__file__).resolve().parents[2] / "configs" / "iam", {"TRADEPULSE_ENVIRONMENT": "dev"})
    assert role(document) == "admin"
    assert len(list(places(document))) == 6
    assert address("Break-Glass-1") == "break-glass-1@break-glass.invalid"


def principal(subject: str, email: str | None) -> Principal:
    return Principal(
        kind="person", issuer="https://id.example", subject=subject, environment="dev", client="tradepulse-cli",
        email=email, groups=frozenset(), assurance_level=AssuranceLevel.AAL3, acr="aal3", amr=(), auth_time=None,
        session="s", expires_at=0, token_name="t",
    )  # fmt: skip
