"""The pure comparison: what it finds, in which order, and that following it leaves nothing to find."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from admin_sync.diff import Action, Plan, diff
from admin_sync.model import Current, Desired, Ref, Resource, index

ORDER = ("role", "group", "client", "user", "binding")

_small = st.dictionaries(st.sampled_from("xy"), st.integers(0, 1))
_value = st.none() | st.integers(0, 2) | st.lists(st.integers(0, 1), max_size=2) | _small
_attrs = st.dictionaries(st.sampled_from(["a", "b", "c"]), _value, max_size=3)
_refs = st.builds(Ref, st.sampled_from(ORDER), st.sampled_from(["one", "two", "three"]))
_desired = st.dictionaries(_refs, _attrs, max_size=8)
_current = st.dictionaries(_refs, st.tuples(_attrs, st.booleans()), max_size=8)


def desired_of(table) -> Desired:
    return Desired("realm", "dev", index(Resource(ref, attrs) for ref, attrs in table.items()))


def current_of(table) -> Current:
    resources = [Resource(ref, attrs, server_id="id", managed=managed) for ref, (attrs, managed) in table.items()]
    return Current("realm", exists=True, resources=index(resources))


def merged(found: dict, wanted: dict) -> dict:
    """What a server has after it was told `wanted`: named keys replaced, in mappings as well, others kept."""
    result = dict(found)
    for name, value in wanted.items():
        if isinstance(value, dict) and isinstance(result.get(name), dict):
            result[name] = {**result[name], **value}
        else:
            result[name] = value
    return result


def followed(plan: Plan, table: dict) -> dict:
    """The server's side after a plan."""
    result = dict(table)
    for change in plan.changes:
        if change.action is Action.DELETE:
            del result[change.ref]
        elif change.action is Action.CREATE:
            result[change.ref] = (dict(change.after.attrs), True)
        else:
            attrs, managed = result[change.ref]
            result[change.ref] = (merged(attrs, dict(change.after.attrs)), managed)
    return result


@given(_desired, _current)
def test_following_a_plan_leaves_nothing_to_change(wanted, found) -> None:
    plan = diff(desired_of(wanted), current_of(found), ORDER)
    assert diff(desired_of(wanted), current_of(followed(plan, found)), ORDER).empty


@given(_desired, _current)
def test_what_is_not_ours_is_never_destroyed_and_what_is_undeclared_always(wanted, found) -> None:
    plan = diff(desired_of(wanted), current_of(found), ORDER)
    destroyed = {change.ref for change in plan.changes if change.action is Action.DELETE}
    assert destroyed == {ref for ref, (_, managed) in found.items() if managed and ref not in wanted}


@given(_desired, _current)
def test_everything_comes_after_what_it_depends_on(wanted, found) -> None:
    rank = {kind: number for number, kind in enumerate(ORDER)}
    changes = diff(desired_of(wanted), current_of(found), ORDER).changes
    given_ranks = [rank[change.ref.kind] for change in changes if change.action is not Action.DELETE]
    assert given_ranks == sorted(given_ranks)
    taken = [change for change in changes if change.action is Action.DELETE]
    ranks = [rank[change.ref.kind] for change in taken]
    assert ranks == sorted(ranks, reverse=True)
    actions = [change.action is Action.DELETE and change.ref.kind == "binding" for change in changes]
    assert actions == sorted(actions, reverse=True), "a person loses before they gain"


def test_only_named_attributes_are_compared() -> None:
    ref = Ref("role", "viewer")
    found = {ref: ({"description": "x", "color": "red", "config": {"kept": 1, "ours": 2}}, True)}
    assert diff(desired_of({ref: {"description": "x", "config": {"ours": 2}}}), current_of(found), ORDER).empty


def test_none_means_that_it_must_be_absent() -> None:
    ref = Ref("role", "viewer")
    wanted = desired_of({ref: {"flow": None}})
    assert diff(wanted, current_of({ref: ({}, True)}), ORDER).empty
    assert not diff(wanted, current_of({ref: ({"flow": "x"}, True)}), ORDER).empty


def test_a_secret_inside_a_mapping_is_known_as_one_when_it_is_new() -> None:
    resource = Resource(Ref("client", "x"), {"config": {"key": "k", "plain": 1}}, secrets=frozenset({"config.key"}))
    plan = diff(Desired("r", "dev", index([resource])), Current("r", exists=True, resources=index(())), ORDER)
    shown = {one.path: one.secret for one in plan.changes[0].differences}
    assert shown == {"config.key": True, "config.plain": False}


def test_an_unknown_kind_and_a_repeated_name_are_errors_of_ours() -> None:
    with pytest.raises(ValueError, match="order"):
        diff(desired_of({Ref("moon", "x"): {}}), current_of({}), ORDER)
    with pytest.raises(ValueError, match="two objects"):
        index([Resource(Ref("role", "x")), Resource(Ref("role", "x"))])
