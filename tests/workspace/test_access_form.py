"""The form in which access is asked for, made a request; and what it offers. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from admin_sync.access.catalogue import catalogue
from admin_sync.load.document import load
from stack.layout import CHECKOUT
from workspace.asking import asked_for, wish_of

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
ENVIRONMENTS = ("dev", "staging", "prod")
FILLED = {
    "what": "role:quant",
    "environment.dev": "yes",
    "environment.staging": "yes",
    "why": " Needed  for the release. ",
    "lasts": "28800",
    "until": "",
    "starts": "",
    "subject": "",
}
ENVIRON = {"WORKSPACE_URL": "http://localhost:8400"}


def test_a_form_is_the_request_that_was_filled_in_and_nothing_more() -> None:
    wish = wish_of(FILLED, ENVIRONMENTS)
    assert wish.errors == {}
    assert wish.body(NOW) == {
        "kind": "grant",
        "payload": {"role": "quant"},
        "environments": ["dev", "staging"],
        "justification": "Needed for the release.",
        "expires": "2026-11-23T20:00:00+00:00",
    }


def test_times_of_the_form_are_utc_and_its_length_counts_from_the_beginning() -> None:
    starts = wish_of({**FILLED, "starts": "2026-12-01T08:00"}, ENVIRONMENTS).body(NOW)
    assert (starts["starts"], starts["expires"]) == ("2026-12-01T08:00:00+00:00", "2026-12-01T16:00:00+00:00")
    until = wish_of({**FILLED, "until": "2026-11-23T13:30"}, ENVIRONMENTS).body(NOW)
    assert until["expires"] == "2026-11-23T13:30:00+00:00"


def test_rules_that_are_set_aside_make_it_an_exception_for_whom_it_names() -> None:
    body = wish_of(
        {**FILLED, "what": "group:trading/night-desk", "rule.build-or-run": "yes", "subject": "a@b.example"},
        ENVIRONMENTS,
    ).body(NOW)
    assert body["kind"] == "exception"
    assert body["payload"] == {"group": "trading/night-desk", "rules": ["build-or-run"]}
    assert body["subject"] == "a@b.example"


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"what": ""}, "what"),
        ({"what": "role:"}, "what"),
        ({"what": "account:break-glass-1"}, "what"),
        ({"why": "too short"}, "why"),
        ({"why": "         x         "}, "why"),
        ({"lasts": "-1"}, "lasts"),
        ({"lasts": "99999999999999"}, "lasts"),
        ({"lasts": ""}, "lasts"),
        ({"until": "tomorrow"}, "until"),
        ({"starts": "2026-13-01T00:00"}, "starts"),
        ({"subject": "nobody"}, "subject"),
    ],
)
def test_what_is_missing_is_said_at_its_field(changed: dict[str, str], field: str) -> None:
    assert list(wish_of({**FILLED, **changed}, ENVIRONMENTS).errors) == [field]


def test_an_environment_that_is_not_offered_is_none() -> None:
    form = {"what": "role:quant", "why": FILLED["why"], "lasts": "3600", "environment.moon": "yes"}
    assert list(wish_of(form, ENVIRONMENTS).errors) == ["environments"]
    assert set(wish_of({}, ENVIRONMENTS).errors) == {"what", "environments", "why", "lasts"}


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ({"kind": "grant", "payload": {"role": "quant"}}, "role quant"),
        ({"kind": "grant", "payload": {"group": "research"}}, "group research"),
        ({"kind": "break_glass", "payload": {"account": "one"}}, "emergency account one"),
        ({"kind": "mfa_bypass", "payload": {"half": {}}}, "one login without the second factor"),
        ({"kind": "other", "payload": {}}, "other"),
    ],
)
def test_what_a_request_is_about_is_said_in_words(request_: dict[str, Any], said: str) -> None:
    assert asked_for(request_) == said


def test_what_is_offered_is_what_the_configuration_has_with_its_longest_times() -> None:
    document = load(CHECKOUT / "configs" / "iam", ENVIRON)
    found = catalogue(document, "dev")
    roles = {one.name: one for one in found.roles}
    assert roles["sre"].longest.total_seconds() == 8 * 3600
    assert roles["quant"].longest.days == 90
    assert "iam:modify" in roles["super_admin"].permissions
    assert (roles["viewer"].sensitive, roles["mlops"].sensitive) == (False, True)
    groups = {one.name: one for one in found.groups}
    # A subgroup gives what its group gives; a group that gives nothing is not on offer.
    assert groups["trading/night-desk"].permissions == groups["trading"].permissions
    assert "platform-owners" not in groups
    assert [one.name for one in found.rules] == ["build-or-run"]
    assert found.emergencies == ("break-glass-1", "break-glass-2")
    # What keeps roles of a realm out is not asked for there.
    assert found.environments == ("dev", "staging")
    assert catalogue(document, "prod").environments == ("dev", "staging", "prod")
