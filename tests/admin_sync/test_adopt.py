"""A realm that this project did not make becomes configuration: the next plan is empty and nobody lost anything."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from admin_sync_world import Configuration, Run, admin_sync

from admin_sync.keycloak.connection import Connection, segment
from admin_sync.settings import settings

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

SECRET = "hand-made-client-secret-canary"
PROVIDER_SECRET = "hand-made-provider-secret-canary"


def person(name: str, **more: Any) -> dict[str, Any]:
    email = f"{name}@corp.example"
    return {"username": name, "email": email, "emailVerified": True, "enabled": True, **more}


def hand_made(name: str) -> dict[str, Any]:
    """What a team that clicks ends up with."""
    mapper = {"identityProviderAlias": "corp sso"}
    rights = {"realm-management": ["manage-clients"]}
    return {
        "realm": name,
        "enabled": True,
        "organizationsEnabled": True,
        "roles": {
            "realm": [
                {"name": "reader"},
                {"name": "writer", "description": "Writes: \"all\" of it, 100 %\n# even this", "composite": True,
                 "composites": {"realm": ["reader"]}},
                {"name": "yes", "description": "A name that some readers take for a boolean"},
                {"name": "Team Lead (EMEA) / ночь ✓", "description": "odd"},
                {"name": "ping", "composite": True, "composites": {"realm": ["pong"]}},
                {"name": "pong", "composite": True, "composites": {"realm": ["ping"]}},
                {"name": "keeper", "composite": True, "composites": {"client": {"realm-management": ["manage-users"]}}},
                {"name": "brokered"},
                {"name": "elsewhere", "description": "On groups that cannot be declared"},
                {"name": "default-given"},
                {"name": "templated", "description": "costs ${HOME}"},
            ],
            "client": {"billing": [{"name": "clerk", "description": "Books"}, {"name": "Chief Clerk"}],
                       "kiosk": [{"name": "visitor", "description": ""}]},
        },
        "groups": [
            {"name": "sales", "realmRoles": ["reader"], "subGroups": [
                {"name": "emea", "realmRoles": ["writer"], "subGroups": [{"name": "night.desk"}]},
                {"name": "Ops & Friends", "realmRoles": ["elsewhere"]}]},
            {"name": "admins", "clientRoles": {"realm-management": ["view-users"]}},
            {"name": "from-idp", "realmRoles": ["elsewhere"]},
            {"name": "mixed", "realmRoles": ["elsewhere"], "subGroups": [{"name": "Odd Child"}]},
            {"name": "a/b", "realmRoles": ["elsewhere"]},
        ],
        "clients": [
            {"clientId": "billing", "secret": SECRET, "serviceAccountsEnabled": True, "redirectUris": ["https://billing.example/*"]},
            {"clientId": "kiosk", "publicClient": True, "standardFlowEnabled": True, "fullScopeAllowed": True,
             "redirectUris": ["https://kiosk.example/cb"]},
            {"clientId": "Bearer Only", "bearerOnly": True},
        ],
        "users": [
            person("alice", realmRoles=["writer"], groups=["/sales/emea"], clientRoles=rights),
            person("bob", groups=["/sales", "/mixed/Odd Child"], clientRoles={"billing": ["clerk"]}),
            person("Carol.Ünal", email="carol@corp.example", realmRoles=["reader"], groups=["/from-idp"]),
            {"username": "no-mail", "enabled": True, "realmRoles": ["brokered", "yes"]},
            person("unproven", emailVerified=False, groups=["/admins"], realmRoles=["keeper"]),
        ],
        "identityProviders": [
            {"alias": "corp sso", "providerId": "oidc", "enabled": True, "config": {
                "clientId": "x", "clientSecret": PROVIDER_SECRET, "tokenUrl": "https://idp.example/t",
                "authorizationUrl": "https://idp.example/a", "useJwksUrl": "true", "jwksUrl": "https://idp.example/j"}}],
        "identityProviderMappers": [
            {**mapper, "name": "to group", "identityProviderMapper": "oidc-hardcoded-group-idp-mapper",
             "config": {"group": "/from-idp", "syncMode": "INHERIT"}},
            {**mapper, "name": "to role", "identityProviderMapper": "oidc-hardcoded-role-idp-mapper",
             "config": {"role": "brokered", "syncMode": "INHERIT"}}],
    }  # fmt: skip


def ordered(value: Any) -> str:
    if isinstance(value, dict):
        return json.dumps({key: ordered(inner) for key, inner in value.items()}, sort_keys=True)
    return json.dumps(sorted(map(ordered, value)) if isinstance(value, list) else value)


@dataclass
class Legacy:
    """The hand-made realm, and the configuration that is adopted from it."""

    name: str
    directory: Path
    environ: dict[str, str]
    admin: Connection

    @property
    def path(self) -> str:
        return f"/{segment(self.name)}"

    def run(self, command: str, *arguments: str | Path) -> Run:
        return admin_sync(
            command, *arguments, "--config", self.directory, "--env", "prod", environ=self.environ, timeout=300
        )

    def adopt(self, *arguments: str | Path) -> Run:
        return self.run("adopt", "--realm", self.name, *arguments)

    def everything(self) -> str:
        """The realm's export and its people; lists come in any order."""
        export = self.admin.query(f"{self.path}/partial-export", exportClients=True, exportGroupsAndRoles=True)
        return ordered([export, self.admin.get(f"{self.path}/users", max=100)])

    def access(self) -> dict[str, list[str]]:
        """What everybody really has, as Keycloak evaluates it."""
        found = {}
        for user in self.admin.get(f"{self.path}/users", max=100):
            place = f"{self.path}/users/{user['id']}"
            realm = self.admin.get(f"{place}/role-mappings/realm/composite")
            groups = self.admin.get(f"{place}/groups")
            direct = self.admin.get(f"{place}/role-mappings")
            clients = [
                f"{client}:{role['name']}"
                for client, mapping in direct.get("clientMappings", {}).items()
                for role in mapping["mappings"]
            ]
            found[user["username"]] = sorted(
                [*(role["name"] for role in realm), *(group["path"] for group in groups), *clients]
            )
        return found


@pytest.fixture(scope="module")
def legacy(keycloak_environment: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Legacy]:
    """One realm for the module; its tests tell one story, in their order."""
    place = tmp_path_factory.mktemp("adopt")
    name = f"Legacy Corp {secrets.token_hex(3)}"
    keep = ("ADMIN_SYNC_KEYCLOAK_URL", "ADMIN_SYNC_REALM", "ADMIN_SYNC_CLIENT_ID", "ADMIN_SYNC_CLIENT_SECRET_FILE")
    environ = {key: keycloak_environment[key] for key in keep if key in keycloak_environment}
    environ |= {"TRADEPULSE_AUDIT_DIR": str(place / "audit"), "TRADEPULSE_NODE": "test"}
    made = Legacy(name, place / "iam", environ, Connection(settings(environ).account()))
    made.admin.post("", hand_made(name))
    default = made.admin.get(f"{made.path}/roles/{segment(f'default-roles-{name.lower()}')}")
    given = made.admin.get(f"{made.path}/roles/default-given")
    made.admin.post(f"{made.path}/roles-by-id/{default['id']}/composites", [given])
    yield made
    made.admin.delete(made.path)


def test_a_dry_run_writes_nothing_and_says_everything(legacy: Legacy) -> None:
    before = legacy.everything()
    done = legacy.adopt("--dry-run", "--json", "--take-over", "all")
    assert done.code == 0, done.err
    assert not legacy.directory.exists()
    report = done.json()
    assert report["written"] is False
    why = {f"{one['kind']} {one['name']}": one["why"] for one in report["left"]}
    assert "is no name here" in why["role Team Lead (EMEA) / ночь ✓"]
    assert "client_includes" in why["role keeper"]
    assert "include-cycle" in why["role ping"] or "include-cycle" in why["role pong"]
    assert "static secret" in why["client billing"]
    assert "its secret is not known" in why["identity_provider corp sso"]
    assert "client_roles" in why["group admins"]
    assert "identity provider corp sso" in why["group from-idp"]
    assert "identity provider corp sso" in why["role brokered"]
    assert "default-roles" in why["role default-given"]
    assert "account no-mail" in why["role yes"]
    assert "a%2Fb role elsewhere" in why["role elsewhere"]
    assert "bob@corp.example group mixed/Odd Child" in why["group mixed"]
    assert legacy.everything() == before


def test_what_is_written_without_taking_over_plans_nothing(legacy: Legacy) -> None:
    done = legacy.adopt()
    assert done.code == 0, done.err
    assert legacy.run("validate").code == 0
    plan = legacy.run("plan", "--json", "--detailed-exitcode")
    assert (plan.code, plan.json()["environments"][0]["changes"]) == (0, []), plan.out
    roles = (legacy.directory / "roles.yaml").read_text("utf-8")
    assert "reader" in roles
    written = "".join(path.read_text("utf-8") for path in legacy.directory.iterdir())
    assert SECRET not in written
    assert PROVIDER_SECRET not in written


def test_files_that_stand_there_are_kept(legacy: Legacy) -> None:
    notes = legacy.directory / "notes.txt"
    notes.write_text("mine", "utf-8")
    before = {path.name: path.read_bytes() for path in legacy.directory.iterdir()}
    done = legacy.adopt("--take-over", "all")
    assert done.code == 3
    assert "--force" in done.err
    assert {path.name: path.read_bytes() for path in legacy.directory.iterdir()} == before


def test_what_is_named_becomes_ours_and_nobody_loses_anything(legacy: Legacy) -> None:
    before = legacy.access()
    done = legacy.adopt("--take-over", "roles,group:sales/emea", "--take-over", "group:sales", "--force", "--json")
    assert done.code == 0, done.err
    taken = {f"{one['kind']} {one['name']}" for one in done.json()["taken_over"]}
    assert {"role reader", "role writer"} <= taken
    assert "role yes" not in taken, "its holder has no address, so the next plan would take it away"
    assert "role brokered" not in taken
    assert legacy.access() == before
    plan = legacy.run("plan", "--json", "--detailed-exitcode")
    assert (plan.code, plan.json()["environments"][0]["changes"]) == (0, []), plan.out
    assert plan.json()["environments"][0]["effects"] == []
    assert legacy.run("drift").code == 0
    assert (legacy.directory / "notes.txt").read_text("utf-8") == "mine"
    assert not [path for path in legacy.directory.parent.iterdir() if path.name.startswith(".iam.")]


def test_a_grant_that_somebody_makes_by_hand_afterwards_is_drift(legacy: Legacy) -> None:
    users = {user["username"]: user["id"] for user in legacy.admin.get(f"{legacy.path}/users", max=100)}
    role = legacy.admin.get(f"{legacy.path}/roles/writer")
    legacy.admin.post(f"{legacy.path}/users/{users['bob']}/role-mappings/realm", [role])
    clients = {one["clientId"]: one["id"] for one in legacy.admin.get(f"{legacy.path}/clients")}
    management = clients["realm-management"]
    right = legacy.admin.get(f"{legacy.path}/clients/{management}/roles/realm-admin")
    legacy.admin.post(f"{legacy.path}/users/{users['bob']}/role-mappings/clients/{management}", [right])
    drift = legacy.run("drift", "--json")
    assert drift.code == 2
    environment = drift.json()["environments"][0]
    assert [(one["action"], one["name"]) for one in environment["changes"]] == [
        ("delete", "bob@corp.example role writer")
    ]
    assert environment["undeclared"] == [
        {"holder": "bob@corp.example", "grant": "realm-management:realm-admin", "removed": False}
    ]
    lines = (Path(legacy.environ["TRADEPULSE_AUDIT_DIR"]) / "iam_events.jsonl").read_text("utf-8").splitlines()
    alert = json.loads(lines[-1])
    assert alert["event"] == "realm.drift"
    assert "1 undeclared" in alert["resource"]


def test_policy_can_say_that_such_a_right_is_removed(legacy: Legacy) -> None:
    Configuration(legacy.directory).edit("policies.yaml", "undeclared_grants: report", "undeclared_grants: remove")
    assert legacy.run("apply").code == 0
    assert "realm-management:realm-admin" not in legacy.access()["bob"]
    assert "realm-management:manage-clients" in legacy.access()["alice"], "that one was accepted at adoption"
    assert legacy.run("drift").code == 0
