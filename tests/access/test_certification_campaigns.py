"""Campaigns in a real PostgreSQL and a real Git repository: opened, decided about, closed, and killed in between."""

from __future__ import annotations

import asyncio
import itertools
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from certification_world import address, configured, rostered
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from repository_world import git

from admin_sync.access.campaigns import store
from admin_sync.access.campaigns.deciding import Answered, Deciding, NoCampaign, NotOpen, Word
from admin_sync.access.campaigns.office import Office
from admin_sync.access.configured import Known
from admin_sync.access.store.database import BrokenRule, Database, DatabaseUnavailable
from admin_sync.certification import run
from admin_sync.certification.item import Item
from admin_sync.certification.outcome import Verdict
from admin_sync.certification.report import folder
from admin_sync.certification.status import progress
from admin_sync.certification.usage import Usage
from admin_sync.check import checked
from admin_sync.errors import Interrupted, Refused
from admin_sync.repository import Repository, repository_settings
from admin_sync.roster import Roster
from identity.principal import AssuranceLevel, Principal

EVERYWHERE = ("dev", "staging", "prod")
ROWS = [
    ("ann", "group research", EVERYWHERE),
    ("ben", "role viewer", ("dev", "staging")),
    ("cy", "group trading", ("prod",)),
    ("sam", "group security", EVERYWHERE),
    ("sue", "group security", EVERYWHERE),
]
PEOPLE = [("boss", "-"), *((name, "boss") for name in ("ann", "ben", "cy", "sam", "sue", "rob"))]
QUARTER = "2026Q4"

_numbers = itertools.count(1)


def person(name: str) -> Principal:
    return Principal(
        subject=f"id-{name}",
        email=address(name),
        kind="person",
        environment="dev",
        issuer="https://id.example/realms/tradepulse-dev",
        client="tradepulse-cli",
        groups=frozenset(),
        assurance_level=AssuranceLevel.AAL2,
        acr="aal2",
        amr=("pwd", "otp"),
        auth_time=int(datetime.now(UTC).timestamp()),
        session=f"session-{name}",
        expires_at=int(datetime.now(UTC).timestamp()) + 300,
        token_name="t",
    )


@dataclass
class World:
    """A repository, a database, an operator and reviewers."""

    tree: Path
    app: Database
    operator: Database
    out: Path
    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)

    @property
    def office(self) -> Office:
        return Office(self.operator, node="test", actor="admin-sync:ops")

    @property
    def repository(self) -> Repository:
        return Repository(repository_settings({"ADMIN_SYNC_REPOSITORY": str(self.tree)}))

    def known(self) -> Known:
        return Known(checked(self.tree / "configs" / "iam", {}), rostered(*PEOPLE))

    async def open(self, roster: Roster | None = None, *, days: float = 14, quarter: str = QUARTER) -> dict[str, Item]:
        directory = self.tree / "configs" / "iam"
        opening = run.Opening(quarter, timedelta(days=days), roster or rostered(*PEOPLE), Usage())
        _, items = await run.opened(self.office, checked(directory, {}), directory, opening, lambda _: None)
        return {one.holder.partition("@")[0]: one for one in items}

    async def say(
        self, who: str, about: Item, verdict: Verdict = Verdict.KEEP, roster: Roster | None = None, **changed: str
    ) -> str:
        word = replace(Word(about.key, about.hash, verdict, "It is needed for the desk."), **changed)
        known = Known(checked(self.tree / "configs" / "iam", {}), roster or rostered(*PEOPLE))
        answers = await Deciding(self.app, "test").decide(person(who), known, QUARTER, [word])
        assert [type(one) for one in answers] == [Answered]
        return answers[0].code

    async def close(self, allowed: int | None = None) -> run.Closed:
        return await run.closed(self.office, self.repository, QUARTER, key=self.key, out=self.out, allowed=allowed)

    def holders(self) -> list[str]:
        document = self.repository.document()
        live = [one for one in document.bindings.bindings if one.expires is None or one.expires > document.now]
        return [one.subject.user.partition("@")[0] for one in live]

    async def trail(self) -> list[tuple[str, str]]:
        rows = await self.app.rows("SELECT event, outcome FROM access.audit ORDER BY seq")
        return [(row["event"], row["outcome"]) for row in rows]


@pytest.fixture
async def world(postgres: Any, access_template: str, tmp_path: Path) -> AsyncIterator[World]:
    name = f"certification_{next(_numbers)}"
    admin = await asyncpg.connect(postgres.dsn("postgres", "postgres"))
    await admin.execute(f"CREATE DATABASE {name} OWNER access_owner TEMPLATE {access_template}")
    await admin.close()
    tree = tmp_path / "tree"
    configured(tree / "configs" / "iam", ROWS)
    git(tree, "init", "--quiet", "--initial-branch=main")
    git(tree, "add", "--all")
    git(tree, "commit", "--quiet", "--message=The configuration")
    databases = [
        await Database.connect(postgres.dsn(role, name), postgres.passwords[role], size=4)
        for role in ("access_app", "access_reconciler")
    ]
    try:
        yield World(tree, *databases, tmp_path / "evidence")
    finally:
        for one in databases:
            await one.close()


async def test_a_campaign_ends_in_one_commit_and_signed_evidence(world: World) -> None:
    items = await world.open()
    assert await world.say("boss", items["ann"], Verdict.REVOKE) == "taken"
    for name in ("ben", "cy", "sam", "sue"):
        assert await world.say("boss", items[name]) == "taken"
    closed = await world.close()
    assert world.holders() == ["ben", "cy", "sam", "sue"]
    log = git(world.tree, "log", "-1", "--format=%H%n%B")
    assert log.startswith(str(closed.report["commit"]))
    assert "Certification: 2026Q4" in log
    assert f"Decided-by: {address('boss')}" in log
    told = folder.verify(world.out, world.key.public_key())
    assert (told["commit"], told["figures"]["fates"]["revoked"]) == (closed.report["commit"], 1)
    status = await progress(world.office, timedelta(days=90))
    assert (status["overdue"], status["campaigns"][0]["state"], status["campaigns"][0]["decided"]) == (
        False,
        "closed",
        5,
    )
    assert [one for one in await world.trail() if not one[0].endswith("decided")] == [
        ("certification.opened", "success"),
        ("certification.closing", "success"),
        ("certification.closed", "success"),
    ]
    with pytest.raises(NotOpen):
        await world.say("sam", items["ben"], Verdict.REVOKE)
    with pytest.raises(Refused, match="was closed by"):
        await world.close()


async def test_an_implausible_roster_opens_nothing(world: World) -> None:
    half = rostered(("boss", "-"), ("ann", "boss"))
    left = rostered(*PEOPLE, gone=[name for name, _ in PEOPLE])
    for roster, why in ((half, "people with a grant are not employed"), (left, "nobody in roster.csv is employed")):
        with pytest.raises(Refused, match=why):
            await world.open(roster)
    assert (await progress(world.office, timedelta(days=90)))["overdue"] is True
    assert await world.office.campaigns() == []
    assert world.holders() == ["ann", "ben", "cy", "sam", "sue"]


async def test_half_of_the_last_roster_is_refused_even_where_no_holder_is_missing(world: World) -> None:
    more = [("boss", "-"), *((f"other{number}", "boss") for number in range(20)), *PEOPLE[1:]]
    items = await world.open(rostered(*more))
    for item in items.values():
        assert await world.say("boss", item, roster=rostered(*more)) == "taken"
    await world.close()
    with pytest.raises(Refused, match="employed people are gone at once"):
        await world.open(rostered(*PEOPLE), quarter="2026Q3")


@pytest.mark.parametrize(
    ("who", "what", "changed", "answer"),
    [
        ("ann", "ann", {}, "own_binding"),
        ("rob", "ann", {}, "unknown_item"),
        ("stranger", "ann", {}, "not_employed"),
        ("boss", "ann", {"hash": "0" * 64}, "other_text"),
        ("boss", "ann", {"item": "0" * 16}, "unknown_item"),
    ],
)
async def test_a_decision_that_may_not_be_is_refused_and_recorded(
    world: World, who: str, what: str, changed: dict[str, str], answer: str
) -> None:
    items = await world.open()
    assert await world.say(who, items[what], **changed) == answer
    assert (await world.trail())[-1] == ("certification.decided", "denied")
    held = await world.office.held(QUARTER)
    assert held is not None
    assert held.decisions == []


async def test_of_two_reviewers_who_race_one_keep_counts_and_a_revoke_outweighs_it(world: World) -> None:
    items = await world.open()
    answers = await asyncio.gather(*(world.say(who, items["ann"]) for who in ("boss", "sam", "sue")))
    assert sorted(answers) == ["decided_already", "decided_already", "taken"]
    assert await world.say("sam", items["ann"], Verdict.REVOKE) == "taken"
    assert await world.say("boss", items["ann"]) == "decided_already"
    held = await world.office.held(QUARTER)
    assert held is not None
    assert [one.verdict for one in held.decisions] == [Verdict.KEEP, Verdict.REVOKE]


async def test_decisions_and_closing_race_to_one_outcome(world: World) -> None:
    items = await world.open()
    for name in ("ben", "cy", "sam", "sue", "ann"):
        await world.say("boss", items[name])

    async def late() -> str:
        try:
            return await world.say("sam", items["ann"], Verdict.REVOKE)
        except NotOpen:
            return "not_open"

    answer, closed = await asyncio.gather(late(), world.close())
    fates = {one["binding"]["subject"]["user"]: one["fate"] for one in closed.report["items"]}
    assert fates[address("ann")] == ("revoked" if answer == "taken" else "kept")
    assert ("ann" in world.holders()) is (answer != "taken")


async def test_nothing_is_closed_early_and_undecided_items_stay_red(world: World) -> None:
    items = await world.open(days=1)
    await world.say("boss", items["ann"])
    with pytest.raises(Refused, match="nobody has decided about 4 of 5"):
        await world.close()
    held = await world.office.held(QUARTER)
    assert held is not None
    assert held.campaign.state == store.OPEN


async def test_what_nobody_decided_about_is_left_in_the_end_and_said(world: World) -> None:
    roster = rostered(*PEOPLE, gone=["cy"])
    await world.open(roster, days=1e-9)
    closed = await world.close()
    fates = closed.report["figures"]["fates"]
    assert (fates["undecided"], fates["revoked_undecided"]) == (4, 1)
    assert "cy" not in world.holders()


async def test_a_group_that_a_provider_may_give_too_is_given_an_end_so_that_keycloak_lets_go_of_it(
    world: World,
) -> None:
    items = await world.open()
    assert await world.say("boss", items["ann"], Verdict.REVOKE) == "taken"
    for name in ("ben", "cy", "sam", "sue"):
        assert await world.say("boss", items[name]) == "taken"
    given = [one.group for one in world.repository.document().bindings.bindings if one.subject.user == address("ann")]
    closed = await world.close()
    assert closed.report["figures"]["fates"]["revoked"] == 1
    document = world.repository.document()
    left = [one for one in document.bindings.bindings if one.subject.user == address("ann")]
    assert [(one.group, one.expires is not None and one.expires <= document.now) for one in left] == [
        (one, True) for one in given if one is not None
    ]
    assert given != [None]


async def test_a_run_that_was_killed_after_its_commit_ends_with_the_same_evidence(world: World, tmp_path: Path) -> None:
    items = await world.open()
    for name, verdict in (("ann", Verdict.REVOKE), *((one, Verdict.KEEP) for one in ("ben", "cy", "sam", "sue"))):
        await world.say("boss", items[name], verdict)

    class Killed(Office):
        async def close(self, *_: object, **__: object) -> None:
            raise Interrupted("the machine is gone")

    with pytest.raises(Interrupted):
        await run.closed(
            Killed(world.operator, node="test", actor="admin-sync:ops"),
            world.repository,
            QUARTER,
            key=world.key,
            out=world.out,
            allowed=None,
        )
    assert "ann" not in world.holders()
    before = {path.name: path.read_bytes() for path in world.out.iterdir()}
    # Somebody else commits before the operator comes back.
    configured(world.tree / "configs" / "iam", [("rob", "role viewer", ("dev",))], replace=False)
    git(world.tree, "commit", "--quiet", "--all", "--message=Something else")
    shutil.rmtree(world.out)
    closed = await world.close()
    assert {path.name: path.read_bytes() for path in world.out.iterdir()} == before
    assert closed.report["figures"]["fates"]["revoked"] == 1
    assert git(world.tree, "log", "--format=%s", "--grep=Certification:").count("\n") == 1


async def test_a_commit_that_only_claims_to_be_the_certifications_closes_nothing(world: World) -> None:
    items = await world.open()
    await world.say("boss", items["ann"], Verdict.REVOKE)
    for name in ("ben", "cy", "sam", "sue"):
        await world.say("boss", items[name])
    configured(world.tree / "configs" / "iam", [("rob", "role viewer", ("dev",))], replace=False)
    git(world.tree, "commit", "--quiet", "--all", "--message=Something\n\nCertification: 2026Q4")
    with pytest.raises(Refused, match=f"claims to be of this certification and left {address('ann')}"):
        await world.close()
    assert not world.out.exists()


async def test_the_last_administrator_stays_and_nothing_is_committed(world: World) -> None:
    items = await world.open()
    for name in ("sam", "sue"):
        await world.say("boss", items[name], Verdict.REVOKE)
    for name in ("ann", "ben", "cy"):
        await world.say("boss", items[name])
    with pytest.raises(Refused, match="nobody would be left who can change access"):
        await world.close()
    assert world.holders() == ["ann", "ben", "cy", "sam", "sue"]


async def test_one_quarter_has_one_campaign_and_one_is_open_at_a_time(world: World) -> None:
    async def attempt(quarter: str) -> bool:
        try:
            await world.open(quarter=quarter)
        except Refused:
            return False
        return True

    assert sorted(await asyncio.gather(*(attempt(one) for one in ("2026Q4", "2026Q4", "2026Q3")))) == [
        False,
        False,
        True,
    ]
    with pytest.raises(NoCampaign):
        await Deciding(world.app, "test").review(
            address("boss"), Known(checked(world.tree / "configs" / "iam", {}), None), "2025Q1"
        )


async def test_a_reviewer_sees_what_they_may_decide_and_a_holder_what_is_said_of_them(world: World) -> None:
    items = await world.open()
    await world.say("boss", items["ann"], Verdict.REVOKE)
    known = world.known()
    desk = Deciding(world.app, "test")
    assert {one.item.holder: one.capacity for one in await desk.review(address("ann"), known, QUARTER)} == {
        address("ann"): None
    }
    assert len(await desk.review(address("boss"), known, QUARTER)) == 5
    assert await desk.review(address("rob"), known, QUARTER) == []
    assert {one.capacity for one in await desk.review(address("sam"), known, QUARTER)} == {"security", None}


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE access.campaign SET state = 'closing'",
        "UPDATE access.campaign SET due = now() + interval '1 year'",
        "INSERT INTO access.campaign (quarter, opened_at, opened_by, due, circumstances, roster)"
        " VALUES ('2026Q1', now(), 'x', now() + interval '1 day', '{}', '[]')",
        "UPDATE access.campaign_item SET content = '{}'",
        "DELETE FROM access.campaign_decision",
        "UPDATE access.campaign_decision SET verdict = 'keep'",
        "TRUNCATE access.campaign_decision",
        # What no audit line tells is not so, and nobody decides about their own.
        "INSERT INTO access.campaign_decision SELECT quarter, key, 'keep', hash, 'no line at all', 'boss', 'b',"
        " 'manager', 'aal2', 1, 's', now() FROM access.campaign_item LIMIT 1",
    ],
)
async def test_the_service_can_do_no_more_than_decide(world: World, statement: str) -> None:
    await world.open()
    with pytest.raises((BrokenRule, DatabaseUnavailable)):
        async with world.app.transaction() as connection:
            await connection.execute(statement)
    held = await world.office.held(QUARTER)
    assert held is not None
    assert (held.campaign.state, held.decisions) == (store.OPEN, [])


async def test_the_operator_cannot_decide(world: World) -> None:
    items = await world.open()
    known = world.known()
    word = Word(items["ann"].key, items["ann"].hash, Verdict.KEEP, "It is needed for the desk.")
    with pytest.raises(DatabaseUnavailable, match="InsufficientPrivilege"):
        await Deciding(world.operator, "test").decide(person("boss"), known, QUARTER, [word])
