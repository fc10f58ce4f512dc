"""What a partner's pages say, from the vault's answers alone: how a connection is, and a trail walked from its end."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from identity.audit.chain import START, Head, follow, head_of
from identity.audit.verify import verify_file
from workspace.partner import export
from workspace.partner.health import health
from workspace.partner.people import KnownPeople, deeds
from workspace.partner.trail import Backwards, Wanted, first_bad, wanted

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def connection(**members: Any) -> dict[str, Any]:
    return {
        "connection": "main", "broker": "paper", "state": "active", "state_reason": None, "relink_at": None,
        "expires_at": (NOW + timedelta(hours=1)).isoformat(), "expired": False, "has_refresh_token": True,
        "linked_by": "sub-1", "linked_at": "2026-11-23T11:00:00Z", "approved_by": None, "approved_at": None,
        "stored_by": "sub-1", "stored_at": "2026-11-23T11:00:00Z", **members,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("members", "label", "tone"),
    [
        ({}, "Healthy", "good"),
        ({"expires_at": None, "has_refresh_token": False}, "Healthy", "good"),
        ({"has_refresh_token": False}, "Ends soon", "warn"),
        ({"relink_at": (NOW + timedelta(hours=23)).isoformat()}, "Reconnect soon", "warn"),
        ({"relink_at": (NOW + timedelta(hours=25)).isoformat()}, "Healthy", "good"),
        ({"expired": True}, "Being renewed", "warn"),
        ({"expired": True, "has_refresh_token": False}, "Ended", "bad"),
        ({"state": "reconnect_needed", "state_reason": "invalid_grant"}, "Reconnect needed", "bad"),
        ({"state": "reconnect_needed", "state_reason": "never_heard_of:it"}, "Reconnect needed", "bad"),
        ({"state": "pending_approval"}, "Waits for approval", "warn"),
        ({"state": "pending_link"}, "Not finished", "warn"),
        ({"state": "revoked"}, "Revoked", "still"),
    ],
)
def test_health_is_what_somebody_has_to_do(members: dict[str, Any], label: str, tone: str) -> None:
    found = health(connection(**members), NOW)
    assert (found.label, found.tone) == (label, tone)
    assert found.means.endswith(".")


def chain(count: int, **members: Any) -> list[dict[str, Any]]:
    """A trail of so many lines, one for each hour."""
    lines, head = [], START
    for number in range(count):
        time = (NOW - timedelta(hours=count - number)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        line = follow(
            head,
            {
                "time": time, "event": "connection.link" if number % 2 else "audit.read", "outcome": "success",
                "actor": "a@acme.example", "partner": "acme-capital", "source": "vault-api", "node": "n",
                "resource": "partners/acme-capital/connections/main", "reason": None, "amr": ["pwd", "hwk"], **members,
            },
        )  # fmt: skip
        lines.append(line)
        head = head_of(line)
    return lines


def walked(lines: Sequence[dict[str, Any]], asked: Wanted, *, before: int | None = None, most: int = 50) -> Backwards:
    walk = Backwards(asked, head=head_of(lines[-1]) if lines else START, before=before, most=most)
    while (window := walk.window()) is not None:
        after, size = window
        prev = lines[after - 1]["hash"] if after else START.hash
        walk.take(lines[after : after + size], after=after, prev=prev, said=None)
    return walk


def test_a_trail_is_read_from_its_end_page_by_page_without_a_gap() -> None:
    lines, asked = chain(1203), Wanted(readings=True)
    seen: list[int] = []
    before: int | None = None
    while True:
        walk = walked(lines, asked, before=before)
        assert walk.bad is None
        seen += [line["seq"] for line in walk.lines]
        before = walk.older
        if before is None:
            break
    assert seen == list(range(1203, 0, -1))


def test_a_page_reads_a_bounded_part_and_says_where_to_go_on() -> None:
    lines = chain(2600)
    walk = walked(lines, Wanted(who="nobody"))
    assert (walk.lines, walk.looked_at, walk.older) == ([], 2000, 601)
    assert walked(lines, Wanted(who="nobody"), before=601).older is None


def test_days_before_the_first_one_are_not_read() -> None:
    lines = chain(1200)
    walk = walked(lines, Wanted(since="2026-11-22"))
    assert (walk.older, walk.looked_at) == (None, 500)
    assert {line["time"][:10] for line in walk.lines} == {"2026-11-22", "2026-11-23"}


def test_an_empty_trail_has_no_lines_and_nothing_wrong() -> None:
    walk = walked([], Wanted())
    assert (walk.lines, walk.older, walk.bad, walk.looked_at) == ([], None, None, 0)


def test_readings_are_left_out_but_not_refused_ones() -> None:
    quiet, denied = chain(4), chain(4, outcome="denied")
    assert [line["event"] for line in walked(quiet, Wanted()).lines] == ["connection.link"] * 2
    assert len(walked(denied, Wanted()).lines) == 4


@pytest.mark.parametrize(
    ("asked", "fits"),
    [
        (Wanted(kind="connections"), True),
        (Wanted(kind="keys"), False),
        (Wanted(outcome="denied"), False),
        (Wanted(who="A@ACME"), True),
        (Wanted(who="b@"), False),
        (Wanted(connection="main"), True),
        (Wanted(connection="mai"), False),
        (Wanted(since="2026-11-23", until="2026-11-23"), True),
        (Wanted(until="2026-11-22"), False),
    ],
)
def test_a_filter_takes_what_it_names(asked: Wanted, fits: bool) -> None:
    line = chain(2)[1]
    assert asked.fits(line) is fits


def test_a_changed_a_missing_and_a_cut_off_line_are_seen() -> None:
    lines = chain(10)
    changed = [*lines[:4], {**lines[4], "actor": "somebody@else.example"}, *lines[5:]]
    assert first_bad(changed, after=0, prev=START.hash) == 5
    assert first_bad([*lines[:4], *lines[5:]], after=0, prev=START.hash) == 5
    assert first_bad(lines[3:], after=3, prev=lines[2]["hash"]) is None
    assert first_bad(lines[3:], after=3, prev=lines[1]["hash"]) == 4
    cut = Backwards(Wanted(), head=head_of(lines[-1]), before=None, most=50)
    cut.take(lines[:-1], after=0, prev=START.hash, said=None)
    assert cut.bad is not None
    forged = chain(10, actor="somebody@else.example")
    walk = Backwards(Wanted(), head=head_of(lines[-1]), before=None, most=50)
    walk.take(forged, after=0, prev=START.hash, said=None)
    assert walk.bad == 10


def test_the_vaults_own_word_that_a_line_is_bad_is_kept() -> None:
    lines = chain(3)
    walk = Backwards(Wanted(), head=Head(3, lines[-1]["hash"]), before=None, most=50)
    walk.take(lines, after=0, prev=START.hash, said=2)
    assert walk.bad == 2


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ({}, set()),
        ({"since": "2026-11-01", "until": "2026-11-23", "kind": "keys", "outcome": "denied"}, set()),
        ({"since": "2026-02-30"}, {"since"}),
        ({"since": "yesterday", "until": "20261123"}, {"since", "until"}),
        ({"since": "2026-11-23", "until": "2026-11-01"}, {"until"}),
        ({"kind": "everything", "outcome": "perhaps"}, {"kind", "outcome"}),
        ({"who": "x" * 121, "connection": "a\x00b"}, {"who", "connection"}),
    ],
)
def test_what_a_filter_cannot_read_is_named_and_not_applied(given: dict[str, str], wrong: set[str]) -> None:
    asked, found = wanted(given)
    assert set(found) == wrong
    assert all(getattr(asked, name) == "" for name in wrong)


def test_a_filter_goes_into_an_address_and_back() -> None:
    asked = Wanted(kind="tokens", who="a&b", since="2026-11-01", readings=True)
    assert wanted(asked.query()) == (asked, {})


def test_json_lines_are_what_audit_verify_takes(tmp_path: Path) -> None:
    lines = chain(30, actor="jörg@acme.example")
    file = tmp_path / "trail.jsonl"
    file.write_text(export.lines(lines))
    assert verify_file(file).ok
    file.write_text(export.lines([*lines[:7], {**lines[7], "reason": "made up"}, *lines[8:]]))
    report = verify_file(file)
    assert report.bad is not None
    assert report.bad.line == 8


def test_no_cell_of_a_spreadsheet_is_a_formula() -> None:
    line = {**chain(1)[0], "actor": '=HYPERLINK("http://evil.example")', "reason": "+1", "resource": 'a "b", c'}
    read = list(csv.DictReader(io.StringIO(export.header() + export.rows([line]))))
    assert read[0]["actor"].startswith("'=")
    assert read[0]["reason"] == "'+1"
    assert (read[0]["resource"], read[0]["amr"], read[0]["seq"]) == ('a "b", c', "pwd hwk", "1")
    assert json.dumps(line["hash"]).strip('"') == read[0]["hash"]


def test_people_are_known_by_the_lines_of_what_they_did() -> None:
    shown = connection(approved_by="sub-2", approved_at="2026-11-23T11:30:00Z")
    done = deeds("acme-capital", shown)
    line = {"outcome": "success", "resource": "partners/acme-capital/connections/main"}
    events = [
        {**line, "event": "connection.linked", "time": "2026-11-23T11:00:00.4Z", "actor": "linker@acme.example"},
        {**line, "event": "connection.linked", "time": "2026-11-23T10:00:00Z", "actor": "earlier@acme.example"},
        {**line, "event": "connection.approve", "time": "2026-11-23T11:30:00Z", "actor": "x", "outcome": "denied"},
    ]
    known = KnownPeople()
    known.learn(done.values(), events)
    assert known.name(done["linked"]) == "linker@acme.example"
    assert known.name(done["approved"]) is None
    assert known.name(deeds("birch-research", shown)["linked"]) is None


def test_at_most_so_many_names_are_remembered() -> None:
    known = KnownPeople(size=1)
    for partner in ("acme-capital", "birch-research"):
        done = deeds(partner, connection())
        event = {
            "event": "connection.linked", "outcome": "success", "time": "2026-11-23T11:00:00Z", "actor": partner,
            "resource": f"partners/{partner}/connections/main",
        }  # fmt: skip
        known.learn(done.values(), [event])
    assert len(known) == 1
    assert known.name(deeds("birch-research", connection())["linked"]) == "birch-research"
