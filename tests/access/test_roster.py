"""The HR roster: what is read, what is refused and where, and what cannot be the next roster."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from admin_sync.errors import InvalidInput
from admin_sync.roster import Roster, implausible, parse, read
from admin_sync.roster.scim_form import EMPLOYMENT, ENTERPRISE, LIST

TODAY = date(2026, 11, 23)
HEADER = "email,name,manager,department,active,start,end,aliases\n"
LEE = "lee@x.example,Lee,,board,true,,,\n"
ANN = "ann@x.example,Ann,lee@x.example,research,true,2026-01-05,,ann.chen@x.example;a.chen@other.example\n"


def roster(*lines: str) -> Roster:
    return parse((HEADER + "".join(lines)).encode(), "roster.csv")


def user(number: int, email: str, manager: int | None = None, **more: Any) -> dict[str, Any]:
    enterprise: dict[str, Any] = {"department": "research"}
    if manager is not None:
        enterprise["manager"] = {"value": str(manager)}
    return {"id": str(number), "userName": email, "displayName": email, "active": True, ENTERPRISE: enterprise, **more}


def scim(users: Iterable[dict[str, Any]], **more: Any) -> bytes:
    listed = list(users)
    document = {"schemas": [LIST], "totalResults": len(listed), "Resources": listed, **more}
    return json.dumps(document, indent=1).encode()


def wrong(data: bytes, source: str = "roster.csv") -> list[tuple[int, str]]:
    with pytest.raises(InvalidInput) as caught:
        parse(data, source)
    return [(finding.line, finding.code) for finding in caught.value.findings]


def test_the_sample_roster_names_a_manager_for_everybody_with_a_binding() -> None:
    sample = read(Path("configs/hr/roster.csv"))
    for name in ("quant", "trader", "mlops", "security", "platform"):
        leader = sample.manager_of(f"{name}.one@tradepulse.example", TODAY)
        assert leader is not None
        assert leader.email.startswith("manager.")


def test_somebody_is_found_by_every_address_in_every_spelling() -> None:
    read_in = roster(LEE, ANN)
    for address in (
        "ann@x.example",
        "ANN@X.example",
        "ann+iam@x.example",
        "Ann.Chen@x.example",
        "a.chen@other.example",
    ):
        found = read_in.find(address)
        assert found is not None
        assert found.email == "ann@x.example"
        assert read_in.same_person("ann@x.example", address)
    assert read_in.find("chen@x.example") is None
    assert not read_in.same_person("ann@x.example", "lee@x.example")
    assert read_in.same_person("Stranger+1@x.example", "stranger@X.example")


def test_a_manager_who_has_left_speaks_for_nobody() -> None:
    for gone in ("false,,", "true,,2026-11-22", "true,2026-11-24,"):
        left = roster(f"lee@x.example,Lee,,board,{gone},\n", ANN)
        assert left.manager_of("ann@x.example", TODAY) is None
    assert roster(LEE, ANN).manager_of("ann@x.example", TODAY) is not None
    assert roster(LEE, ANN).manager_of("lee@x.example", TODAY) is None
    assert roster(LEE, ANN).manager_of("stranger@x.example", TODAY) is None


def test_the_first_and_the_last_day_are_working_days() -> None:
    read_in = roster("lee@x.example,Lee,,board,true,2026-11-01,2026-11-30,\n")
    days = [date(2026, 10, 31), date(2026, 11, 1), date(2026, 11, 30), date(2026, 12, 1)]
    assert [read_in.employed("lee@x.example", day) for day in days] == [False, True, True, False]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [(1, "missing-column")] * 5),
        (HEADER, [(1, "empty-roster")]),
        (HEADER.replace("aliases", "alias"), [(1, "unknown-column")]),
        (HEADER.replace("start", "email"), [(1, "duplicate-column")]),
        (HEADER + LEE + "ann@x.example,Ann,lee@x.exa", [(3, "half-row")]),
        (HEADER + LEE + '"ann@x.example,Ann', [(3, "csv")]),
        (HEADER + LEE + LEE, [(3, "duplicate")]),
        (HEADER + LEE + LEE.replace("lee@", "LEE+2@"), [(3, "duplicate")]),
        (HEADER + LEE + ANN + "bo@x.example,Bo,,it,true,,,A.Chen@other.example\n", [(4, "duplicate")]),
        (HEADER + ANN, [(2, "unknown-manager")]),
        (HEADER + LEE.replace("Lee,,", "Lee,lee@x.example,"), [(2, "manager-circle")]),
        (HEADER + LEE.replace("Lee,,", "Lee,a.chen@other.example,") + ANN, [(2, "manager-circle")]),
        (HEADER + LEE.replace("true", "yes"), [(2, "active")]),
        (HEADER + LEE.replace("true", ""), [(2, "missing")]),
        (HEADER + LEE.replace("lee@x.example", "lee at x"), [(2, "email")]),
        (HEADER + LEE.replace("Lee,", "\x1b[2J,"), [(2, "unprintable")]),
        (HEADER + "lee@x.example,Lee,,board,true,2026-02-30,,\n", [(2, "day")]),
        (HEADER + "lee@x.example,Lee,,board,true,2026-02-03,2026-02-01,\n", [(2, "end-before-start")]),
        (HEADER + "lee@x.example,,,,,,,\n" + "ann@x.example,,,,,,,\n", [(2, "missing")] * 3 + [(3, "missing")] * 3),
    ],
)
def test_a_broken_roster_is_refused_at_its_line(text: str, expected: list[tuple[int, str]]) -> None:
    assert wrong(text.encode()) == expected


def test_lines_are_those_of_the_file_where_a_value_spans_several() -> None:
    text = HEADER + 'lee@x.example,"Lee",,"board",true,,,\n\nann@x.example,"Ann\nChen",lee@x.example,it,true,,,\n' + LEE
    assert wrong(text.encode()) == [(4, "unprintable"), (6, "duplicate")]


def test_a_roster_in_another_encoding_is_refused_and_a_byte_order_mark_is_not() -> None:
    assert wrong((HEADER + LEE.replace("Lee", "Léa")).encode("latin-1")) == [(2, "encoding")]
    assert len(parse(b"\xef\xbb\xbf" + (HEADER + LEE).encode(), "roster.csv")) == 1


def test_both_forms_give_the_same_people() -> None:
    emails = [{"value": "ann@x.example", "primary": True}, {"value": "ann.chen@x.example"}]
    users = [
        user(1, "lee@x.example", displayName="Lee", **{ENTERPRISE: {"department": "board"}}),
        user(2, "annc", 1, displayName="Ann", emails=emails, **{EMPLOYMENT: {"start": "2026-01-05"}}),
    ]
    from_json = parse(scim(users), "users.json")
    from_csv = roster(LEE, ANN.replace(";a.chen@other.example", ""))
    assert from_json.employees == from_csv.employees


def test_a_page_of_a_list_is_not_the_list() -> None:
    users = [user(1, "lee@x.example"), user(2, "ann@x.example", 1)]
    assert wrong(scim(users, totalResults=3), "users.json") == [(1, "half-list")]
    assert wrong(scim(users)[:-40], "users.json") == [(1, "json")]
    assert wrong(scim(users, schemas=[]), "users.json") == [(1, "scim")]
    assert wrong(scim([]), "users.json") == [(1, "empty-roster")]


def test_findings_in_json_name_the_line_on_which_the_user_begins() -> None:
    users = [user(1, "lee@x.example"), user(2, "ann@x.example", 9), user(3, "bo@x.example", active="yes")]
    data = scim(users)
    begins = [number for number, line in enumerate(data.decode().splitlines(), 1) if line.startswith("  {")]
    assert wrong(data, "users.json") == [(begins[1], "email"), (begins[2], "scim")]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["value", "primary"]), inner),
    max_leaves=4,
)


def only_read_or_refused(data: bytes, source: str) -> None:
    try:
        count, findings = len(parse(data, source)), ()
    except InvalidInput as refused:
        count, findings = 0, refused.findings
    assert bool(count) != bool(findings)
    assert all(finding.line >= 1 and finding.code for finding in findings)


@given(st.binary(max_size=200), st.sampled_from(["roster.csv", "roster.json"]))
def test_no_bytes_do_anything_but_read_or_refuse(noise: bytes, source: str) -> None:
    for data in (noise, HEADER.encode() + noise, scim([user(1, "lee@x.example")])[:150] + noise):
        only_read_or_refused(data, source)


@given(
    st.sampled_from(["id", "userName", "displayName", "active", "emails", "name", ENTERPRISE, EMPLOYMENT, ""]),
    json_values,
)
def test_no_attribute_of_a_wrong_type_does_anything_but_be_refused(name: str, value: Any) -> None:
    only_read_or_refused(scim([user(1, "lee@x.example"), {**user(2, "ann@x.example", 1), name: value}]), "a.json")
    only_read_or_refused(scim([value]), "a.json")
    only_read_or_refused(scim([user(1, "lee@x.example")], schemas=value), "a.json")
    only_read_or_refused(scim([user(1, "lee@x.example")], Resources=value), "a.json")


@given(st.data())
def test_whoever_is_cut_off_is_missed_or_the_cut_is_found(data: st.DataObject) -> None:
    lines = [LEE, *(f"p{number}@x.example,P,lee@x.example,it,true,,,\n" for number in range(10))]
    whole = (HEADER + "".join(lines)).encode()
    cut = whole[: data.draw(st.integers(0, len(whole) - 2))]
    try:
        found = parse(cut, "roster.csv")
    except InvalidInput:
        return
    missing = len(lines) - len(found)
    assert missing <= 2 or implausible(roster(*lines), found, TODAY)


def crowd(size: int, domain: str = "x.example") -> Roster:
    return roster(
        f"boss@{domain},B,,board,true,,,\n",
        *(f"p{number}@{domain},P,boss@{domain},it,true,,,\n" for number in range(size - 1)),
    )


@pytest.mark.parametrize(
    ("before", "after", "refused"),
    [
        (crowd(100), crowd(100), False),
        (crowd(100), crowd(80), False),
        (crowd(100), crowd(79), True),
        (crowd(100), crowd(50), True),
        (crowd(100), crowd(100, "y.example"), True),
        (crowd(100), crowd(201), True),
        (crowd(4), crowd(2), False),
        (crowd(4), crowd(1), True),
        (crowd(5), crowd(20), False),
    ],
)
def test_a_roster_that_lost_or_gained_too_many_is_implausible(before: Roster, after: Roster, refused: bool) -> None:
    assert bool(implausible(before, after, TODAY)) is refused


def test_a_first_roster_needs_somebody_employed_and_somebody_led() -> None:
    assert implausible(None, crowd(3), TODAY) == ()
    assert implausible(None, roster(LEE.replace("true", "false")), TODAY)
    assert implausible(None, roster(LEE, LEE.replace("lee@", "ann@")), TODAY)


def test_whoever_changed_their_address_has_not_left_and_a_stated_number_may() -> None:
    renamed = [f"new{number}@x.example,P,boss@x.example,it,true,,,p{number}@x.example\n" for number in range(9)]
    assert implausible(crowd(10), roster("boss@x.example,B,,board,true,,,\n", *renamed), TODAY) == ()
    assert implausible(crowd(10), crowd(5), TODAY)
    assert implausible(crowd(10), crowd(5), TODAY, leavers_allowed=5) == ()
    assert implausible(crowd(10), crowd(5), TODAY, leavers_allowed=4)
