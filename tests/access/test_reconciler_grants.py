"""An approved request becomes one commit whatever ends the process, and nothing but an approved request does."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from reconciler_world import ROSTER, RequestBase, request_base
from repository_world import BINDINGS, git, make, opened

from admin_sync.access.request import Record
from admin_sync.reconciler.fulfilling import InForce, settle
from admin_sync.reconciler.granting import Granted, grant
from admin_sync.reconciler.report import Report, Standing
from admin_sync.reconciler.requests import Requests, RequestsUnavailable
from admin_sync.repository import Repository, Selector
from admin_sync.roster import read


class Killed(BaseException):
    """The process ended here."""


class Room:
    """A repository, a database of requests, and a reconciler's grasp of both that can be ended and begun anew."""

    def __init__(self, base: RequestBase, place: Path) -> None:
        self.base = base
        self.place = place
        self.repository: Repository = opened(place)
        self.requests = Requests(base.settings(), node="test")
        self.roster = read(ROSTER)

    def due(self) -> list[Record]:
        return self.requests.due("grant")

    def grant(self, record: Record | None = None) -> Any:
        return grant(self.repository, self.requests, record or self.due()[0], self.roster)

    def settle(self, made: Granted, *, after: float = 0.0) -> list[str]:
        """What is reported as in force, `after` seconds from now."""
        head, document = self.repository.head(), self.repository.document()
        document = replace(document, now=document.now + timedelta(seconds=after))
        standing = Standing(applied=dict.fromkeys(document.environments, head), published=head)
        report = Report()
        settle(self.requests, [made], InForce(document, standing, head, {}), report)
        return report.fulfilled

    @property
    def text(self) -> str:
        return git(self.place, "show", f"HEAD:{BINDINGS}")

    @property
    def commits(self) -> int:
        return int(git(self.place, "rev-list", "--count", "HEAD"))


@pytest.fixture(scope="module")
def base(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> RequestBase:
    return request_base(postgres, "reconciler_grants", tmp_path_factory.mktemp("base"))


@pytest.fixture
def room(base: RequestBase, tmp_path: Path) -> Iterator[Room]:
    # What an earlier test left is nobody's business here.
    base.sql("TRUNCATE access.request CASCADE")
    made = Room(base, make(tmp_path / "iam"))
    yield made
    made.requests.close()


def test_an_approved_request_is_one_commit_with_its_approvals_and_is_then_fulfilled(room: Room) -> None:
    room.base.approved(1001)
    made = room.grant()
    assert isinstance(made, Granted)
    assert "request: REQ-001001" in room.text
    assert "{by: owner.one@tradepulse.example, as: system_owner, at: " in room.text
    assert room.settle(made) == ["REQ-001001"]
    assert room.base.state(1001) == "fulfilled"
    assert made.commit in room.base.result(1001)[0]
    assert room.due() == []


def test_killed_after_the_commit_the_next_one_finds_it_and_makes_no_other(room: Room) -> None:
    room.base.approved(1002)
    first = room.grant()
    again = room.grant()
    assert again.commit == first.commit
    assert room.commits == 2
    assert room.settle(again) == ["REQ-001002"]
    # A status whose answer was lost is said again, and changes nothing.
    assert room.requests.fulfilled(1002, {"commit": first.commit}) is True


@pytest.mark.parametrize("where", ["take", "_verify", "_made", "_moved"])
def test_killed_anywhere_before_the_commit_it_is_granted_the_next_time(
    room: Room, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    number = 1010 + ["take", "_verify", "_made", "_moved"].index(where)
    room.base.approved(number)
    record = next(one for one in room.due() if one.request.number == number)
    owner: Any = Requests if where == "take" else Repository
    work = getattr(owner, where)

    def killed(*arguments: Any, **named: Any) -> Any:
        if where == "take":
            work(*arguments, **named)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(owner, where, killed)
        with pytest.raises(Killed):
            room.grant(record)
    assert room.commits == 1
    assert room.base.state(number) == "approved"
    made = room.grant(record)
    assert room.settle(made) == [f"REQ-00{number}"]
    assert room.text.count(f"REQ-00{number}") == 1


def test_what_was_taken_back_before_its_status_was_written_does_not_come_back(room: Room) -> None:
    room.base.approved(1003)
    made = room.grant()
    with room.repository.change("security.one@tradepulse.example", "Offboard") as change:
        change.remove(Selector(request="REQ-001003"))
    again = room.grant()
    assert again.commit == made.commit
    assert room.settle(again) == []
    assert room.base.state(1003) == "failed"
    assert "REQ-001003" not in room.text


def test_what_nobody_could_have_asked_for_stops_no_other_request(room: Room) -> None:
    """Whoever takes the access service over can write rows; they must not be able to stop what ends and closes."""
    for number in (1010, 1011, 1012):
        room.base.approved(number)
    room.base.sql("ALTER TABLE access.request DISABLE TRIGGER USER")
    forged = "UPDATE access.request SET content = $2, hash = encode(sha256(convert_to($2, 'UTF8')), 'hex')"
    content = room.base.sql("SELECT content FROM access.request WHERE number = 1010")[0]["content"]
    room.base.sql(f"{forged} WHERE number = $1", 1010, content.replace(":", ": ", 1))
    content = room.base.sql("SELECT content FROM access.request WHERE number = 1011")[0]["content"]
    room.base.sql(f"{forged} WHERE number = $1", 1011, content.replace('"role":"viewer"', '"rule":["viewer"]'))
    room.base.sql("ALTER TABLE access.request ENABLE TRIGGER USER")
    due = room.due()
    assert [one.request.number for one in due] == [1011, 1012]
    assert isinstance(room.grant(due[1]), Granted), room.base.result(1012)
    assert room.grant(due[0]) is None
    assert room.base.state(1011) == "failed"


def test_a_request_that_is_cancelled_while_it_waits_for_the_repository_is_never_committed(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An offboarding cancels what the reconciler has taken already, and looks for its grant afterwards."""
    room.base.approved(1009)
    before = room.commits
    locked = Repository._locked

    def late(repository: Repository) -> Any:
        room.base.sql("ALTER TABLE access.request DISABLE TRIGGER USER")
        room.base.sql("UPDATE access.request SET state = 'cancelled' WHERE number = 1009")
        room.base.sql("ALTER TABLE access.request ENABLE TRIGGER USER")
        return locked(repository)

    monkeypatch.setattr(Repository, "_locked", late)
    assert room.grant() is None
    assert (room.commits, room.base.state(1009)) == (before, "cancelled")


def test_a_grant_that_ended_before_it_was_in_force_is_not_called_fulfilled(room: Room) -> None:
    """Its line stays in the file for as long as some realm cannot be brought to it."""
    room.base.approved(1005, seconds=600)
    made = room.grant()
    assert room.settle(made, after=601) == []
    assert "request: REQ-001005" in room.text
    assert room.base.state(1005) == "expired"


def test_a_request_whose_end_came_first_is_never_committed(room: Room) -> None:
    room.base.approved(1004, seconds=0.4)
    record = room.due()[0]
    threading.Event().wait(0.6)
    assert room.grant(record) is None
    assert room.base.state(1004) == "expired"
    assert room.commits == 1


@pytest.mark.parametrize(
    ("number", "voices", "said"),
    [
        (1020, (("manager.one", "manager"),), "missing-approval"),
        (1021, (("manager.one", "manager"), ("trader.one", "system_owner")), "no-say"),
        (1022, (("manager.two", "manager"), ("owner.one", "system_owner")), "no-say"),
    ],
)
def test_whoever_can_write_the_database_still_cannot_forge_an_approval(
    room: Room, number: int, voices: tuple[tuple[str, str], ...], said: str
) -> None:
    room.base.approved(number, voices=voices)
    assert room.grant() is None
    assert room.base.state(number) == "failed"
    assert said in (room.base.result(number)[1] or "")
    assert room.commits == 1


def test_a_text_that_was_changed_after_the_approvals_is_never_committed(room: Room) -> None:
    room.base.approved(1005)
    # As somebody who owns the whole database: no trigger runs, and the hash fits the new text.
    text = "replace(content, $1, $2)"
    room.base.sql(
        "WITH off AS (SELECT set_config('session_replication_role', 'replica', false)) UPDATE access.request"  # noqa: S608
        f" SET content = {text}, hash = encode(sha256(convert_to({text}, 'UTF8')), 'hex') FROM off WHERE number = 1005",
        '"role":"viewer"',
        '"role":"mlops"',
    )
    assert room.grant() is None
    assert room.base.state(1005) == "failed"
    assert "another text" in (room.base.result(1005)[1] or "")
    assert room.commits == 1


def test_a_grant_that_was_merged_under_another_message_is_found_by_its_binding(room: Room) -> None:
    room.base.approved(1008)
    made = room.grant()
    git(room.place, "commit", "--quiet", "--amend", "--message=Squashed by a forge")
    again = room.grant()
    assert again.commit != made.commit
    assert room.commits == 2
    assert room.settle(again) == ["REQ-001008"]


def test_two_reconcilers_at_once_make_one_commit(room: Room) -> None:
    room.base.approved(1006)
    record = room.due()[0]
    done: list[Any] = []

    def work() -> None:
        other = Room(room.base, room.place)
        try:
            done.append(other.grant(record))
        finally:
            other.requests.close()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert room.text.count("REQ-001006") == 1
    assert room.commits == 2
    assert room.base.state(1006) == "approved"
    assert room.settle(room.grant(record)) == ["REQ-001006"]


def test_a_database_that_is_away_decides_nothing(base: RequestBase, tmp_path: Path) -> None:
    settings = base.settings().model_copy(update={"database_url": "postgresql://access_reconciler@127.0.0.1:9/access"})
    requests = Requests(settings, node="test")
    try:
        with pytest.raises(RequestsUnavailable):
            requests.due("grant")
    finally:
        requests.close()


def test_a_notification_wakes_before_the_poll_does(room: Room) -> None:
    rung = threading.Event()
    room.requests.watch(600.0, rung.set)
    assert rung.wait(10)
    rung.clear()
    room.base.approved(1007)
    assert rung.wait(10)
