"""What a configuration may not mean: each mistake is found at its place, all of them in one run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from admin_sync_world import ROOT, Configuration

from admin_sync.errors import InvalidInput


def findings(configuration) -> list[str]:
    """`file:line: code` of everything that is wrong."""
    try:
        configuration.document()
    except InvalidInput as problem:
        return [f"{one.file}:{one.line}: {one.code}" for one in problem.findings]
    return []


def test_the_sample_is_valid(configuration) -> None:
    assert findings(configuration) == []


def test_the_checkouts_own_configuration_is_valid() -> None:
    assert findings(Configuration(ROOT / "configs" / "iam")) == []


ROLES, POLICIES, BINDINGS, PARTNERS, BROKERS = (
    "roles.yaml",
    "policies.yaml",
    "role_bindings.yaml",
    "partners.yaml",
    "brokers.yaml",
)
NEW_BINDING = "bindings:\n"


@pytest.mark.parametrize(
    ("file", "before", "after", "finding"),
    [
        (ROLES, "version: 1", "version: 2", "roles.yaml:2: wrong-value"),
        (ROLES, "display_name: TradePulse", "display_nam: TradePulse", "roles.yaml:6: unknown-field"),
        (ROLES, "display_name: TradePulse", "display_nam: TradePulse", "roles.yaml:4: missing"),
        (ROLES, "[analytics:read, portfolio:read]", "[analytics:reed]", "roles.yaml:46: unknown-permission"),
        (ROLES, "[analytics:read, portfolio:read]", "[7]", "roles.yaml:46: wrong-type"),
        (ROLES, "  viewer:\n", "  Viewer:\n", "roles.yaml:44: name"),
        (ROLES, "includes: [admin, viewer]", "includes: [admin, viewr]", "roles.yaml:70: unknown-role"),
        (ROLES, "includes: [admin, viewer]", "includes: [super_admin]", "roles.yaml:70: include-cycle"),
        (ROLES, "{roles: [viewer, quant]}", "{roles: [viewer, kwant]}", "roles.yaml:91: unknown-role"),
        (ROLES, "{roles: [viewer, quant]}", "{roles: [trader, quant]}", "roles.yaml:91: segregation-of-duties"),
        (ROLES, "night-desk: {roles: []}", "night-desk: {roles: [quant]}", "roles.yaml:95: segregation-of-duties"),
        (ROLES, "night-desk: {roles: []}", "night-desk: {roles: [nobody]}", "roles.yaml:95: unknown-role"),
        (ROLES, "includes: [admin, viewer]", "includes: [quant, trader]", "roles.yaml:68: segregation-of-duties"),
        (ROLES, "tp-platform: platform,", "tp-platform: plattform,", "roles.yaml:142: unknown-group"),
        (
            ROLES,
            "roles: [sre]\n    environments",
            "roles: [trader, quant]\n    environments",
            "roles.yaml:129: segregation-of-duties",
        ),
        (ROLES, "environments: [dev, staging]", "environments: [dev, stage]", "roles.yaml:130: unknown-environment"),
        (ROLES, '["http://127.0.0.1/callback"]', '["http://127.0.0.1/*"]', "roles.yaml:107: url"),
        (ROLES, '["http://127.0.0.1/callback"]', '["http://example.org/x"]', "roles.yaml:107: url"),
        (ROLES, '["http://127.0.0.1/callback"]', '["https://u:p@example.org/x"]', "roles.yaml:107: url"),
        (ROLES, '["http://127.0.0.1/callback"]', '["https://ex\u0430mple.org/x"]', "roles.yaml:107: url"),
        (ROLES, "audience: tradepulse-internal", "audience: account", "roles.yaml:7: reserved-name"),
        (ROLES, "display_name: TradePulse", 'display_name: "${MOCK_CLIENT_SECRET}"', "roles.yaml:6: secret-variable"),
        (ROLES, '["http://127.0.0.1/callback"]', '["javascript:alert(1)"]', "roles.yaml:107: url"),
        (ROLES, '["http://127.0.0.1/callback"]', '["https://example.org/x#y"]', "roles.yaml:107: url"),
        (ROLES, "${WORKFORCE_ISSUER:-http://localhost:8090/workforce}", "http://idp.example", "roles.yaml:139: url"),
        (
            ROLES,
            "${WORKFORCE_ISSUER:-http://localhost:8090/workforce}",
            "${NOWHERE_SET}",
            "roles.yaml:139: unset-variable",
        ),
        (
            ROLES,
            "client_secret: {env: WORKFORCE_CLIENT_SECRET}",
            "client_secret: hunter2",
            "roles.yaml:141: secret-value",
        ),
        (ROLES, "type: public", "type: pubic", "roles.yaml:110: wrong-value"),
        (ROLES, "  vault-api:\n", "  realm-management:\n", "roles.yaml:119: reserved-name"),
        (
            ROLES,
            "permissions: [connection:read]\n\ngroups",
            "permissions: [iam:modify]\n\ngroups",
            "not-partner-scoped",
        ),
        (POLICIES, "  staging: federated", "  stagin: federated", "policies.yaml:6: unknown-environment"),
        (POLICIES, "  staging: federated", "", "policies.yaml:4: missing"),
        (POLICIES, "max_age: 5m", "max_age: 5 minutes", "policies.yaml:12: duration"),
        (POLICIES, "max_age: 5m", "max_age: 0s", "policies.yaml:12: duration"),
        (POLICIES, "max_duration: 90d", "max_duration: 999999999d", "policies.yaml:31: duration"),
        (POLICIES, "America/New_York", "Mars/Base", "policies.yaml:54: window"),
        (POLICIES, 'from: "08:00"', 'from: "24:00"', "policies.yaml:54: window"),
        (POLICIES, "roles: [quant, trader]", "roles: [quant, tradr]", "policies.yaml:27: unknown-role"),
        (
            POLICIES,
            "approvals: [manager, system_owner], max",
            "approvals: [boss], max",
            "policies.yaml:31: unknown-approver",
        ),
        (POLICIES, "security: {group: security}", "security: {group: sekurity}", "policies.yaml:37: unknown-group"),
        (BINDINGS, "    group: research\n", "    group: reserch\n", "role_bindings.yaml:5: unknown-group"),
        (BINDINGS, "    group: research\n", "    group: research\n    role: quant\n", "role_bindings.yaml:4: binding"),
        (
            BINDINGS,
            "  - subject: {user: quant.one@tradepulse.example}\n    group",
            "  - group",
            "role_bindings.yaml:4: missing",
        ),
        (BINDINGS, "{user: quant.one@tradepulse.example}", "{user: quant}", "role_bindings.yaml:4: email"),
        (BINDINGS, "18:00:00Z", "18:00:00", "role_bindings.yaml:22: no-offset"),
        (BINDINGS, "2027-01-31T18:00:00Z", "2027-02-31T18:00:00Z", "role_bindings.yaml:22: instant"),
        (BINDINGS, "2027-01-31T18:00:00Z", "2029-01-31T18:00:00Z", "role_bindings.yaml:22: too-long"),
        (BINDINGS, "{by: owner.one@", "{by: manager.one@", "role_bindings.yaml:27: same-approver"),
        (BINDINGS, "{by: owner.one@", "{by: PLATFORM.one@", "role_bindings.yaml:27: self-approval"),
        (BINDINGS, "as: system_owner,", "as: friend,", "role_bindings.yaml:27: unknown-approver"),
        (BINDINGS, "{by: security.one@", "{by: trader.one@", "role_bindings.yaml:28: not-an-approver"),
        (BINDINGS, "    request: REQ-000001\n", "", "role_bindings.yaml:19: incomplete-request"),
        (BINDINGS, "    request: REQ-000001\n", "", "role_bindings.yaml:20: elevated"),
        (BINDINGS, "    role: viewer\n", "    role: admin\n", "role_bindings.yaml:17: elevated"),
        (PARTNERS, "persona: live-trading", "persona: live", "partners.yaml:11: unknown-persona"),
        (PARTNERS, "brokers: [paper, alpaca]", "brokers: [paper, alpacka]", "partners.yaml:12: unknown-broker"),
        (PARTNERS, "birch.example]\n    persona", "acme.example]\n    persona", "partners.yaml:16: duplicate-domain"),
        (BROKERS, "https://api.alpaca.markets", "http://api.alpaca.markets", "brokers.yaml:14: url"),
        (BROKERS, "    token_url: https://api.alpaca.markets/oauth/token\n", "", "brokers.yaml:11: broker"),
    ],
)
def test_a_mistake_is_found_at_its_place(configuration, file: str, before: str, after: str, finding: str) -> None:
    configuration.edit(file, before, after)
    assert any(finding in one for one in findings(configuration)), findings(configuration)


def test_mistakes_of_every_sort_are_reported_in_one_run_and_sorted(configuration) -> None:
    configuration.edit(ROLES, "    owners: [platform-owners]", "    owner: [platform-owners]")
    configuration.edit(ROLES, "[strategy:create, backtest:run, model:register]", "[strategy:crate]")
    configuration.edit(ROLES, "includes: [admin, viewer]", "includes: [super_admin]")
    configuration.edit(ROLES, "night-desk: {roles: []}", "night-desk: {roles: [quant]}")
    configuration.edit(ROLES, "tp-research: research,", "tp-research: trading/night-desk,")
    configuration.edit(BINDINGS, "  - subject: {user: quant.one@tradepulse.example}\n    group", "  - group")
    configuration.edit(BINDINGS, "18:00:00Z", "18:00:00")
    with pytest.raises(InvalidInput) as caught:
        configuration.document()
    found = [one.code for one in caught.value.findings]
    for code in ("unknown-field", "unknown-permission", "include-cycle", "missing", "no-offset"):
        assert code in found
    places = [(one.file, one.line) for one in caught.value.findings if one.code == "segregation-of-duties"]
    assert (ROLES, 95) in places
    assert (ROLES, 142) in places, "the identity provider's mapping is named as well"
    order = [(one.file, one.line, one.column) for one in caught.value.findings]
    assert order == sorted(order)
    assert caught.value.exit_code == 3


def test_a_person_who_would_be_quant_and_trader_is_found_through_a_group(configuration) -> None:
    configuration.edit(
        BINDINGS,
        NEW_BINDING,
        "bindings:\n  - {subject: {user: Quant.One@tradepulse.example}, role: trader, environments: [prod, dev]}\n",
    )
    with pytest.raises(InvalidInput) as caught:
        configuration.document()
    only = caught.value.findings[0]
    assert only.code == "segregation-of-duties"
    assert "group research → role quant" in only.message
    assert "in dev, prod" in only.message


def test_different_environments_do_not_conflict(configuration) -> None:
    configuration.edit(
        BINDINGS, "group: research\n    environments: [dev, staging, prod]", "group: research\n    environments: [dev]"
    )
    configuration.edit(
        BINDINGS,
        NEW_BINDING,
        "bindings:\n  - {subject: {user: quant.one@tradepulse.example}, role: trader, environments: [prod]}\n",
    )
    assert findings(configuration) == []


NOW = datetime.now(UTC).replace(microsecond=0)
WEEK = timedelta(days=7)
EXCEPTION = """bindings:
  - subject: {{user: quant.one@tradepulse.example}}
    role: trader
    environments: [prod]
    expires: {expires}
    request: REQ-000002
    justification: Covers the desk.
    approvals:
      - {{by: manager.one@tradepulse.example,  as: manager,      at: {at}}}
      - {{by: owner.one@tradepulse.example,    as: system_owner, at: {at}}}
      - {{by: security.one@tradepulse.example, as: {voice},         at: {at}}}
"""


@pytest.mark.parametrize(
    ("expires", "voice", "fine"),
    [
        (NOW + WEEK, "risk", True),
        (NOW + WEEK + timedelta(seconds=1), "risk", False),
        (NOW + WEEK, "security", False),
    ],
)
def test_an_exception_needs_its_approver_and_ends_within_its_days(configuration, expires, voice, fine) -> None:
    text = EXCEPTION.format(expires=expires.isoformat(), voice=voice, at=NOW.isoformat())
    configuration.edit(BINDINGS, NEW_BINDING, text)
    assert (findings(configuration) == []) is fine, findings(configuration)


def test_an_exception_covers_its_own_binding_and_no_other(configuration) -> None:
    text = EXCEPTION.format(expires=(NOW + WEEK).isoformat(), voice="risk", at=NOW.isoformat())
    standing = "  - {subject: {user: quant.one@tradepulse.example}, group: trading, environments: [prod]}\n"
    configuration.edit(BINDINGS, NEW_BINDING, text + standing)
    assert [one.rpartition(" ")[2] for one in findings(configuration)] == ["segregation-of-duties"]


def test_an_approval_of_the_future_is_none_yet(configuration) -> None:
    configuration.edit(BINDINGS, "at: 2026-11-20T10:03:00Z", "at: 2098-11-20T10:03:00Z")
    configuration.edit(BINDINGS, "2027-01-31T18:00:00Z", "2098-12-31T18:00:00Z")
    assert findings(configuration) == ["role_bindings.yaml:28: future-approval"]


def test_an_expired_grant_is_no_error_and_no_conflict(configuration) -> None:
    configuration.edit(
        BINDINGS,
        NEW_BINDING,
        EXCEPTION.format(expires="2020-01-08T00:00:00Z", voice="security", at="2020-01-01T00:00:00Z"),
    )
    assert findings(configuration) == []


def test_plain_http_is_for_environments_of_local_people(configuration) -> None:
    configuration.edit(ROLES, "environments: [dev]", "environments: [prod]")
    assert findings(configuration) == ["roles.yaml:156: url"]


def test_an_unknown_file_is_named_because_nothing_would_read_it(configuration) -> None:
    configuration.write("role.yaml", "version: 1\n")
    assert findings(configuration) == ["role.yaml:1: unknown-file"]


def test_a_missing_file_is_not_an_empty_one(configuration) -> None:
    (configuration.directory / BINDINGS).unlink()
    assert findings(configuration) == ["role_bindings.yaml:1: unreadable"]


def test_an_empty_file_is_refused_as_a_deletion(configuration) -> None:
    configuration.write(BINDINGS, "")
    with pytest.raises(InvalidInput) as caught:
        configuration.document()
    assert caught.value.exit_code == 5


def test_no_finding_shows_a_value_that_stands_where_a_secret_does(configuration) -> None:
    configuration.edit(ROLES, "{env: WORKFORCE_CLIENT_SECRET}", "s3cr3t-canary")
    configuration.edit(ROLES, "{env: GOOGLE_CLIENT_SECRET}", "{env: GOOGLE_CLIENT_SECRET, value: s3cr3t-canary}")
    with pytest.raises(InvalidInput) as caught:
        configuration.document()
    assert "s3cr3t-canary" not in str(caught.value)
