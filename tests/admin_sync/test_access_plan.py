"""A plan says who gains and loses what, by every way there is, and every machine can read what it says."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from admin_sync_world import ROOT, Configuration

from admin_sync.bundle.render import digest, render
from admin_sync.commands.asking import explain, who_can
from admin_sync.commands.options import Options
from admin_sync.console import Console
from admin_sync.desired import Facts, desire
from admin_sync.diff import diff
from admin_sync.impact import effects
from admin_sync.model import Current, Ref, Resource, index
from admin_sync.ownership import settle
from admin_sync.policy import fingerprint, policy_source
from admin_sync.refs import IAM_ORDER, PROVIDER_MAPPER, client_role_binding, group_binding, right, stray_binding, user
from admin_sync.render import RENDERERS, document, view
from admin_sync.render.markdown import LONGEST
from admin_sync.rules import rule_changes
from admin_sync.sync import Planned

SCHEMAS = ROOT / "admin_sync" / "schemas"
END = "2999-01-01T00:00:00Z"
QUANT = "quant.one@tradepulse.example"


def planned(configuration: Configuration, current: Current) -> Planned:
    found = configuration.document()
    desired = desire(found, "dev", current, Facts())
    desired, current, undeclared = settle(found, desired, current)
    plan = diff(desired, current, IAM_ORDER)
    return Planned(desired, current, plan, effects(desired, current, found), 1, 0.1, undeclared)


def applied(configuration: Configuration, *extra: Resource) -> Current:
    nothing = Current("tradepulse-dev", exists=False, resources=index(()))
    desired = planned(configuration, nothing).desired
    ours = [replace(one, server_id="id", managed=True, origin=None) for one in desired.resources.values()]
    return Current("tradepulse-dev", exists=True, resources=index([*ours, *extra]))


def told(configuration: Configuration, current: Current) -> dict[tuple[str, str, str], Mapping[str, Any]]:
    """What a plan says of access, by who, what and in which direction."""
    shown = view(planned(configuration, current))
    return {(one["subject"], one["permission"], one["effect"]): one for one in shown["effects"]}


def test_a_gain_names_binding_group_role_and_included_role(configuration: Configuration) -> None:
    current = applied(configuration)
    configuration.edit("roles.yaml", "night-desk: {roles: []}", "night-desk: {roles: [lead]}")
    configuration.edit(
        "roles.yaml", "roles:\n  viewer:", "roles:\n  lead: {description: L, includes: [mlops], owners: [x]}\n  viewer:"
    )
    configuration.edit("role_bindings.yaml", "    group: research\n", "    group: trading/night-desk\n")
    gain = told(configuration, current)[QUANT, "model:promote", "gains"]
    assert gain["way"] == ["group trading/night-desk", "role lead", "role mlops"]
    assert gain["at"] == "role_bindings.yaml:4:5"
    assert gain["until"] is None


def test_a_gain_that_ends_says_when(configuration: Configuration) -> None:
    current = applied(configuration)
    configuration.edit(
        "role_bindings.yaml",
        "bindings:\n",
        f"bindings:\n  - {{subject: {{user: {QUANT}}}, role: mlops, environments: [dev], expires: {END}}}\n",
    )
    assert told(configuration, current)[QUANT, "model:promote", "gains"]["until"] == "2999-01-01T00:00:00+00:00"


def test_what_a_partner_gives_changes_for_its_administrators_and_its_members(configuration: Configuration) -> None:
    current = applied(configuration)
    configuration.edit("roles.yaml", "permissions: [connection:read, connection:link, credential:release]",
                       "permissions: [connection:read, credential:release]")  # fmt: skip
    configuration.edit("roles.yaml", "credential:release, member:manage]", "member:manage]")
    found = told(configuration, current)
    member = found["whoever partner acme-capital gives partner-trader", "connection:link", "loses"]
    assert (member["partner"], member["subject_kind"]) == ("acme-capital", "members")
    admin = found["admin@acme.example", "credential:release", "loses"]
    assert admin["way"] == ["partner acme-capital", "partner role partner-admin"]
    assert not any(subject == QUANT for subject, _, _ in found)


def test_a_mapping_of_an_identity_provider_is_a_gain_of_whoever_it_maps(configuration: Configuration) -> None:
    current = applied(configuration)
    desired = planned(configuration, current).desired
    mapper = Resource(Ref(PROVIDER_MAPPER, "workforce/group x"), {"upstream": "x", "group": "security"})
    wider = replace(desired, resources=index([*desired.resources.values(), mapper]))
    gains = {(one.subject.name, one.thing.name): one.way for one in effects(wider, current)}
    assert gains["whoever workforce puts in x", "iam:modify"] == ("group security", "role admin")


def test_a_clients_role_is_a_right_and_no_permission_of_the_platform(configuration: Configuration) -> None:
    current = applied(configuration)
    binding = f"bindings:\n  - {{subject: {{user: {QUANT}}}, client_role: vault-api/operator, environments: [dev]}}\n"
    configuration.edit("role_bindings.yaml", "bindings:\n", binding)
    gain = told(configuration, current)[QUANT, "vault-api:operator", "gains"]
    assert (gain["kind"], gain["way"]) == ("right", ["client role vault-api:operator"])


def test_a_stray_grant_that_goes_is_a_loss_of_whoever_had_it(configuration: Configuration) -> None:
    stray = Resource(stray_binding("group", "Ops", "admin"), {"to_group": "Ops", "role": "admin"}, managed=True)
    twice = Resource(
        group_binding("eve@x.example", "security"), {"user": "eve@x.example", "group": "security"}, managed=True
    )
    found = told(configuration, applied(configuration, stray, twice))
    assert ("members of group Ops", "iam:modify", "loses") in found
    assert ("eve@x.example", "iam:modify", "loses") in found


def test_what_stays_untouched_is_no_change_of_access(configuration: Configuration) -> None:
    legacy = Resource(right(QUANT, "role legacy"), {"user": QUANT, "role": "legacy"})
    current = applied(configuration, legacy, Resource(Ref("role", "legacy"), {"permissions": ["audit:view"]}))
    assert told(configuration, current) == {}


def test_an_end_that_moves_shows_although_no_realm_changes(configuration: Configuration) -> None:
    published = json.loads(json.dumps(render(policy_source(configuration.document()))))
    configuration.edit("role_bindings.yaml", "expires: 2027-01-31T18:00:00Z", "expires: 2027-01-30T18:00:00Z")
    configuration.edit("policies.yaml", 'to: "22:00"', 'to: "23:00"')
    staging = rule_changes(configuration.document(), published, "staging")
    assert [(one.what, one.before, one.after) for one in staging] == [
        ("role sre of platform.one@tradepulse.example ends", "2027-01-31T18:00:00Z", "2027-01-30T18:00:00Z")
    ]
    assert "deployment:rollout" in staging[0].permissions
    prod = rule_changes(configuration.document(), published, "prod")
    assert [one.what for one in prod] == ["window of role trader closes"]
    assert rule_changes(configuration.document(), None, "prod") == []


def test_what_the_vault_does_and_the_rules_themselves_are_compared_too(configuration: Configuration) -> None:
    source, rules = policy_source(configuration.document()), {"a.rego": b"package a"}
    data, emergency = render(source), sorted(source.emergency_roles)
    published = {**data, "meta": {"emergency_roles": emergency, "digest": digest(data, emergency, rules)}}

    def changed(rego: bytes = b"package a") -> list[tuple[str, str, str]]:
        found = rule_changes(configuration.document(), published, "prod", {"a.rego": rego})
        return [(one.what, one.before, one.after) for one in found]

    assert changed() == []
    assert changed(b"package a\nallow := true") == [("the rules themselves", "as published", "other files of Rego")]
    before = fingerprint(configuration.document(), rules)
    assert fingerprint(configuration.document(), {"a.rego": b"package b"}) != before
    configuration.edit("brokers.yaml", "offline_access, trade]", "offline_access, trade, withdraw]")
    assert changed() == [
        ("vault brokers paper scopes", "openid, offline_access, trade", "openid, offline_access, trade, withdraw")
    ]


HOSTILE = "x|y <img src=x> @everyone #1 [a](https://evil.example) `c` www.evil.example \u202e\n## T\r\n::error::!"


def test_no_name_breaks_out_of_a_comment_or_an_annotation(configuration: Configuration) -> None:
    current = applied(configuration, Resource(right(QUANT, f"role {HOSTILE}"), {"user": QUANT, "role": HOSTILE}))
    stray = stray_binding("group", HOSTILE, "admin")
    found = dict(current.resources) | {stray: Resource(stray, {"to_group": HOSTILE, "role": "admin"}, managed=True)}
    shown = [view(planned(configuration, replace(current, resources=index(found.values()))))]
    comment = RENDERERS["markdown"](shown)
    for sign in ("<img", "@everyone", "](", "https://", "www.", "\n## T", "\u202e", "| y", "x|y"):
        assert sign not in comment, sign
    assert "everyone" in unescape(comment)
    rows = [line for line in comment.splitlines() if line.startswith("| ") and "everyone" in line]
    assert rows
    assert all(line.count("|") in (4, 6) for line in rows)
    annotations = RENDERERS["github"](shown)
    assert all(line.startswith(("::warning ", "::notice ", "Plan:")) for line in annotations.splitlines())
    assert "\u202e" not in RENDERERS["text"](shown)


def test_an_attribute_that_somebody_gave_a_name_like_a_command_moves_no_cursor(configuration: Configuration) -> None:
    current = applied(configuration)
    ref = Ref("client", "tradepulse-cli")
    found = current.resources[ref]
    before = {**found.attrs, "display_name": "x", "attributes": {**found.attrs["attributes"], "\x1b[2K": "true"}}
    there = index({**current.resources, ref: replace(found, attrs=before)}.values())
    configuration.edit("policies.yaml", "environments:\n  prod", "undeclared_grants: remove\nenvironments:\n  prod")
    shown = RENDERERS["text"]([view(planned(configuration, replace(current, resources=there)))])
    assert "\\u001b[2K" in shown
    assert "\x1b" not in shown


def test_a_comment_is_never_longer_than_a_forge_takes(configuration: Configuration) -> None:
    people = "".join(
        f"  - {{subject: {{user: p{number}@x.example}}, group: security, environments: [dev]}}\n"
        for number in range(900)
    )
    current = applied(configuration)
    configuration.edit("role_bindings.yaml", "bindings:\n", f"bindings:\n{people}")
    comment = RENDERERS["markdown"]([view(planned(configuration, current))])
    assert len(comment.encode()) <= LONGEST
    assert "more, see the plan in JSON" in comment
    assert comment.count("<details>") == comment.count("</details>")


def test_an_annotation_stands_at_the_line_that_causes_it(configuration: Configuration) -> None:
    current = applied(configuration)
    configuration.edit("role_bindings.yaml", "    group: research\n", "    group: model-platform\n")
    lines = RENDERERS["github"]([view(planned(configuration, current))], False, "conf/iam").splitlines()
    assert any(
        "file=conf/iam/role_bindings.yaml,line=4,col=5," in line and "gains model:promote" in line for line in lines
    )
    assert any(line.startswith("::warning ") and "delete binding" in line for line in lines)


def valid(name: str, value: object) -> None:
    schema = json.loads((SCHEMAS / f"{name}.schema.json").read_text("utf-8"))
    assert schema["$id"].startswith("urn:tradepulse:schema:admin-sync:")
    jsonschema_rs.validator_for(schema, validate_formats=True).validate(value)


def test_real_plans_keep_the_published_schema(configuration: Configuration) -> None:
    eve = Resource(user("eve@x.example"), {"email": "eve@x.example"}, managed=True)
    current = applied(configuration, eve, Resource(right(QUANT, "role legacy"), {"user": QUANT, "role": "legacy"}))
    configuration.edit("role_bindings.yaml", "    group: research\n", "    group: model-platform\n")
    made = planned(configuration, current)
    published = json.loads(json.dumps(render(policy_source(configuration.document()))))
    configuration.edit("role_bindings.yaml", "expires: 2027-01-31T18:00:00Z", "expires: 2027-01-30T18:00:00Z")
    changes = rule_changes(configuration.document(), published, "staging")
    whole = document([view(made, changes, "f" * 64), view(made)])
    valid("plan", whole)
    assert whole["access"]["undeclared"] == 2
    assert whole["access"]["rules"] == 1
    with pytest.raises(jsonschema_rs.ValidationError):
        valid("plan", {**whole, "environments": [{**whole["environments"][0], "surprise": 1}]})


@pytest.fixture
def ask(configuration: Configuration, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """A question to the command, and its JSON."""

    def answer(body: Callable[..., int], *environments: str, **question: str) -> Any:
        options = Options(configuration.directory, environments, Console(as_json=True), environ={})
        assert body(options, **question) == 0
        return json.loads(capsys.readouterr().out)

    return answer


def test_real_answers_keep_their_published_schemas(configuration: Configuration, ask) -> None:
    binding = f"bindings:\n  - {{subject: {{user: {QUANT}}}, client_role: vault-api/operator, environments: [dev]}}\n"
    configuration.edit("role_bindings.yaml", "bindings:\n", binding)
    for subject in (QUANT, "platform.one@tradepulse.example", "admin@acme.example", "ci-deployer", "nobody@x.example"):
        valid("explain", ask(explain, user=subject))
    for permission in ("iam:modify", "connection:read", "deployment:rollout"):
        valid("who-can", ask(who_can, permission=permission))


def test_an_explanation_says_what_a_login_has_to_prove(ask) -> None:
    (staging,) = ask(explain, "staging", user="platform.one@tradepulse.example")["environments"]
    rollout = next(one for one in staging["permissions"] if one["permission"] == "deployment:rollout")
    assert (rollout["assurance"], rollout["max_age"]) == ("aal3", 300)
    assert datetime.fromisoformat(rollout["expires"]) == datetime(2027, 1, 31, 18, tzinfo=UTC)
    (prod,) = ask(explain, "prod", user="trader.one@tradepulse.example")["environments"]
    launch = next(one for one in prod["permissions"] if one["permission"] == "execution:launch")
    assert launch["windows"] == ["trader"]
    (dev,) = ask(explain, "dev", user="Admin@ACME.example")["environments"]
    assert {one["permission"] for one in dev["partners"][0]["permissions"]} >= {"member:manage", "credential:release"}


def test_who_can_names_partners_administrators_and_members(ask) -> None:
    (dev,) = ask(who_can, "dev", permission="member:manage")["environments"]
    found = {(one["subject"], one["kind"], one["partner"]) for one in dev["subjects"]}
    assert ("admin@acme.example", "person", "acme-capital") in found
    assert ("partner acme-capital", "members", "acme-capital") in found


def test_the_schemas_are_part_of_the_package() -> None:
    names = {path.name for path in Path(SCHEMAS).iterdir()}
    assert {"plan.schema.json", "explain.schema.json", "who-can.schema.json", "adopt.schema.json"} <= names
    assert client_role_binding("A@x", "c", "r").name == "a@x client c role r"
