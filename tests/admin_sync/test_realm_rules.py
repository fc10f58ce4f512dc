"""The rules that the server decides by: what of the policies reaches the realm, and what a difference in it is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from admin_sync_world import Configuration

from admin_sync.check import check
from admin_sync.desired import Facts, desire
from admin_sync.desired.rules import ATTRIBUTES, FOREIGN, RISK, SEPARATION
from admin_sync.diff import diff
from admin_sync.errors import InvalidInput
from admin_sync.keycloak.iam.realm_rule import RealmRuleAdapter, parsed, written
from admin_sync.model import Current, Ref, Resource, index
from admin_sync.refs import IAM_ORDER

EXCEPTED = """
  - subject: {{user: Quant.One@tradepulse.example}}
    {what}
    environments: [prod]
    expires: {expires:%Y-%m-%dT%H:%M:%SZ}
    request: REQ-000009
    justification: Two weeks of a handover.
    approvals:
      - {{by: manager.one@tradepulse.example, as: manager, at: {at:%Y-%m-%dT%H:%M:%SZ}}}
      - {{by: owner.one@tradepulse.example, as: system_owner, at: {at:%Y-%m-%dT%H:%M:%SZ}}}
      - {{by: security.one@tradepulse.example, as: risk, at: {at:%Y-%m-%dT%H:%M:%SZ}}}
"""


class OneRealm:
    """As much of a reader as this adapter asks."""

    def __init__(self, **attributes: str) -> None:
        self.representation = {"attributes": {name.replace("_", "."): text for name, text in attributes.items()}}


def rules(
    configuration: Configuration, environment: str = "staging", current: Current | None = None
) -> dict[Ref, Resource]:
    found = current or Current("r", exists=False, resources=index(()))
    made = desire(configuration.document(), environment, found, Facts()).resources
    return {ref: one for ref, one in made.items() if ref.kind == SEPARATION.kind}


def excepted(
    configuration: Configuration, what: str = "group: trading", capacity: str = "risk", days: float = 5
) -> None:
    now = datetime.now(UTC)
    text = EXCEPTED.format(what=what, expires=now + timedelta(days=days), at=now - timedelta(days=1))
    path = configuration.directory / "role_bindings.yaml"
    path.write_text(path.read_text() + text.lstrip("\n"))


def test_the_sample_s_rules_are_written_as_the_server_reads_them(configuration: Configuration) -> None:
    found = rules(configuration)
    assert written(found[SEPARATION].attrs) == (
        '{"exceptions":[],"rules":[{"name":"build-or-run","roles":["quant","trader"]}]}'
    )
    assert orjson.loads(written(found[RISK].attrs)) == {
        "ip_deny_list": "configs/iam/risky_networks.txt",
        "new_device": "step_up",
        "device_posture": {"claim": "device_compliant", "missing": "step_up", "false": "deny"},
        "failed_mfa": {"count": 5, "window": 600, "action": "lock_and_alert"},
        "travel": {
            "locations": "configs/iam/network_locations.csv",
            "max_speed": 1000,
            "min_distance": 300,
            "action": "step_up",
        },
    }


def test_where_the_policy_judges_no_logins_the_realm_is_told_so_in_words(configuration: Configuration) -> None:
    assert written(rules(configuration, "dev")[RISK].attrs) == "{}"
    configuration.edit("policies.yaml", "  environments: [staging, prod]    #", "  #")
    assert written(rules(configuration, "dev")[RISK].attrs) != "{}"


def test_a_journey_needs_no_more_than_places_and_what_follows(configuration: Configuration) -> None:
    configuration.edit("policies.yaml", ", max_speed: 1000, min_distance: 300", "")
    travel = orjson.loads(written(rules(configuration)[RISK].attrs))["travel"]
    assert (travel["max_speed"], travel["min_distance"]) == (1000, 300)


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("[staging, prod]    #", "[staging, moon]    #", "unknown-environment"),
        ("action: lock_and_alert", "action: shrug", "wrong-value"),
        ("max_speed: 1000", "max_speed: 0", "wrong-value"),
    ],
)
def test_a_risk_that_nobody_could_judge_is_found_in_the_file(
    configuration: Configuration, old: str, new: str, code: str
) -> None:
    configuration.edit("policies.yaml", old, new)
    try:
        found = check(configuration.document())
    except InvalidInput as problem:
        found = list(problem.findings)
    assert [one.code for one in found] == [code]


def test_an_approved_exception_names_its_person_rule_roles_and_end(configuration: Configuration) -> None:
    excepted(configuration)
    [one] = rules(configuration, "prod")[SEPARATION].attrs["exceptions"]
    assert (one["user"], one["rule"], one["roles"]) == ("quant.one@tradepulse.example", "build-or-run", ["trader"])
    left = datetime.fromisoformat(one["until"]) - datetime.now(UTC)
    assert timedelta(days=4) < left < timedelta(days=5)
    assert rules(configuration, "dev")[SEPARATION].attrs["exceptions"] == []


@pytest.mark.parametrize("what", ["role: viewer", "group: model-platform"])
def test_a_binding_that_gives_no_role_of_a_rule_makes_no_exception(configuration: Configuration, what: str) -> None:
    excepted(configuration, what)
    assert rules(configuration, "prod")[SEPARATION].attrs["exceptions"] == []


def test_an_exception_that_has_ended_is_not_written(configuration: Configuration) -> None:
    excepted(configuration, days=-0.5)
    assert rules(configuration, "prod")[SEPARATION].attrs["exceptions"] == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("separation", "not json"),
        ("separation", "[]"),
        ("separation", '{"exceptions":[],"rules":[]} '),
        ("separation", '{"rules":[],"exceptions":[]}'),
        ("separation", '{"exceptions":[],"more":1,"rules":[]}'),
        ("risk", '{"device_posture":{"claim":"c","false":"deny","missing":"deny","off":true}}'),
        ("risk", '{"new_device":null}'),
    ],
)
def test_what_we_would_not_have_written_is_a_difference_as_a_whole(name: str, text: str) -> None:
    found = parsed(name, text)
    assert found.pop(FOREIGN) == text
    assert set(found.values()) == {None}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("separation", '{"exceptions":[],"rules":[{"name":"build-or-run","roles":["quant"]}]}'),
        (
            "separation",
            '{"exceptions":[{"roles":["trader"],"rule":"build-or-run","until":"2099-01-01T00:00:00Z","user":"me@x"}],'
            '"rules":[{"name":"build-or-run","roles":["quant","trader"]}]}',
        ),
        ("risk", "{}"),
        ("risk", '{"new_device":"allow"}'),
        ("separation", "{"),
    ],
)
def test_a_rule_that_somebody_changed_is_put_back(configuration: Configuration, name: str, text: str) -> None:
    good = {f"tradepulse_{ref.name}": written(one.attrs) for ref, one in rules(configuration).items()}
    assert plan(configuration, OneRealm(**good)) == []
    assert plan(configuration, OneRealm(**{**good, f"tradepulse_{name}": text})) == [name]
    del good[f"tradepulse_{name}"]
    assert plan(configuration, OneRealm(**good)) == [name]


def plan(configuration: Configuration, realm: Any, environment: str = "staging") -> list[str]:
    current = Current("r", exists=True, resources=index(RealmRuleAdapter().read(realm)))
    desired = desire(configuration.document(), environment, current, Facts())
    return [one.ref.name for one in diff(desired, current, IAM_ORDER).changes if one.ref.kind == SEPARATION.kind]


def test_a_realm_that_is_only_watched_keeps_what_its_configuration_says_nothing_of(
    configuration: Configuration,
) -> None:
    configuration.edit("roles.yaml", "dev:     {}", "dev: {base: theirs, existing: watch}")
    configuration.edit(
        "policies.yaml",
        "  - name: build-or-run\n    roles: [quant, trader]\n    exception: {approver: risk, max_duration: 7d}\n",
        "  []\n",
    )
    theirs = OneRealm(tradepulse_separation='{"exceptions":[],"rules":[]}')
    assert plan(configuration, theirs, "dev") == ["risk"]
    assert plan(configuration, OneRealm(), "dev") == ["risk"]


def test_every_document_has_an_attribute_of_its_own() -> None:
    assert {ref.name for ref in (SEPARATION, RISK)} == set(ATTRIBUTES)
    assert len(set(ATTRIBUTES.values())) == len(ATTRIBUTES)
