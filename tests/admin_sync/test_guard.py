"""What a plan is refused for, what allows it, and that plans on file and on screen say what they do."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from admin_sync_world import Configuration

from admin_sync import saved_plan
from admin_sync.desired import Facts, desire
from admin_sync.desired.facts import Secret, Unknown, digest
from admin_sync.desired.providers import SECRET_DIGEST
from admin_sync.diff import diff
from admin_sync.errors import Refused
from admin_sync.guard import Allowances, Situation, guard
from admin_sync.impact import effects
from admin_sync.model import Current, Desired, Ref, Resource, index
from admin_sync.refs import GROUP, IAM_ORDER, PROVIDER, ROLE, group_binding, role_binding, user
from admin_sync.render import RENDERERS, view
from admin_sync.sync import Planned


def planned(configuration: Configuration, current: Current, environment: str = "dev") -> Planned:
    desired = desire(configuration.document(), environment, current, Facts())
    plan = diff(desired, current, IAM_ORDER)
    return Planned(desired, current, plan, effects(desired, current), 1, 0.1)


def applied(configuration: Configuration, *extra: Resource) -> Current:
    """The realm after an apply, and what else is there."""
    nothing = Current("tradepulse-dev", exists=False, resources=index(()))
    desired = planned(configuration, nothing).desired
    ours = [
        Resource(ref, one.attrs, one.secrets, server_id="id", managed=True) for ref, one in desired.resources.items()
    ]
    return Current("tradepulse-dev", exists=True, resources=index([*ours, *extra]))


def reasons(configuration: Configuration, current: Current, allowed: Allowances | None = None) -> str:
    """Why the plan is refused; empty when it is not."""
    made = planned(configuration, current)
    try:
        guard(Situation(configuration.document(), made.desired, current, made.plan, allowed or Allowances()))
    except Refused as problem:
        return str(problem)
    return ""


def test_an_unchanged_realm_and_a_first_apply_are_not_refused(configuration: Configuration) -> None:
    assert reasons(configuration, applied(configuration)) == ""
    assert reasons(configuration, Current("tradepulse-dev", exists=False, resources=index(()))) == ""


def test_grants_that_ended_together_are_no_mass_deletion(configuration: Configuration) -> None:
    standing = (configuration.directory / "role_bindings.yaml").read_text("utf-8").rstrip("\n")
    grants = "".join(
        f"  - {{subject: {{user: p{number}@tradepulse.example}}, role: viewer, environments: [dev], expires: END}}\n"
        for number in range(30)
    )
    configuration.write("role_bindings.yaml", f"{standing}\n{grants}".replace("END", "2099-01-01T00:00:00Z"))
    current = applied(configuration)
    configuration.write("role_bindings.yaml", f"{standing}\n{grants}".replace("END", "2020-01-01T00:00:00Z"))
    assert "--allow-deletions" not in reasons(configuration, current)
    configuration.write("role_bindings.yaml", f"{standing}\n")
    assert "--allow-deletions" in reasons(configuration, current)


def test_more_deletions_than_a_share_need_their_number(configuration: Configuration) -> None:
    current = applied(configuration)
    text = (configuration.directory / "role_bindings.yaml").read_text("utf-8")
    configuration.write("role_bindings.yaml", text[: text.index("  - subject: {user: platform.one")] + "\n")
    assert "--allow-deletions" not in reasons(configuration, current), "one person fewer is ordinary"
    configuration.write("role_bindings.yaml", "version: 1\nbindings: []\n")
    everything = Allowances(lockout=True)
    assert "--allow-deletions" in reasons(configuration, current, everything)
    count = sum(change.after is None for change in planned(configuration, current).plan.changes)
    assert reasons(configuration, current, Allowances(deletions=count, lockout=True)) == ""
    assert reasons(configuration, current, Allowances(deletions=count - 1, lockout=True)) != ""


def test_the_last_guardian_stays(configuration: Configuration) -> None:
    current = applied(configuration)
    configuration.edit(
        "role_bindings.yaml", "group: security\n    environments: [dev,", "group: security\n    environments: ["
    )
    assert "security.one@tradepulse.example" in reasons(configuration, current)
    assert reasons(configuration, current, Allowances(lockout=True)) == ""


def test_a_partner_is_not_destroyed_without_naming_it(configuration: Configuration) -> None:
    current = applied(configuration)
    text = (configuration.directory / "partners.yaml").read_text("utf-8")
    configuration.write("partners.yaml", text[: text.index("  birch-research:")])
    assert "--allow-shredding birch-research" in reasons(configuration, current)
    assert "shreds" in reasons(configuration, current, Allowances(shredding=frozenset({"acme-capital"})))
    assert reasons(configuration, current, Allowances(shredding=frozenset({"birch-research"}))) == ""


def test_what_somebody_else_made_is_not_taken_over_silently(configuration: Configuration) -> None:
    table = dict(applied(configuration).resources)
    ref = Ref(ROLE, "viewer")
    table[ref] = Resource(ref, {**table[ref].attrs, "managed_by": None}, server_id="id", managed=False)
    current = Current("tradepulse-dev", exists=True, resources=index(table.values()))
    assert "--allow-takeover" in reasons(configuration, current)
    assert reasons(configuration, current, Allowances(takeover=True)) == ""


def test_a_strangers_subgroup_keeps_nobody_from_changing_a_group_of_ours(configuration: Configuration) -> None:
    table = dict(applied(configuration).resources)
    ref = Ref(GROUP, "security")
    table[ref] = Resource(ref, table[ref].attrs, server_id="id", managed=False)
    current = Current("tradepulse-dev", exists=True, resources=index(table.values()))
    configuration.edit("roles.yaml", "security:        {roles: [viewer, admin]}", "security:        {roles: [admin]}")
    assert reasons(configuration, current) == ""


def test_a_workload_does_not_count_as_the_last_guardian(configuration: Configuration) -> None:
    configuration.edit("roles.yaml", "    roles: [sre]\n    environments", "    roles: [admin]\n    environments")
    current = applied(configuration)
    configuration.edit(
        "role_bindings.yaml", "group: security\n    environments: [dev,", "group: security\n    environments: ["
    )
    assert "--allow-lockout" in reasons(configuration, current)


def test_a_providers_group_and_a_declared_role_may_not_meet_in_one_person(configuration: Configuration) -> None:
    person = Resource(user("new@x.example"), {"email_verified": True, "providers": ["workforce"]}, server_id="u")
    attrs = {"user": "new@x.example", "group": "trading"}
    member = Resource(group_binding("new@x.example", "trading"), attrs, server_id="u", managed=True)
    provider = Resource(Ref("identity_provider", "workforce"), {"config": {}}, server_id="i", managed=True)
    current = applied(configuration, person, member, provider)
    assert reasons(configuration, current) == ""
    configuration.edit(
        "role_bindings.yaml",
        "bindings:\n",
        "bindings:\n  - {subject: {user: new@x.example}, role: quant, environments: [dev]}\n",
    )
    found = reasons(configuration, current)
    assert "quant and trader" in found
    assert role_binding("new@x.example", "quant") in planned(configuration, current).desired.resources


def test_an_approved_exception_lets_a_providers_group_and_a_declared_role_meet(configuration: Configuration) -> None:
    person = Resource(user("new@x.example"), {"email_verified": True, "providers": ["workforce"]}, server_id="u")
    attrs = {"user": "new@x.example", "group": "trading"}
    member = Resource(group_binding("new@x.example", "trading"), attrs, server_id="u", managed=True)
    provider = Resource(Ref("identity_provider", "workforce"), {"config": {}}, server_id="i", managed=True)
    current = applied(configuration, person, member, provider)
    now = datetime.now(UTC).replace(microsecond=0)
    voices = {"manager": "m@x.example", "system_owner": "o@x.example", "risk": "security.one@tradepulse.example"}
    approvals = ", ".join(f"{{by: {who}, as: {role}, at: {now.isoformat()}}}" for role, who in voices.items())
    configuration.edit(
        "role_bindings.yaml",
        "bindings:\n",
        "bindings:\n  - {subject: {user: new@x.example}, role: quant, environments: [dev], request: R, "
        f"justification: x, expires: {(now + timedelta(days=6)).isoformat()}, approvals: [{approvals}]}}\n",
    )
    assert reasons(configuration, current) == ""


def test_a_saved_plan_is_refused_when_edited_and_when_stale(configuration: Configuration, tmp_path: Path) -> None:
    current = applied(configuration)
    configuration.edit("roles.yaml", "Read-only access", "Access")
    plan = planned(configuration, current)
    shown, made = view(plan), [saved_plan.beside(plan.plan, "bulk")]
    file = tmp_path / "plan.json"
    saved_plan.save(file, [shown], made)
    (again,) = saved_plan.load(file)
    saved_plan.compare(again, shown, "bulk", Facts())
    with pytest.raises(Refused, match="gateway bulk"):
        saved_plan.compare(again, shown, "rest", Facts())
    configuration.edit("roles.yaml", "Access to analytics", "Access to all analytics")
    with pytest.raises(Refused, match="stale"):
        saved_plan.compare(again, view(planned(configuration, current)), "bulk", Facts())
    with pytest.raises(Refused, match="OPA"):
        saved_plan.compare(again, {**shown, "rules": "others"}, "bulk", Facts())
    for forged in ({"environments": [1]}, {"environments": [{"realm": "x"}]}, {"environments": [], "x": 10**30}):
        saved_plan.save(file, [shown], made)
        body = {"version": 1, **forged}
        digest = hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
        file.write_text(json.dumps({**body, "digest": digest}), "utf-8")
        with pytest.raises(Refused):
            saved_plan.load(file)
    saved_plan.save(file, [shown], made)
    body = json.loads(file.read_text("utf-8"))
    body["environments"][0]["changes"] = []
    file.write_text(json.dumps(body), "utf-8")
    with pytest.raises(Refused, match="edited"):
        saved_plan.load(file)
    for broken in ("", "[]", "{}", '{"environments": 1}', "{" * 100):
        file.write_text(broken, "utf-8")
        with pytest.raises(Refused):
            saved_plan.load(file)


def test_a_saved_plan_is_refused_when_a_secret_that_it_would_send_is_another_by_then(tmp_path: Path) -> None:
    provider = Ref(PROVIDER, "workforce")

    def shown(secret: str) -> tuple[dict[str, Any], Any]:
        wanted = Resource(provider, {"config": {SECRET_DIGEST: digest(secret)}}, frozenset({f"config.{SECRET_DIGEST}"}))
        desired, current = Desired("r", "dev", index([wanted])), Current("r", exists=True, resources=index(()))
        plan = diff(desired, current, IAM_ORDER)
        return view(Planned(desired, current, plan, [], 0, 0.0)), saved_plan.beside(plan, "bulk")

    first, made = shown("first")
    file = tmp_path / "plan.json"
    saved_plan.save(file, [first], [made])
    assert "first" not in file.read_text("utf-8")
    (again,) = saved_plan.load(file)
    # The salt is another each time, and the masked plans say the same.
    saved_plan.compare(again, shown("first")[0], "bulk", Facts(secrets={"workforce": Secret("first")}))
    for secret in (Secret("second"), Unknown("gone")):
        with pytest.raises(Refused, match="secret of identity provider workforce"):
            saved_plan.compare(again, shown("second")[0], "bulk", Facts(secrets={"workforce": secret}))


@pytest.mark.parametrize("form", sorted(RENDERERS))
def test_every_renderer_says_what_changes_and_never_how_a_server_wants_it_shown(configuration, form: str) -> None:
    current = applied(configuration)
    configuration.edit("roles.yaml", "description: Read-only access", 'description: "\\x1b[2J|<b>`%0A::error::"\n    #')
    out = RENDERERS[form]([view(planned(configuration, current))], False)
    assert "viewer" in out
    assert "\x1b" not in out
    if form == "json":
        assert json.loads(out)["summary"] == {"add": 0, "change": 1, "destroy": 0}
    else:
        assert "Plan: 0 to add, 1 to change, 0 to destroy." in out
    if form == "github":
        assert all(line.startswith(("::", "Plan:")) for line in out.splitlines())
    if form == "markdown":
        assert "<b>" not in out
