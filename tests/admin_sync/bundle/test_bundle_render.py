"""The data document says what the source says, in the form that decisions are quick on, byte for byte the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from random import Random
from typing import Any

from bundle_workshop import sample
from hypothesis import given
from hypothesis import strategies as st

from admin_sync.bundle.render import NEVER, canonical, digest, render
from admin_sync.bundle.source import Assurance, PolicySource, Role


def test_a_way_through_another_role_keeps_what_binds_that_role(source: PolicySource) -> None:
    assert render(source)["routes"]["execution:launch"] == {
        "trader": [{"level": 3, "windows": ["trader"]}],
        "head": [{"level": 3, "windows": ["trader"]}],
    }


def test_what_a_role_has_by_itself_is_not_bound_by_what_it_includes(source: PolicySource) -> None:
    assert render(source)["routes"]["connection:read"]["head"] == [{"level": 2, "windows": []}]


def test_of_several_ways_only_those_that_no_other_undercuts_are_kept(source: PolicySource) -> None:
    roles = {**source.roles, "desk": Role(permissions=frozenset({"execution:launch"}), includes=frozenset({"trader"}))}
    assert render(replace(source, roles=roles))["routes"]["execution:launch"]["desk"] == [{"level": 2, "windows": []}]


def test_the_interactive_and_the_sensitive_level_bind_every_way(source: PolicySource) -> None:
    strict = Assurance(interactive="aal1", sensitive=replace(source.assurance.sensitive, level="aal3"))
    data = render(replace(source, assurance=strict, windows={}))
    assert data["routes"]["analytics:read"]["viewer"][0]["level"] == 1
    assert data["routes"]["execution:launch"]["trader"][0]["level"] == 3
    assert data["partner_routes"] == {"connection:read": {"partner-admin": 1}}


def test_every_permission_of_a_role_is_listed_once(source: PolicySource) -> None:
    assert render(source)["roles"]["head"] == {"permissions": ["analytics:read", "connection:read", "execution:launch"]}


def test_the_longest_of_several_grants_is_kept_under_one_address(source: PolicySource) -> None:
    assert render(source)["grants"] == {
        "dev": {},
        "prod": {"ada@example.test": {"viewer": 1800000000, "trader": NEVER}},
    }


def test_a_window_is_in_minutes_and_in_the_names_of_opa(source: PolicySource) -> None:
    assert render(source)["windows"]["trader"] == {
        "environments": ["prod"],
        "weekdays": ["Monday", "Friday"],
        "opens": 1320,
        "closes": 120,
        "timezone": "America/New_York",
    }


def test_every_environment_is_listed_even_with_nothing_to_say(source: PolicySource) -> None:
    data = render(source)
    assert data["environments"] == {"dev": {"deny_roles_from": []}, "prod": {"deny_roles_from": ["dev"]}}
    assert data["federated_roles"] == {"dev": ["viewer"], "prod": []}


@given(st.randoms(use_true_random=False))
def test_the_order_of_the_source_does_not_reach_the_bytes(random: Random) -> None:
    source = sample()

    def shuffled(mapping: Mapping[str, Any]) -> dict[str, Any]:
        items = list(mapping.items())
        random.shuffle(items)
        return dict(items)

    grants = list(source.grants)
    random.shuffle(grants)
    other = replace(
        source, permissions=shuffled(source.permissions), roles=shuffled(source.roles), grants=tuple(grants)
    )
    assert canonical(render(other)) == canonical(render(source))


def test_the_digest_changes_with_data_rules_and_emergency_roles_only(source: PolicySource) -> None:
    data, rules = render(source), {"decision.rego": b"package x"}
    first = digest(data, ["head"], rules)
    assert first == digest(render(source), {"head"}, dict(rules))
    assert first != digest({**data, "grants": {}}, ["head"], rules)
    assert first != digest(data, [], rules)
    assert first != digest(data, ["head"], {"decision.rego": b"package y"})
    assert first != digest(data, ["head"], {"other.rego": b"package x"})
