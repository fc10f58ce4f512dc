"""What a new roster or an event means for people: who joined, moved and left, and nobody forgotten too early."""

from __future__ import annotations

import json
import shutil
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from admin_sync.check import checked
from admin_sync.errors import InvalidInput, Misconfigured, Refused
from admin_sync.load.document import Document
from admin_sync.model import Current, Resource, index
from admin_sync.onboarding import events
from admin_sync.onboarding.invitations import Pending, passwords_in
from admin_sync.onboarding.movement import compare, with_earlier
from admin_sync.onboarding.remembered import OnboardingHeld, alone, recall, remember
from admin_sync.onboarding.report import text
from admin_sync.onboarding.run import Onboarding, refuse_implausible, still_here
from admin_sync.refs import user
from admin_sync.roster import Roster, parse

SAMPLE = Path(__file__).resolve().parents[2] / "configs" / "iam"
TODAY = date(2026, 11, 23)
LEE, KIM = "lee@tradepulse.example,Lee,,board,true,,,", "kim@tradepulse.example,Kim,,board,true,,,"
QUANT = "quant.one@tradepulse.example,Quinn Quant,lee@tradepulse.example,research,true,,,"
SPLIT = "quant.one+x@tradepulse.example"


def roster(*lines: str) -> Roster:
    header = "email,name,manager,department,active,start,end,aliases"
    return parse("\n".join([header, *lines, ""]).encode(), "roster.csv")


def happened(base: Roster, *lines: dict[str, Any]) -> Roster:
    return events.apply(base, "\n".join(map(json.dumps, lines)).encode(), "events.jsonl")


def emails(people: Any) -> list[str]:
    return [one.email.split("@")[0] for one in people]


@pytest.fixture(scope="module")
def document() -> Document:
    """The checkout's own configuration."""
    return checked(SAMPLE, {})


def reported(document: Document, before: Roster | None, after: Roster, *accounts: Resource) -> dict[str, Any]:
    realm = Current("tradepulse-prod", exists=True, resources=index(accounts))
    movement = compare(before, after, TODAY)
    return Onboarding(document, after, movement, {"prod": realm}, {}, ["prod"]).carry_out()


def account(email: str, *, enabled: bool) -> Resource:
    return Resource(user(email), {"email": email, "enabled": enabled}, server_id="id")


def test_of_a_first_roster_everybody_employed_has_joined() -> None:
    late = "new@tradepulse.example,New,lee@tradepulse.example,research,true,2026-11-24,,"
    gone = "old@tradepulse.example,Old,lee@tradepulse.example,research,true,,2026-11-22,"
    found = compare(None, roster(LEE, QUANT, late, gone), TODAY)
    assert (emails(found.joined), emails(found.moved), emails(found.left)) == (["lee", "quant.one"], [], ["old"])


def test_the_same_roster_again_says_nothing() -> None:
    found = compare(roster(LEE, QUANT), roster(LEE, QUANT), TODAY)
    assert found.joined == found.moved == found.left == ()


def test_somebody_joins_on_their_first_day_and_leaves_after_their_last() -> None:
    plan = roster(LEE, QUANT.replace(",true,,,", ",true,2026-11-23,2026-11-30,"))
    assert emails(compare(roster(LEE), plan, date(2026, 11, 22)).joined) == []
    assert emails(compare(roster(LEE), plan, TODAY).joined) == ["quant.one"]
    assert emails(compare(plan, plan, date(2026, 11, 30)).left) == []
    assert emails(compare(plan, plan, date(2026, 12, 1)).left) == ["quant.one"]


@pytest.mark.parametrize(
    "line", [None, QUANT.replace("true", "false"), QUANT.replace(",true,,,", ",true,,2026-11-01,")]
)
def test_whoever_is_gone_inactive_or_past_their_last_day_has_left(line: str | None) -> None:
    found = compare(roster(LEE, QUANT), roster(LEE, *filter(None, [line])), TODAY)
    assert (emails(found.joined), emails(found.left)) == ([], ["quant.one"])


def test_another_manager_department_or_main_address_is_a_move_and_no_hire() -> None:
    moved = QUANT.replace("lee@", "kim@").replace("research", "trading")
    (one,) = compare(roster(LEE, KIM, QUANT), roster(LEE, KIM, moved), TODAY).moved
    assert one.what == ("manager", "department")
    renamed = QUANT.replace("quant.one@", "q.li@").rstrip(",") + ",,,quant.one@tradepulse.example"
    found = compare(roster(LEE, QUANT), roster(LEE, renamed), TODAY)
    assert (emails(found.joined), emails(found.left), found.moved[0].what) == ([], [], ("email",))


def test_who_moves_keeps_what_they_hold_and_it_is_named_with_its_line(document: Document) -> None:
    moved = QUANT.replace("lee@", "kim@")
    (one,) = reported(document, roster(LEE, KIM, QUANT), roster(LEE, KIM, moved))["moved"]
    assert (one["before"], one["after"]) == (
        {"manager": "lee@tradepulse.example"},
        {"manager": "kim@tradepulse.example"},
    )
    (grant,) = one["certify_again"]
    assert grant["target"] == "group research"
    assert grant["at"].startswith("role_bindings.yaml:")


def test_who_left_is_listed_until_nothing_of_theirs_is_left(document: Document) -> None:
    before, after = roster(LEE, QUANT), roster(LEE)
    (one,) = reported(document, before, after)["left"]
    assert (one["email"], len(one["grants"])) == ("quant.one@tradepulse.example", 1)
    assert one["next"] == "admin-sync offboard quant.one@tradepulse.example"
    # Somebody whom no binding names, with an account: an enabled one is something, a disabled one is not.
    nobody = QUANT.replace("quant.one", "nobody")
    for enabled in (True, False):
        found = account("nobody@tradepulse.example", enabled=enabled)
        report = reported(document, roster(LEE, nobody), after, found)
        assert [one["accounts"] for one in report["left"]] == ([["prod"]] if enabled else [])
        movement = compare(roster(LEE, nobody), after, TODAY)
        assert bool(still_here(movement, report)) is enabled


def test_who_left_is_found_by_every_address(document: Document) -> None:
    renamed = QUANT.replace("quant.one@", "q.li@").rstrip(",") + ",,,QUANT.one@tradepulse.example"
    (one,) = reported(document, roster(LEE, renamed), roster(LEE))["left"]
    assert (one["email"], len(one["grants"])) == ("q.li@tradepulse.example", 1)


def test_earlier_leavers_come_back_into_sight_but_not_if_they_are_here_again() -> None:
    before = roster(LEE, QUANT)
    quiet = compare(roster(LEE), roster(LEE), TODAY)
    former = [one for one in before if one.email.startswith("quant")]
    assert emails(with_earlier(quiet, roster(LEE), former=former).left) == ["quant.one"]
    assert with_earlier(quiet, before, former=former).left == ()


def test_an_invitation_that_a_killed_run_began_is_taken_up() -> None:
    quiet = compare(roster(LEE, QUANT), roster(LEE, QUANT), TODAY)
    begun = ["quant.one@tradepulse.example", "stranger@tradepulse.example"]
    assert emails(with_earlier(quiet, roster(LEE, QUANT), begun=begun).joined) == ["quant.one"]


def test_federated_people_get_no_account_from_us(document: Document) -> None:
    (one,) = reported(document, roster(LEE), roster(LEE, QUANT))["joined"]
    assert one["accounts"] == {"prod": {"account": "at first login", "invitation": "none"}}


def test_somebody_barred_is_not_let_in_by_a_roster(tmp_path: Path) -> None:
    shutil.copytree(SAMPLE, tmp_path / "iam")
    with (tmp_path / "iam" / "role_bindings.yaml").open("a") as file:
        file.write("barred:\n  - {user: Quant.One@tradepulse.example, since: 2026-11-20T10:00:00Z}\n")
    barred = checked(tmp_path / "iam", {})
    (one,) = reported(barred, roster(LEE), roster(LEE, QUANT))["joined"]
    assert one["accounts"]["prod"]["account"] == "barred"
    assert one["next"] == "admin-sync reinstate quant.one@tradepulse.example"


def test_a_report_in_words_names_everybody_and_the_next_command(document: Document) -> None:
    before = roster(LEE, KIM, QUANT, "old@tradepulse.example,Old,lee@tradepulse.example,it,true,,,")
    after = roster(
        LEE, KIM, QUANT.replace("lee@", "kim@"), "new@tradepulse.example,New,lee@tradepulse.example,it,true,,,"
    )
    shown = text(reported(document, before, after, account("old@tradepulse.example", enabled=True)))
    assert "+ new@tradepulse.example (it): prod: account at first login" in shown
    assert "manager lee@tradepulse.example -> kim@tradepulse.example" in shown
    assert "admin-sync offboard old@tradepulse.example" in shown
    assert shown.endswith("Onboarded: 1 joined, 1 moved, 1 left.\n")


def test_an_implausible_roster_is_refused_with_exit_5_and_names_the_way_on() -> None:
    many = [f"p{number}@x.example,P,lee@tradepulse.example,it,true,,," for number in range(20)]
    with pytest.raises(Refused, match="implausible-roster: 10 of 21") as caught:
        refuse_implausible(roster(LEE, *many), roster(LEE, *many[:10]), TODAY, None)
    assert (caught.value.exit_code, "--allow-leavers" in str(caught.value)) == (5, True)
    refuse_implausible(roster(LEE, *many), roster(LEE, *many[:10]), TODAY, 10)


def test_events_hire_move_rename_and_end() -> None:
    ann = {"email": "ann@x.example", "name": "Ann", "department": "it", "manager": "lee@tradepulse.example"}
    after = happened(
        roster(LEE, KIM),
        {"event": "hired", **ann, "start": "2026-11-23", "aliases": ["a@x.example"]},
        {"event": "moved", "email": "A@x.example", "department": "ops", "manager": "kim@tradepulse.example"},
        {"event": "renamed", "email": "kim@tradepulse.example", "to": "kim.li@tradepulse.example"},
        {"event": "left", "email": "ann@x.example", "end": "2027-01-31"},
    )
    found = after.find("a@x.example")
    assert found is not None
    assert (found.department, found.manager, found.end) == ("ops", "kim.li@tradepulse.example", date(2027, 1, 31))
    assert after.same_person("kim@tradepulse.example", "kim.li@tradepulse.example")


def test_an_event_that_comes_twice_changes_nothing_more() -> None:
    lines = [
        {"event": "hired", "email": "ann@x.example", "name": "Ann", "department": "it"},
        {"event": "renamed", "email": "ann@x.example", "to": "li@x.example"},
        {"event": "left", "email": "li@x.example", "end": "2027-01-31"},
    ]
    once = happened(roster(LEE), *lines)
    twice = happened(once, *lines[1:])
    assert once.employees == twice.employees


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ('{"event": "hired", "email": "a@x.example"}', "missing"),
        ('{"event": "fired", "email": "lee@tradepulse.example"}', "event"),
        ('{"event": "left", "email": "who@x.example", "end": "2026-11-23"}', "unknown-person"),
        ('{"event": "left", "email": "lee@tradepulse.example", "end": "tomorrow"}', "day"),
        ('{"event": "left", "email": "lee@tradepulse.example", "end": 5}', "wrong-type"),
        ('{"event": "left", "email": "lee@tradepulse.example", "end": "2026-11-23", "why": "x"}', "unknown-field"),
        ('{"event": "moved", "email": "lee@tradepulse.example", "manager": "lee"}', "email"),
        ('{"event": "moved", "email": "lee@tradepulse.example", "manager": "who@x.example"}', "unknown-manager"),
        (
            '{"event": "moved", "email": "lee@tradepulse.example", "manager": "lee@tradepulse.example"}',
            "manager-circle",
        ),
        ('{"event": "renamed", "email": "lee@tradepulse.example", "to": "kim@tradepulse.example"}', "duplicate"),
        ('{"event": "left", "email": "lee@tradepulse.exa', "json"),
        ('{"event": "left", "event": "hired"}', "json"),
        ("[]", "json"),
    ],
)
def test_a_broken_event_is_refused_at_its_line(line: str, code: str) -> None:
    data = f'{{"event": "moved", "email": "kim@tradepulse.example", "department": "it"}}\n{line}\n'.encode()
    with pytest.raises(InvalidInput) as caught:
        events.apply(roster(LEE, KIM), data, "events.jsonl")
    assert {(one.line, one.code) for one in caught.value.findings} == {(2, code)}


@given(st.lists(st.sampled_from([LEE, KIM, QUANT, QUANT.replace("lee@", "kim@")]), unique=True))
def test_what_is_remembered_is_what_was_there(tmp_path_factory: pytest.TempPathFactory, lines: list[str]) -> None:
    try:
        made = roster(*lines)
    except InvalidInput:
        return
    place = tmp_path_factory.mktemp("state")
    remember(place, made, made.employees[:1])
    last = recall(place)
    assert (last.roster, last.former) == (made, made.employees[:1])
    assert (place / "roster.json").stat().st_mode & 0o077 == 0


def test_a_memory_that_cannot_be_read_is_no_empty_one(tmp_path: Path) -> None:
    assert recall(tmp_path).roster is None
    for broken in (b"", b"{}", b'{"employees": [{}], "former": [], "source": "x", "digest": "x"}'):
        (tmp_path / "roster.json").write_bytes(broken)
        with pytest.raises(Misconfigured, match="cannot be read"):
            recall(tmp_path)


def test_two_runs_do_not_work_at_once(tmp_path: Path) -> None:
    with alone(tmp_path / "state"), pytest.raises(OnboardingHeld) as caught, alone(tmp_path / "state"):
        pass
    assert caught.value.exit_code == 6
    with alone(tmp_path / "state"):
        pass


def test_an_invitation_begun_is_open_until_it_is_done_whatever_tore_the_last_line(tmp_path: Path) -> None:
    pending = Pending(tmp_path)
    pending.begun("dev", "a@x.example")
    pending.begun("dev", "b@x.example")
    pending.done("dev", "a@x.example")
    with (tmp_path / "invitations.jsonl").open("ab") as file:
        file.write(b'["done","dev","b@x.exam')
    again = Pending(tmp_path)
    assert again.open == {("dev", "b@x.example")}
    again.begun("dev", "c@x.example")
    assert Pending(tmp_path).open == {("dev", "b@x.example"), ("dev", "c@x.example")}
    assert Pending(tmp_path).closed == {("dev", "a@x.example")}
    again.clear()
    assert Pending(tmp_path).open, "what is open is not forgotten"
    for email in ("b@x.example", "c@x.example"):
        again.done("dev", email)
    again.clear()
    assert list(tmp_path.iterdir()) == []


def test_passwords_go_into_no_file_that_others_can_read(tmp_path: Path) -> None:
    loose = tmp_path / "loose"
    loose.touch(mode=0o644)
    with pytest.raises(Misconfigured, match="others can read"), passwords_in(loose):
        pass
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Misconfigured), passwords_in(link):
        pass
    assert not (tmp_path / "elsewhere").exists()
