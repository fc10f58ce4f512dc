"""Ways around the rules that a configuration can be written to take, and the table that says what is looked for."""

from __future__ import annotations

import pytest
from admin_sync_world import Configuration

from admin_sync.catalogue import page
from admin_sync.check import CHECKS, check
from admin_sync.guard import GUARDS
from admin_sync.load.document import scan

ROLES, POLICIES, BINDINGS, PARTNERS = "roles.yaml", "policies.yaml", "role_bindings.yaml", "partners.yaml"
APPROVED = """
    request: {request}
    justification: Needed.
    expires: 2027-01-31T18:00:00Z
    approvals:
      - {{by: manager.one@tradepulse.example,  as: manager,      at: 2026-11-20T09:12:00Z}}
      - {{by: owner.one@tradepulse.example,    as: system_owner, at: 2026-11-20T09:40:00Z}}
      - {{by: security.one@tradepulse.example, as: security,     at: 2026-11-20T10:03:00Z}}
"""


def found(configuration: Configuration) -> list[tuple[str, str]]:
    """Code and message of all that is wrong in meaning."""
    document, findings = scan(configuration.directory, configuration.environ)
    assert document is not None, findings
    return [(one.code, one.message) for one in check(document)]


def codes(configuration: Configuration) -> set[str]:
    return {code for code, _ in found(configuration)}


def bind(configuration: Configuration, who: str, what: str, where: str, *, request: str | None = None) -> None:
    line = f"bindings:\n  - subject: {{user: {who}}}\n    {what}\n    environments: [{where}]"
    configuration.edit(BINDINGS, "bindings:\n", line + (APPROVED.format(request=request) if request else "\n"))


def test_a_role_that_nobody_owns(configuration: Configuration) -> None:
    configuration.edit(ROLES, "    owners: [platform-owners]\n", "")
    assert codes(configuration) == {"no-owner"}


def test_an_elevated_permission_hidden_in_a_plain_role(configuration: Configuration) -> None:
    configuration.edit(ROLES, "[analytics:read, portfolio:read]", "[analytics:read, iam:modify]")
    ((code, message),) = found(configuration)
    assert code == "elevated-permission"
    assert "elevated role admin" in message


def test_a_role_taken_from_the_elevated_ones_does_not_make_its_permissions_plain(configuration: Configuration) -> None:
    configuration.edit(ROLES, "permissions: [deployment:rollout,", "permissions: [iam:modify, deployment:rollout,")
    configuration.edit(POLICIES, "{roles: [sre, admin, super_admin],", "{roles: [admin, super_admin],")
    assert "elevated-permission" in codes(configuration)


@pytest.mark.parametrize("environments", ["environments: [dev, prod]", ""], ids=["named", "everywhere"])
def test_a_workload_that_stands_in_development_and_in_production(configuration: Configuration, environments) -> None:
    configuration.edit(ROLES, "    environments: [dev, staging]\n", f"    {environments}\n")
    assert codes(configuration) == {"crosses-environments"}


def test_one_workload_under_two_names(configuration: Configuration) -> None:
    twin = """  ci-prod:
    type: workload
    issuer: "${CI_ISSUER:-http://localhost:8090/ci}"
    subject: "repo:tradepulse/platform:ref:refs/heads/main"
    roles: [viewer]
    environments: [prod]

identity_providers:"""
    configuration.environ = {"CI_ISSUER": "https://ci.example"}
    configuration.edit(ROLES, "\nidentity_providers:", twin)
    ((code, message),) = found(configuration)
    assert code == "crosses-environments"
    assert "ci-deployer" in message
    configuration.edit(ROLES, 'refs/heads/main"\n    roles: [viewer]', 'environment:prod"\n    roles: [viewer]')
    assert found(configuration) == []


def test_one_request_for_development_and_production(configuration: Configuration) -> None:
    bind(configuration, "platform.one@tradepulse.example", "role: sre", "dev, prod", request="REQ-9")
    assert codes(configuration) == {"crosses-environments"}


def test_an_environment_that_denies_itself(configuration: Configuration) -> None:
    configuration.edit(POLICIES, "deny_roles_from: [dev, staging]", "deny_roles_from: [dev, prod]")
    assert "crosses-environments" in codes(configuration)


def test_approvals_copied_to_another_grant(configuration: Configuration) -> None:
    bind(configuration, "quant.one@tradepulse.example", "role: sre", "staging", request="REQ-000001")
    assert codes(configuration) == {"reused-request"}


def test_an_approver_of_another_environment(configuration: Configuration) -> None:
    configuration.edit(
        BINDINGS,
        "    group: security\n    environments: [dev, staging, prod]",
        "    group: security\n    environments: [dev]",
    )
    ((code, message),) = found(configuration)
    assert code == "not-an-approver"
    assert message.endswith("not in staging")


def test_an_approver_whose_membership_had_ended(configuration: Configuration) -> None:
    configuration.edit(
        BINDINGS,
        "    group: security\n    environments: [dev, staging, prod]\n",
        "    group: security\n    environments: [dev, staging, prod]\n    expires: 2026-11-20T10:00:00Z\n",
    )
    assert codes(configuration) == {"not-an-approver"}


def test_approvers_from_a_source_that_nobody_keeps(configuration: Configuration) -> None:
    configuration.edit(POLICIES, "security: {group: security}", "security: {from: anybody}")
    assert codes(configuration) == {"unknown-source"}


def test_a_rule_of_separation_that_another_hides(configuration: Configuration) -> None:
    configuration.edit(
        POLICIES, "access_requests:", "  - {name: build-or-run, roles: [viewer, sre]}\n\naccess_requests:"
    )
    assert "separation-rule" in codes(configuration)
    configuration.edit(POLICIES, "{name: build-or-run, roles: [viewer, sre]}", "{name: x, roles: [viewer, viewer]}")
    assert "separation-rule" in codes(configuration)


def test_a_later_approval_does_not_make_an_exception_longer(configuration: Configuration) -> None:
    exception = APPROVED.format(request="REQ-7").replace("as: security,", "as: risk,    ")
    line = "bindings:\n  - subject: {user: quant.one@tradepulse.example}\n    role: trader\n    environments: [prod]"
    configuration.edit(
        BINDINGS, "bindings:\n", line + exception.replace("2027-01-31T18:00:00Z", "2099-01-08T00:00:00Z")
    )
    for before, after in (("2026-11-20T09:12", "2099-01-02T09:12"), ("2026-11-20T09:40", "2099-01-02T09:40")):
        configuration.edit(BINDINGS, before, after)
    assert "segregation-of-duties" in codes(configuration)


def test_a_partners_administrator_who_is_kept_apart_from_a_role_of_the_platform(configuration: Configuration) -> None:
    configuration.edit(
        POLICIES, "access_requests:", "  - {name: two-sides, roles: [partner-admin, quant]}\n\naccess_requests:"
    )
    assert found(configuration) == []
    configuration.edit(PARTNERS, "[admin@acme.example]", "[admin@acme.example, Quant.One@tradepulse.example]")
    ((code, message),) = found(configuration)
    assert code == "segregation-of-duties"
    assert "group research → role quant" in message
    assert "partner acme-capital → partner role partner-admin" in message


def test_two_environments_in_one_realm_and_the_realm_of_keycloaks_own(configuration: Configuration) -> None:
    configuration.edit(ROLES, "dev:     {}", "dev:     {realm: tradepulse-prod}")
    assert codes(configuration) == {"same-realm"}
    configuration.edit(ROLES, "{realm: tradepulse-prod}", "{realm: master}")
    assert codes(configuration) == {"reserved-name"}


def test_an_exception_for_a_secret_that_cannot_be(configuration: Configuration) -> None:
    one = "{client: tradepulse-cli, rotation: 30d, approved_by: a@x.example, expires: 2099-01-01T00:00:00Z}"
    configuration.edit(POLICIES, "exceptions: []", f"exceptions: [{one}]")
    assert codes(configuration) == {"secret-exception"}
    configuration.edit(POLICIES, "tradepulse-cli, rotation: 30d, approved_by: a@x.example, expires: 2099",
                       "tradepulse, rotation: 30d, approved_by: a@x.example, expires: 2020")  # fmt: skip
    assert codes(configuration) == {"secret-exception"}


def test_an_acceptance_for_an_environment_that_is_not(configuration: Configuration) -> None:
    accepted = "accepted_grants: [{holder: a, grant: b, reason: c, environments: [dev, nowhere]}]\n"
    configuration.edit(POLICIES, "environments:\n  prod", f"{accepted}environments:\n  prod")
    assert codes(configuration) == {"unknown-environment"}


@pytest.mark.parametrize(
    "uri",
    [
        "https://app.example/*",
        "*",
        "javascript:alert(1)",
        "data:text/html,x",
        "https://a@b.example/cb",
        "https://app.example/cb#x",
        "https://app.example/a/../b",
        "https://app.example/%2e%2e/b",
        "//app.example/cb",
        "http://localhost.evil.example/cb",
        "http://127.0.0.1.evil.example/cb",
        "https://app.example\\\\@evil.example/cb",
    ],
)
def test_a_redirect_uri_that_leads_elsewhere(configuration: Configuration, uri: str) -> None:
    configuration.edit(ROLES, '["http://127.0.0.1/callback"]', f'["{uri}"]')
    assert codes(configuration) == {"url"}


def test_a_check_finds_only_what_the_table_says_of_it(configuration: Configuration) -> None:
    """Everything wrong at once: what each function finds has a line in the table."""
    for file in (ROLES, POLICIES, BINDINGS, PARTNERS):
        path = configuration.directory / file
        text = path.read_text("utf-8")
        for before, after in (
            ("roles: [viewer, quant]", "roles: [viewer, quant, trader, nobody]"),
            ("persona: live-trading", "persona: nothing"),
            ("brokers: [paper]", "brokers: [nothing]"),
            ("    owners: [platform-owners]\n", ""),
            ("includes: [admin, viewer]", "includes: [super_admin]"),
            ("[admin@acme.example]", "[admin@acme.example, quant.one@tradepulse.example]"),
            ("tp-research: research,", "tp-research: nowhere,"),
            ("environments: [dev, staging]", "environments: [dev, prod, moon]"),
            ("to: \"22:00\"", "to: \"08:00\""),
            ("max_age: 5m", "max_age: 0s"),
            ("as: manager, ", "as: friend, "),
        ):  # fmt: skip
            text = text.replace(before, after)
        path.write_text(text, "utf-8")
    document, _ = scan(configuration.directory, configuration.environ)
    assert document is not None
    for one in CHECKS:
        assert {finding.code for finding in one.look(document)} <= one.finds.keys(), one.look.__name__
    assert len({finding.code for finding in check(document)}) >= 10


def test_every_code_of_the_table_is_one_word_and_says_what_it_is() -> None:
    for one in CHECKS:
        for code, says in one.finds.items():
            assert code == code.lower().strip()
            assert " " not in code
            assert says.strip()


def test_the_page_lists_every_code_of_both_tables() -> None:
    listed = page()
    for one in CHECKS:
        assert all(f"| `{code}` |" in listed for code in one.finds)
    assert all(f"| `{one.code}` | {one.refuses} |" in listed for one in GUARDS)
