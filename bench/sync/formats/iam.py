"""As admin-sync reads it: `configs/iam`. One environment, `dev`, whose realm is the workload's."""

from __future__ import annotations

from pathlib import Path

from bench.sync.workload import Workload

ENVIRONMENT = "dev"

_POLICIES = """\
version: 1
people: {dev: local}
assurance:
  levels: {aal1: password, aal2: totp, aal3: webauthn}
  interactive: aal2
  sensitive: {level: aal2, max_age: 5m}
  remember_me: {max_age: 30d, level: aal1}
access_requests:
  default: {approvals: [manager], max_duration: 90d}
  elevated: {roles: [], approvals: [manager], max_duration: 8h}
  mfa_before_grant: false
  approvers: {manager: {from: hr_roster}}
certification: {every: 90d, stale_after: 90d, orphan: not_in_hr_roster}
service_accounts: {static_secrets: forbidden}
break_glass:
  accounts: []
  max_duration: 1h
  review_within: 24h
  approvals: [manager]
  mfa_bypass: {max_duration: 4h, approvals: [manager]}
"""


def write(workload: Workload, directory: Path) -> None:
    """The five files. The realm's name loses its environment, which admin-sync adds again."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "roles.yaml").write_text(_roles(workload), "utf-8")
    (directory / "role_bindings.yaml").write_text(_bindings(workload), "utf-8")
    (directory / "policies.yaml").write_text(_POLICIES, "utf-8")
    (directory / "partners.yaml").write_text("version: 1\npersonas: {}\npartners: {}\n", "utf-8")
    (directory / "brokers.yaml").write_text("version: 1\nbrokers: {}\n", "utf-8")


def _roles(workload: Workload) -> str:
    name = workload.realm.removesuffix(f"-{ENVIRONMENT}")
    lines = [
        "version: 1",
        f"realm: {{name: {name}, display_name: Benchmark, audience: bench-internal}}",
        f"environments: {{{ENVIRONMENT}: {{}}}}",
        "permissions:",
        "  iam:modify: {description: Change IAM policy}",
        "roles:",
    ]
    for number, (role, description) in enumerate(workload.roles.items()):
        # Somebody has to be left who can change access, or the guard refuses to apply.
        lines += [
            f"  {role}:",
            f"    description: {description}",
            f"    permissions: [{'iam:modify' if number == 0 else ''}]",
            "    owners: [bench]",
        ]
    lines.append("groups:")
    for parent, children in workload.groups.items():
        lines += [f"  {parent}:", "    groups:", *(f"      {child}: {{}}" for child in children)]
    lines.append("clients:")
    for client, rights in workload.clients.items():
        lines += [
            f"  {client}:",
            "    type: public",
            "    flows: [authorization_code]",
            '    redirect_uris: {web: ["http://127.0.0.1/callback"]}',
            "    roles:",
            *(f"      {right}: {{description: A right of {client}.}}" for right in rights),
        ]
    return "\n".join(lines) + "\n"


def _bindings(workload: Workload) -> str:
    lines = ["version: 1", "bindings:"]
    for person in workload.people:
        group, right = "/".join(person.group), "/".join(person.right)
        for target in (f"group: {group}", f"role: {person.role}", f"client_role: {right}"):
            lines += [
                f"  - subject: {{user: {person.email}}}",
                f"    {target}",
                f"    environments: [{ENVIRONMENT}]",
            ]
    return "\n".join(lines) + "\n"
