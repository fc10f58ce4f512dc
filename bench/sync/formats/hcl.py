"""As OpenTofu and the Keycloak provider read it: one block per object, which is their quickest form."""

from __future__ import annotations

from pathlib import Path

from bench.sync.workload import Workload

_HEAD = """\
terraform {
  required_providers {
    keycloak = { source = "keycloak/keycloak" }
  }
}
provider "keycloak" {
  client_timeout = 300
}
"""


def write(workload: Workload, directory: Path) -> None:
    """The one file, `main.tf`. Where Keycloak is, and as whom, comes from KEYCLOAK_ variables."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "main.tf").write_text(_HEAD + "\n".join(_blocks(workload)) + "\n", "utf-8")


def _blocks(workload: Workload) -> list[str]:
    realm = "keycloak_realm.realm.id"
    blocks = [_block("keycloak_realm", "realm", realm=f'"{workload.realm}"', enabled="true")]
    for role, text in workload.roles.items():
        blocks.append(_block("keycloak_role", role, realm_id=realm, name=f'"{role}"', description=f'"{text}"'))
    for parent, children in workload.groups.items():
        blocks.append(_block("keycloak_group", parent, realm_id=realm, name=f'"{parent}"'))
        blocks += [
            _block("keycloak_group", child, realm_id=realm, parent_id=f"keycloak_group.{parent}.id", name=f'"{child}"')
            for child in children
        ]
    for client, rights in workload.clients.items():
        blocks.append(
            _block(
                "keycloak_openid_client",
                client,
                realm_id=realm,
                client_id=f'"{client}"',
                name=f'"{client}"',
                enabled="true",
                access_type='"PUBLIC"',
                standard_flow_enabled="true",
                full_scope_allowed="false",
                valid_redirect_uris='["http://127.0.0.1/callback"]',
            )
        )
        blocks += [
            _block(
                "keycloak_role",
                right,
                realm_id=realm,
                client_id=f"keycloak_openid_client.{client}.id",
                name=f'"{right}"',
                description=f'"A right of {client}."',
            )
            for right in rights
        ]
    for person in workload.people:
        name = person.name
        user = f"keycloak_user.{name}.id"
        roles = ", ".join(f"keycloak_role.{role}.id" for role in (person.role, person.right[1]))
        blocks += [
            _block(
                "keycloak_user",
                name,
                realm_id=realm,
                username=f'"{person.email}"',
                email=f'"{person.email}"',
                email_verified="true",
                enabled="true",
            ),
            _block(
                "keycloak_user_groups",
                name,
                realm_id=realm,
                user_id=user,
                exhaustive="false",
                group_ids=f"[keycloak_group.{person.group[1]}.id]",
            ),
            _block(
                "keycloak_user_roles", name, realm_id=realm, user_id=user, exhaustive="false", role_ids=f"[{roles}]"
            ),
        ]
    return blocks


def _block(kind: str, called: str, /, **values: str) -> str:
    lines = [f"  {key} = {value}" for key, value in values.items()]
    return "\n".join([f'resource "{kind}" "{called}" {{', *lines, "}"])
