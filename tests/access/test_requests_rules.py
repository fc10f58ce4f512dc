"""What a request is, who has a say, and why one is refused: pure functions on the sample's configuration."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from access_world import CHECKOUT, ENVIRON, ROSTER, at
from hypothesis import given
from hypothesis import strategies as st

from admin_sync.access.chain import Need, Voice, missing
from admin_sync.access.request import Approval, MalformedRequest, Record, Request, read_content
from admin_sync.access.rules import Facts, matter_of, needs_of, refusals, still_refused
from admin_sync.access.speakers import Matter, Speakers
from admin_sync.access.state import State
from admin_sync.access.verified import problems
from admin_sync.check import check
from admin_sync.check.escalation import silent_owners
from admin_sync.load.document import Document, load
from admin_sync.load.schema.bindings import Binding, BindingsFile
from admin_sync.roster import Roster, parse

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
DOCUMENT = replace(load(CHECKOUT / "configs" / "iam", ENVIRON), now=NOW)
PEOPLE: Roster = parse(ROSTER.encode(), "roster.csv")
FACTS = Facts(DOCUMENT, Speakers(DOCUMENT, PEOPLE, NOW), NOW)


def asked(**changes: Any) -> Request:
    base: dict[str, Any] = {
        "number": 42,
        "kind": "grant",
        "requester": at("mlops.one"),
        "requester_account": "account-of-mlops",
        "subject": at("mlops.one"),
        "payload": {"role": "viewer"},
        "environments": ("dev",),
        "justification": "Needed for the release of this week.",
        "asked_at": NOW,
        "expires": NOW + timedelta(hours=4),
    }
    return Request(**{**base, **changes})


def codes(request: Request, others: Iterable[Request] = (), facts: Facts = FACTS) -> set[str]:
    return {one.code for one in refusals(facts, request, list(others))}


def with_bindings(*more: dict[str, Any]) -> Facts:
    made = [Binding.model_validate(one) for one in more]
    bindings = BindingsFile(version=1, bindings=[*DOCUMENT.bindings.bindings, *made])
    document = replace(DOCUMENT, bindings=bindings)
    return Facts(document, Speakers(document, PEOPLE, NOW), NOW)


@pytest.mark.parametrize(
    "change",
    [
        {"number": 43},
        {"kind": "exception"},
        {"requester": at("quant.one")},
        {"requester_account": "another"},
        {"subject": at("quant.one")},
        {"payload": {"role": "admin"}},
        {"environments": ("dev", "staging")},
        {"environments": ("prod",)},
        {"justification": "Needed for something else this week."},
        {"asked_at": NOW + timedelta(microseconds=1)},
        {"expires": NOW + timedelta(hours=5)},
        {"starts": NOW},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_member_of_a_request_is_in_its_hash(change: dict[str, Any]) -> None:
    assert asked(**change).hash != asked().hash


@given(
    st.text(min_size=1, max_size=60),
    st.dictionaries(st.text(max_size=8), st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=8), max_size=4),
)
def test_a_stored_text_gives_back_the_request_or_nothing(reason: str, payload: dict[str, Any]) -> None:
    request = asked(justification=reason, payload=payload)
    assert read_content(request.content) == request
    with pytest.raises(MalformedRequest):
        read_content(request.content.replace('"form":1', '"form": 1'))


CAPACITIES = st.sampled_from(["manager", "security", "risk"])


@given(
    st.lists(st.builds(Need, CAPACITIES), max_size=5),
    st.lists(st.builds(Voice, st.sampled_from("abcdef"), CAPACITIES), max_size=8),
)
def test_as_many_people_are_needed_as_the_chain_says(needs: list[Need], voices: list[Voice]) -> None:
    left = missing(needs, voices)
    first: dict[str, str] = {}
    for voice in voices:
        first.setdefault(voice.person, voice.capacity)
    for capacity in {need.capacity for need in needs}:
        wanted = sum(need.capacity == capacity for need in needs)
        said = sum(one == capacity for one in first.values())
        assert sum(need.capacity == capacity for need in left) == max(0, wanted - said)


def test_an_owner_of_both_roles_speaks_for_both_and_an_owner_of_one_for_one() -> None:
    needs = needs_of(FACTS, asked(payload={"group": "research"}))
    assert needs == (
        Need("manager"),
        Need("system_owner", ("platform-owners",)),
        Need("system_owner", ("research-owners",)),
    )
    manager = Voice("m", "manager")
    assert (
        missing(needs, [manager, Voice("o", "system_owner", frozenset({"platform-owners", "research-owners"}))]) == ()
    )
    assert missing(needs, [manager, Voice("o", "system_owner", frozenset({"research-owners"}))]) == (
        Need("system_owner", ("platform-owners",)),
    )


def test_a_role_that_includes_an_elevated_one_needs_what_that_one_needs() -> None:
    assert [need.capacity for need in needs_of(FACTS, asked(payload={"group": "security"}))][-1] == "security"
    assert "too-long" in codes(asked(payload={"role": "super_admin"}, expires=NOW + timedelta(hours=9)))
    assert "too-long" not in codes(asked(payload={"role": "super_admin"}, expires=NOW + timedelta(hours=8)))


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"environments": ("dev", "prod")}, "crosses-environments"),
        ({"environments": ("nowhere",)}, "unknown-environment"),
        ({"environments": ()}, "environments"),
        ({"environments": ("dev", "dev")}, "environments"),
        ({"payload": {"role": "no-such-role"}}, "unknown-role"),
        ({"payload": {"group": "no/such/group"}}, "unknown-group"),
        ({"payload": {"role": "viewer", "group": "research"}}, "payload"),
        ({"payload": {"role": "viewer", "until": "forever"}}, "payload"),
        ({"payload": {}}, "payload"),
        ({"kind": "backdoor"}, "unknown-kind"),
        ({"justification": "   because  "}, "justification"),
        ({"justification": "a line\nand another one"}, "justification"),
        ({"expires": NOW}, "end-before-start"),
        ({"expires": NOW + timedelta(days=91)}, "too-long"),
        ({"starts": NOW + timedelta(hours=5)}, "end-before-start"),
        ({"starts": NOW - timedelta(hours=1)}, "starts-in-the-past"),
        (
            {"starts": datetime(9999, 12, 30, tzinfo=UTC), "expires": datetime(9999, 12, 31, tzinfo=UTC)},
            "too-far",
        ),
        ({"starts": NOW + timedelta(days=80), "expires": NOW + timedelta(days=100)}, "too-far"),
        (
            {
                "kind": "break_glass",
                "payload": {"account": "break-glass-1"},
                "starts": NOW + timedelta(days=20),
                "expires": NOW + timedelta(days=20, hours=1),
            },
            "too-far",
        ),
        ({"kind": "break_glass", "payload": {"account": "root"}}, "unknown-account"),
        ({"kind": "break_glass", "payload": {"account": "break-glass-1"}, "subject": at("quant.one")}, "own-only"),
        (
            {"kind": "break_glass", "payload": {"account": "break-glass-1"}, "expires": NOW + timedelta(hours=2)},
            "too-long",
        ),
        ({"kind": "mfa_bypass", "payload": {}}, "payload"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused_with_its_code(changes: dict[str, Any], code: str) -> None:
    assert code in codes(asked(**changes))


def test_a_time_is_an_instant_whatever_its_offset_and_whatever_the_clocks_do() -> None:
    # The night on which New York sets its clocks back: 01:30 comes twice, and the two are an hour apart.
    first = datetime.fromisoformat("2026-11-01T01:30:00-04:00")
    second = datetime.fromisoformat("2026-11-01T01:30:00-05:00")
    before = replace(FACTS, now=first)
    assert codes(asked(asked_at=first, expires=second.astimezone(UTC)), facts=before) == set()
    assert "end-before-start" in codes(asked(asked_at=second, expires=first.astimezone(UTC)), facts=before)


def test_membership_speaks_where_it_holds_while_it_holds_and_in_its_subgroups() -> None:
    matter = Matter(("dev", "staging"), at("mlops.one"), at("mlops.one"))
    one = {"subject": {"user": at("newcomer")}, "group": "security"}
    only_dev = with_bindings({**one, "environments": ["dev"]})
    assert only_dev.speakers.voice(at("newcomer"), "security", matter) is None
    ended = with_bindings({**one, "environments": ["dev", "staging"], "expires": "2026-11-23T11:59:59Z"})
    assert ended.speakers.voice(at("newcomer"), "security", matter) is None
    two_halves = with_bindings({**one, "environments": ["dev"]}, {**one, "environments": ["staging"]})
    assert two_halves.speakers.voice(at("new.account"), "security", matter) == Voice(at("newcomer"), "security")
    owner = with_bindings({"subject": {"user": at("gone.owner")}, "group": "platform-owners", "environments": ["dev"]})
    assert (
        owner.speakers.voice(at("gone.owner"), "system_owner", Matter(("dev",), "a@b.example", "a@b.example")) is None
    )


def test_without_a_roster_nobody_has_a_say() -> None:
    speakers = Speakers(DOCUMENT, None, NOW)
    matter = Matter(("dev",), at("mlops.one"), at("mlops.one"))
    for capacity in ("manager", "system_owner", "security", "risk"):
        for who in ("manager.one", "owner.one", "security.one", "chief"):
            assert speakers.voice(at(who), capacity, matter) is None
    facts = Facts(DOCUMENT, speakers, NOW)
    assert "no-approver" in codes(asked(), facts=facts)


def test_an_owner_that_is_no_group_is_said_and_its_role_can_be_asked_of_nobody() -> None:
    assert silent_owners(DOCUMENT) == []
    known = {name: group for name, group in DOCUMENT.roles.groups.items() if name != "platform-owners"}
    left = [one for one in DOCUMENT.bindings.bindings if one.group != "platform-owners"]
    bindings = BindingsFile(version=1, bindings=left)
    document = replace(DOCUMENT, roles=DOCUMENT.roles.model_copy(update={"groups": known}), bindings=bindings)
    (remark,) = silent_owners(document)
    assert "platform-owners" in remark
    assert "viewer, sre" in remark
    assert "no-approver" in codes(asked(), facts=Facts(document, Speakers(document, PEOPLE, NOW), NOW))


def test_a_role_without_owners_is_not_approved_by_the_owner_of_another_one() -> None:
    viewer = DOCUMENT.roles.roles["viewer"].model_copy(update={"owners": []})
    roles = DOCUMENT.roles.model_copy(update={"roles": {**DOCUMENT.roles.roles, "viewer": viewer}})
    document = replace(DOCUMENT, roles=roles)
    facts = Facts(document, Speakers(document, PEOPLE, NOW), NOW)
    voice = facts.speakers.voice(at("owner.one"), "system_owner", matter_of(asked()))
    assert voice is not None
    assert not any(voice.answers(need) for need in needs_of(facts, asked()))
    assert "no-approver" in codes(asked(), facts=facts)


def test_somebody_who_is_barred_neither_gets_nor_gives() -> None:
    bindings = DOCUMENT.bindings.model_copy(
        update={
            "barred": BindingsFile.model_validate(
                {"version": 1, "bindings": [], "barred": [{"user": at("owner.one"), "since": "2026-11-01T00:00:00Z"}]}
            ).barred
        }
    )
    document = replace(DOCUMENT, bindings=bindings)
    facts = Facts(document, Speakers(document, PEOPLE, NOW), NOW)
    assert facts.speakers.voice(at("owner.one"), "system_owner", Matter(("dev",), "a@b.example", "a@b.example")) is None
    assert codes(asked(subject=at("owner.one"), requester=at("chief")), facts=facts) == {"barred"}


def test_roles_that_are_kept_apart_do_not_meet_by_any_two_requests() -> None:
    sides = [
        [{"role": "quant"}, {"group": "research"}],
        [{"role": "trader"}, {"group": "trading"}, {"group": "trading/night-desk"}],
    ]
    person = {"requester": at("newcomer"), "subject": at("newcomer")}
    for one, other in itertools.product(*sides):
        for first, second in ((one, other), (other, one)):
            waiting = asked(**person, number=7, payload=first)
            assert "segregation-of-duties" in codes(asked(**person, payload=second), [waiting])
            aliased = asked(requester=at("new.account"), subject=at("new.account"), number=7, payload=first)
            assert "segregation-of-duties" in codes(asked(**person, payload=second), [aliased])
            elsewhere = asked(**person, number=7, payload=first, environments=("staging",))
            assert "segregation-of-duties" not in codes(asked(**person, payload=second), [elsewhere])


def decided(request: Request, *said: tuple[str, str], **changes: Any) -> Record:
    given_at = NOW + timedelta(minutes=1)
    approvals = tuple(
        Approval(
            person=FACTS.speakers.person(at(who)), by=at(who), account=f"account-of-{who}", capacity=capacity,
            hash=request.hash, at=given_at, acr="aal3", auth_time=1, session="s", realm="dev",
        )
        for who, capacity in said
    )  # fmt: skip
    base: dict[str, Any] = {
        "request": request,
        "stored_hash": request.hash,
        "state": State.APPROVED,
        "changed_at": given_at,
        "changed_by": "x",
        "approvals": approvals,
    }
    return Record(**{**base, **changes})


ENOUGH = (("manager.one", "manager"), ("owner.one", "system_owner"))


def found(record: Record, document: Document = DOCUMENT, *others: Request, after: float = 2) -> set[str]:
    now = NOW + timedelta(minutes=after)
    return {one.code for one in problems(document, PEOPLE, record, others, now)}


def test_the_reconciler_believes_an_honest_row_and_no_forged_one() -> None:
    request = asked()
    assert found(decided(request, *ENOUGH)) == set()
    forged = replace(request, payload={"role": "quant"})
    assert found(decided(forged, *ENOUGH, stored_hash=request.hash)) == {"hash"}
    honest = decided(request, *ENOUGH)
    other_text = tuple(replace(one, hash=forged.hash) for one in honest.approvals)
    assert "hash" in found(replace(honest, approvals=other_text))
    assert found(decided(request, ENOUGH[0])) == {"missing-approval"}
    assert found(decided(request, ENOUGH[0], ENOUGH[0])) == {"missing-approval"}
    assert found(decided(request, ENOUGH[0], ("manager.one", "system_owner"))) == {"no-say", "missing-approval"}
    assert found(decided(request, ENOUGH[0], ("mlops.one", "system_owner"))) == {"no-say", "missing-approval"}
    assert found(decided(request, *ENOUGH, state=State.OPEN)) == {"not-approved"}
    same_account = tuple(replace(one, account=request.requester_account) for one in honest.approvals)
    assert "no-say" in found(replace(honest, approvals=same_account))
    early = tuple(replace(one, at=NOW - timedelta(days=1)) for one in honest.approvals)
    assert "approval-time" in found(replace(honest, approvals=early))
    late = tuple(replace(one, at=NOW + timedelta(days=1)) for one in honest.approvals)
    assert "approval-time" in found(replace(honest, approvals=late))
    assert found(honest, after=5 * 60) == {"expired"}


def test_the_reconciler_takes_no_yes_for_production_that_was_given_in_another_realm() -> None:
    request = asked(environments=("prod",))

    def given_in(*realms: str | None) -> set[str]:
        honest = decided(request, *ENOUGH)
        pairs = zip(honest.approvals, realms, strict=True)
        return found(replace(honest, approvals=tuple(replace(one, realm=realm) for one, realm in pairs)))

    assert given_in("prod", "prod") == set()
    assert given_in("dev", "prod") == {"another-realm", "missing-approval"}
    # One of before realms were noted could be of any of them.
    assert given_in("prod", None) == {"another-realm", "missing-approval"}
    old = decided(asked(), *ENOUGH)
    assert found(replace(old, approvals=tuple(replace(one, realm=None) for one in old.approvals))) == set()


def test_the_reconciler_keeps_duties_apart_that_were_approved_at_once() -> None:
    person = {"requester": at("newcomer"), "subject": at("newcomer")}
    quant, trader = asked(**person, payload={"role": "quant"}), asked(**person, number=43, payload={"role": "trader"})
    assert found(decided(quant, *ENOUGH), DOCUMENT, trader) == {"segregation-of-duties"}


def test_what_was_agreed_to_is_a_binding_that_the_configuration_accepts() -> None:
    request = asked(payload={"role": "sre"}, environments=("staging",))
    record = decided(request, *ENOUGH, ("security.one", "security"))
    assert found(record) == set()
    binding = Binding.model_validate(
        {
            "subject": {"user": request.subject},
            "role": "sre",
            "environments": ["staging"],
            "expires": request.expires.isoformat(),
            "request": request.id,
            "justification": request.justification,
            "approvals": [{"by": one.by, "as": one.capacity, "at": one.at.isoformat()} for one in record.approvals],
        }
    )
    bindings = BindingsFile(version=1, bindings=[*DOCUMENT.bindings.bindings, binding])
    later = replace(DOCUMENT, bindings=bindings, now=NOW + timedelta(minutes=2))
    assert check(later) == []


def test_a_request_that_is_open_is_judged_by_the_day_it_was_asked_on() -> None:
    # Somebody who decides late finds a request that is shorter, not one that is too far in the past.
    request = asked(expires=NOW + timedelta(days=89))
    late = NOW + timedelta(days=60)
    assert still_refused(Facts(replace(DOCUMENT, now=late), Speakers(DOCUMENT, PEOPLE, late), late), request, []) == []
