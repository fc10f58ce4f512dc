"""Roles in words, the end that a form asks for, and the first steps of a partner."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from admin_sync.load.document import load
from stack.layout import CHECKOUT
from workspace.partner.terms import mistakes, role_means, role_name, steps, until_of

NOW = datetime(2026, 11, 23, 15, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("given", "end"),
    [
        ({}, None),
        ({"lasts": ""}, None),
        ({"lasts": "604800"}, datetime(2026, 11, 30, 15, 30, tzinfo=UTC)),
        ({"until": "2026-11-23"}, datetime(2026, 11, 24, tzinfo=UTC)),
        ({"until": "2027-01-31", "lasts": "86400"}, datetime(2027, 2, 1, tzinfo=UTC)),
    ],
    ids=["nothing", "without an end", "a week", "today, to its end", "a day counts more than a span"],
)
def test_a_form_says_until_when(given: dict[str, str], end: datetime | None) -> None:
    assert until_of(given, NOW) == (end, {})


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"until": "2026-11-22"}, "until"),
        ({"until": "soon"}, "until"),
        ({"until": "2027-02-30"}, "until"),
        ({"lasts": "5"}, "lasts"),
        ({"lasts": "-86400"}, "lasts"),
    ],
)
def test_what_is_no_end_is_said_at_its_field_and_not_taken_for_none(given: dict[str, str], field: str) -> None:
    end, wrong = until_of(given, NOW)
    assert end is None
    assert list(wrong) == [field]


def test_every_partner_role_of_the_configuration_has_a_name_for_people_and_a_sentence() -> None:
    document = load(CHECKOUT / "configs" / "iam", {})
    for role in document.roles.partner_roles:
        assert role_name(role) != role
        assert role_means(role)
    # One that is added later is shown as it is called.
    assert (role_name("partner-auditor"), role_means("partner-auditor")) == ("partner-auditor", "")


def test_what_the_vault_finds_wrong_is_put_into_words_at_its_field_and_the_rest_is_left_to_its_own() -> None:
    errors = [{"location": "/until", "code": "longer_than_own"}, {"location": "/password"}, "?", {"location": None}]
    assert list(mistakes({"errors": errors})) == ["until"]
    assert mistakes({"errors": "many"}) == mistakes({}) == {}


def _found(people: int = 1, *, may: bool = True, invited: int = 0) -> dict[str, Any]:
    return {"name": "Acme", "members": [{}] * people, "may_manage": may, "invitations": [{}] * invited}


def _done(**known: Any) -> list[bool]:
    you = {"factor": known.pop("factor", "app")}
    connections = known.pop("connections", 0)
    return [done for _, done, *_ in steps("acme", you, _found(**known), connections)]


def test_the_first_steps_are_done_one_by_one() -> None:
    assert _done() == [True, False, False, False]
    assert _done(factor="security_key") == [True, True, False, False]
    assert _done(factor="security_key", connections=1) == [True, True, True, False]
    assert _done(connections=1, invited=1) == [True, False, True, True]
    assert _done(people=2) == [True, False, False, True]
    # Who manages no members is not asked to bring somebody in.
    assert _done(may=False) == [True, False, False]
