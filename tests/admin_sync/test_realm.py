"""A real Keycloak, from nothing to three realms as declared, and back to that from whatever happens to them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from admin_sync_world import ROOT, Realms, plain_environment

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

PLAN_REQUESTS = 40
"""What reading a realm of the sample may take: it follows roles, groups and partners, never people. Who holds one of
Keycloak's own administrative roles, which nobody can declare, takes a request for each of those."""


@pytest.fixture(scope="module")
def applied(realms: Realms) -> Realms:
    """The three realms, applied once from nothing."""
    done = realms.run("apply", "--json")
    assert done.code == 0, done.err
    report = json.loads(done.out)
    assert report["summary"]["add"] > 150
    assert report["summary"]["change"] == report["summary"]["destroy"] == 0
    return realms


@pytest.fixture
def as_declared(applied: Realms) -> Realms:
    """Realms that are as the sample declares, whatever the last test did."""
    applied.reset()
    done = applied.run("apply", "--allow-deletions", "200", "--allow-takeover", "--allow-lockout", "--wait", "60")
    assert done.code == 0, done.err
    return applied


def one_view(done) -> dict:
    """The view of the only environment in a plan."""
    return json.loads(done.out)["environments"][0]


def signs(done) -> list[str]:
    """`action kind name` of every change."""
    return [f"{one['action']} {one['kind']} {one['name']}" for one in one_view(done)["changes"]]


def test_a_second_plan_is_empty_and_takes_few_requests(as_declared: Realms) -> None:
    done = as_declared.run("plan", "--detailed-exitcode", "--json")
    assert done.code == 0, done.out
    plans = json.loads(done.out)["environments"]
    assert [plan["changes"] for plan in plans] == [[], [], []]
    assert all(plan["requests"] <= PLAN_REQUESTS for plan in plans), [plan["requests"] for plan in plans]


def test_local_people_have_accounts_without_a_password_and_federated_ones_wait(as_declared: Realms) -> None:
    people = as_declared.admin.get(f"{as_declared.path('dev')}/users", briefRepresentation=False)
    one = next(person for person in people if person["email"] == "quant.one@tradepulse.example")
    assert set(one["requiredActions"]) == {"UPDATE_PASSWORD", "tradepulse-choose-factor"}
    assert as_declared.admin.get(f"{as_declared.path('dev')}/users/{one['id']}/credentials") == []
    groups = as_declared.admin.get(f"{as_declared.path('dev')}/users/{one['id']}/groups")
    assert [group["path"] for group in groups] == ["/research"]
    assert as_declared.admin.get(f"{as_declared.path('prod')}/users") == []
    waiting = one_view(as_declared.run("plan", "--env", "prod", "--json"))["pending"]
    assert any("quant.one" in one["name"] for one in waiting)


def test_a_federated_person_is_bound_when_they_have_appeared_with_a_verified_address(as_declared: Realms) -> None:
    place = f"{as_declared.path('prod')}/users"
    body = {"username": "trader", "email": "Trader.One@tradepulse.example", "enabled": True, "emailVerified": False}
    person = as_declared.admin.post(place, body)
    try:
        assert signs(as_declared.run("plan", "--env", "prod", "--json")) == []
        found = as_declared.admin.get(f"{place}/{person}")
        as_declared.admin.put(f"{place}/{person}", {**found, "emailVerified": True})
        done = as_declared.run("apply", "--env", "prod")
        assert done.code == 0, done.err
        groups = as_declared.admin.get(f"{place}/{person}/groups")
        assert [group["name"] for group in groups] == ["trading"]
    finally:
        as_declared.admin.delete(f"{place}/{person}")


def test_one_change_is_one_change(as_declared: Realms) -> None:
    as_declared.configuration.edit("roles.yaml", "Read-only access to analytics", "Read access to analytics")
    done = as_declared.run("plan", "--env", "dev", "--json", "--detailed-exitcode")
    assert done.code == 2
    assert signs(done) == ["update role viewer"]
    text = as_declared.run("plan", "--env", "dev")
    assert text.code == 0
    assert "Plan: 0 to add, 1 to change, 0 to destroy." in text.out
    assert "roles.yaml:44:3" in text.out
    assert as_declared.run("apply", "--env", "dev").code == 0
    assert as_declared.run("drift", "--env", "dev").code == 0


def test_a_changed_permission_shows_who_gains_and_who_loses_it(as_declared: Realms) -> None:
    as_declared.configuration.edit("roles.yaml", "[strategy:create, backtest:run", "[audit:view, backtest:run")
    effects = one_view(as_declared.run("plan", "--env", "dev", "--json"))["effects"]
    shown = {(one["subject"], one["effect"], one["permission"], tuple(one["way"])) for one in effects}
    way = ("group research", "role quant")
    assert shown == {
        (who, effect, permission, way)
        for who in ("quant.one@tradepulse.example", "whoever workforce puts in tp-research")
        for effect, permission in (("gains", "audit:view"), ("loses", "strategy:create"))
    }


def test_drift_is_seen_and_repaired(as_declared: Realms) -> None:
    admin, realm = as_declared.admin, as_declared.path("dev")
    role = admin.get(f"{realm}/roles/trader")
    admin.put(f"{realm}/roles/trader", {**role, "description": "edited by hand"})
    people = {person["email"]: person["id"] for person in admin.get(f"{realm}/users")}
    quant, mlops = people["quant.one@tradepulse.example"], people["mlops.one@tradepulse.example"]
    # A grant that nobody declared, a membership taken away, a right slipped into a group and one to everybody.
    admin.post(f"{realm}/users/{mlops}/role-mappings/realm", [role])
    group = admin.get(f"{realm}/group-by-path/research")["id"]
    admin.delete(f"{realm}/users/{quant}/groups/{group}")
    management = admin.get(f"{realm}/clients", clientId="realm-management")[0]["id"]
    right = admin.get(f"{realm}/clients/{management}/roles/realm-admin")
    admin.post(f"{realm}/groups/{group}/role-mappings/clients/{management}", [right])
    everybody = admin.get(f"{realm}/roles/default-roles-{as_declared.name}-dev")
    admin.post(f"{realm}/roles-by-id/{everybody['id']}/composites", [role])
    client = admin.get(f"{realm}/clients", clientId="tradepulse-cli")[0]
    admin.put(f"{realm}/clients/{client['id']}", {**client, "redirectUris": ["https://evil.example/callback"]})
    done = as_declared.run("drift", "--env", "dev", "--json")
    assert done.code == 2
    assert signs(done) == [
        "delete binding mlops.one@tradepulse.example role trader",
        f"delete binding role default-roles-{as_declared.name}-dev role trader",
        "update role trader",
        "update group research",
        "update client tradepulse-cli",
        "create binding quant.one@tradepulse.example group research",
    ]
    repaired = as_declared.run("apply", "--env", "dev")
    assert repaired.code == 0, repaired.err
    assert as_declared.run("drift", "--env", "dev").code == 0
    assert admin.get(f"{realm}/groups/{group}/role-mappings").get("clientMappings") is None
    assert admin.get(f"{realm}/clients/{client['id']}")["redirectUris"] == ["http://127.0.0.1/callback"]


def test_what_is_not_ours_is_never_touched_or_mentioned(as_declared: Realms) -> None:
    admin, realm = as_declared.admin, as_declared.path("dev")
    admin.post(f"{realm}/roles", {"name": "foreign"})
    group = admin.post(f"{realm}/groups", {"name": "foreign"})
    client = admin.post(f"{realm}/clients", {"clientId": "foreign", "standardFlowEnabled": False})
    person = admin.post(f"{realm}/users", {"username": "foreign", "email": "f@example.org", "enabled": True})
    assert as_declared.run("drift", "--env", "dev").code == 0
    for place in (f"groups/{group}", f"clients/{client}", f"users/{person}", "roles/foreign"):
        assert admin.get(f"{realm}/{place}") is not None
        admin.delete(f"{realm}/{place}")


def test_grants_that_hide_in_groups_roles_and_defaults_are_found_and_taken_away(as_declared: Realms) -> None:
    admin, realm = as_declared.admin, as_declared.path("dev")
    security = admin.get(f"{realm}/group-by-path/security")["id"]
    below = admin.post(f"{realm}/groups/{security}/children", {"name": "back/door"})
    eve = admin.post(
        f"{realm}/users", {"username": "eve", "email": "eve@x.example", "emailVerified": True, "enabled": True}
    )
    admin.put(f"{realm}/users/{eve}/groups/{below}", {})
    client = admin.get(f"{realm}/clients", clientId="vault-api")[0]["id"]
    account = admin.get(f"{realm}/clients/{client}/service-account-user")["id"]
    admin.put(f"{realm}/users/{account}/groups/{security}", {})
    admin.post(f"{realm}/clients/{client}/roles", {"name": "strange"})
    strange = admin.get(f"{realm}/clients/{client}/roles/strange")["id"]
    admin.post(f"{realm}/roles-by-id/{strange}/composites", [admin.get(f"{realm}/roles/admin")])
    admin.put(f"{realm}/default-groups/{security}", {})
    plan = as_declared.run("plan", "--env", "dev", "--json")
    assert set(signs(plan)) == {
        "delete binding client vault-api group security",
        "delete binding client_role vault-api/strange role admin",
        "delete binding eve@x.example group security/back%2Fdoor",
        "delete binding every new account group security",
    }
    lost = {one["permission"] for one in one_view(plan)["effects"] if one["subject"] == "eve@x.example"}
    assert "iam:modify" in lost
    done = as_declared.run("apply", "--env", "dev", "--allow-deletions", "4")
    assert done.code == 0, done.err
    assert as_declared.run("drift", "--env", "dev").code == 0
    assert admin.get(f"{realm}/users/{eve}/groups") == []
    for place in (f"groups/{below}", f"users/{eve}", f"roles-by-id/{strange}"):
        admin.delete(f"{realm}/{place}")


def test_a_declared_name_that_somebody_else_took_is_refused_without_the_flag(as_declared: Realms) -> None:
    as_declared.admin.post(f"{as_declared.path('dev')}/roles", {"name": "auditor", "description": "somebody's"})
    as_declared.configuration.edit(
        "roles.yaml",
        "  viewer:\n",
        "  auditor: {description: Reads, permissions: [audit:view], owners: [x]}\n  viewer:\n",
    )
    refused = as_declared.run("apply", "--env", "dev")
    assert refused.code == 5
    assert "--allow-takeover" in refused.err
    assert as_declared.run("apply", "--env", "dev", "--allow-takeover").code == 0


def test_salts_are_made_once_and_shown_nowhere(as_declared: Realms) -> None:
    place = f"{as_declared.path('dev')}/organizations"

    def salt() -> str:
        listed = as_declared.admin.get(place, briefRepresentation=False)
        attributes = next(one for one in listed if one["alias"] == "acme-capital")["attributes"]
        assert attributes["vault.salt.current"] == ["1"]
        return attributes["vault.salt.1"][0]

    before = salt()
    assert len(before) == 43
    as_declared.configuration.edit("partners.yaml", "name: Acme Capital", "name: Acme Capital Ltd")
    plan = as_declared.run("plan", "--env", "dev")
    done = as_declared.run("apply", "--env", "dev")
    assert done.code == 0
    assert salt() == before
    assert before not in plan.out + plan.err + done.out + done.err


def test_a_changed_secret_is_seen_sent_and_never_shown(as_declared: Realms) -> None:
    changed = {**as_declared.environ, "WORKFORCE_CLIENT_SECRET": "another-canary"}
    again = Realms(as_declared.name, as_declared.configuration, changed, as_declared.admin)
    plan = again.run("plan", "--env", "dev")
    assert "identity_provider workforce" in plan.out
    assert "(secret) changes" in plan.out
    done = again.run("apply", "--env", "dev")
    assert done.code == 0, done.err
    assert again.run("drift", "--env", "dev").code == 0
    trail = (Path(changed["TRADEPULSE_AUDIT_DIR"]) / "iam_events.jsonl").read_text("utf-8")
    for secret in ("another-canary", "workforce-secret-canary", "scrypt$"):
        assert secret not in plan.out + plan.err + done.out + done.err + trail


def test_an_issuer_that_is_away_leaves_its_provider_as_it_is(as_declared: Realms) -> None:
    away = {**as_declared.environ, "WORKFORCE_ISSUER": "http://localhost:1/workforce"}
    gone = Realms(as_declared.name, as_declared.configuration, away, as_declared.admin)
    done = gone.run("plan", "--env", "dev", "--detailed-exitcode")
    assert done.code == 0, done.out
    assert "it stays as it is" in done.out


def test_an_expired_grant_is_taken_away(as_declared: Realms) -> None:
    as_declared.configuration.edit(
        "role_bindings.yaml",
        "    role: viewer\n    environments: [dev, staging, prod]",
        "    role: viewer\n    environments: [dev, staging, prod]\n    expires: 2020-01-01T00:00:00Z",
    )
    done = as_declared.run("plan", "--env", "dev", "--json")
    assert signs(done) == ["delete binding platform.one@tradepulse.example role viewer"]
    assert any("expired" in warning for warning in one_view(done)["warnings"])


def test_a_plan_that_deletes_much_is_refused_until_the_number_is_said(as_declared: Realms) -> None:
    as_declared.configuration.write("role_bindings.yaml", "version: 1\nbindings: []\n")
    refused = as_declared.run("apply", "--env", "dev", "--allow-lockout")
    assert refused.code == 5
    assert "--allow-deletions" in refused.err
    assert as_declared.admin.get(f"{as_declared.path('dev')}/users/count") == 6
    as_declared.configuration.write("role_bindings.yaml", "")
    assert as_declared.run("plan", "--env", "dev").code == 5


def test_the_last_guardian_and_a_partners_keys_are_kept(as_declared: Realms) -> None:
    as_declared.configuration.edit(
        "role_bindings.yaml", "group: security\n    environments: [dev,", "group: security\n    environments: ["
    )
    locked_out = as_declared.run("apply", "--env", "dev")
    assert locked_out.code == 5
    assert "--allow-lockout" in locked_out.err
    as_declared.reset()
    text = (as_declared.configuration.directory / "partners.yaml").read_text("utf-8")
    as_declared.configuration.write("partners.yaml", text[: text.index("  birch-research:")])
    shredding = as_declared.run("apply", "--env", "dev")
    assert shredding.code == 5
    assert "--allow-shredding birch-research" in shredding.err


def test_a_saved_plan_is_applied_as_reviewed_or_not_at_all(as_declared: Realms, tmp_path: Path) -> None:
    as_declared.configuration.edit("roles.yaml", "Read-only access to analytics", "Access to analytics")
    file = tmp_path / "plan.json"
    assert as_declared.run("plan", "--env", "dev", "--out", file).code == 0
    edited = tmp_path / "edited.json"
    edited.write_text(file.read_text("utf-8").replace("Access to analytics", "Access to everything"), "utf-8")
    assert as_declared.run("apply", edited).code == 5
    place = f"{as_declared.path('dev')}/roles/viewer"
    role = as_declared.admin.get(place)
    as_declared.admin.put(place, {**role, "description": "the realm moved"})
    stale = as_declared.run("apply", file)
    assert stale.code == 5
    assert "stale" in stale.err
    assert as_declared.admin.get(place)["description"] == "the realm moved"
    as_declared.admin.put(place, role)
    assert as_declared.run("apply", file).code == 0
    assert as_declared.admin.get(place)["description"].startswith("Access to analytics")


def start_apply(realms: Realms) -> subprocess.Popen[bytes]:
    """An apply to dev that runs beside the test."""
    config = str(realms.configuration.directory)
    return subprocess.Popen(
        [sys.executable, "-m", "admin_sync", "apply", "--env", "dev", "--config", config],
        cwd=ROOT,
        env=plain_environment() | realms.environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def test_an_apply_killed_in_the_middle_is_finished_by_the_next(as_declared: Realms) -> None:
    trail = Path(as_declared.environ["TRADEPULSE_AUDIT_DIR"]) / "iam_events.jsonl"
    for lines in (1, 5, 20, 45, 60):
        as_declared.admin.delete(as_declared.path("dev"))
        before = trail.stat().st_size
        process = start_apply(as_declared)
        while trail.read_bytes()[before:].count(b"\n") < lines and process.poll() is None:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
        done = as_declared.run("apply", "--env", "dev")
        assert done.code == 0, f"killed after {lines} lines: {done.err}"
        assert as_declared.run("drift", "--env", "dev").code == 0


def test_of_two_applies_at_once_one_exits_6_and_names_the_other(as_declared: Realms) -> None:
    as_declared.admin.delete(as_declared.path("dev"))
    process = start_apply(as_declared)
    lock = f"/master/roles/tradepulse-lock.{as_declared.name}-dev"
    while as_declared.admin.get(lock) is None:
        assert process.poll() is None, "the apply ended before it was seen to hold the lock"
    second = as_declared.run("apply", "--env", "dev")
    assert second.code == 6
    assert f"process {process.pid}" in second.err
    patient = as_declared.run("apply", "--env", "dev", "--wait", "120")
    assert patient.code == 0, patient.err
    assert process.wait() == 0
    assert as_declared.admin.get(lock) is None


def test_json_is_one_document_and_a_closed_pipe_changes_nothing(as_declared: Realms) -> None:
    read, write = os.pipe()
    os.close(read)
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "admin_sync",
            "plan",
            "--env",
            "dev",
            "--config",
            str(as_declared.configuration.directory),
        ],
        cwd=ROOT,
        env=plain_environment() | as_declared.environ,
        stdout=write,
        stderr=subprocess.PIPE,
    )
    os.close(write)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0
    assert b"Traceback" not in errors
    assert b"\x1b" not in errors


def test_wrong_credentials_are_exit_4_and_no_server_is_exit_1(as_declared: Realms, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("wrong", "utf-8")
    secret.chmod(0o600)
    wrong = {**as_declared.environ, "ADMIN_SYNC_CLIENT_SECRET_FILE": str(secret)}
    done = Realms(as_declared.name, as_declared.configuration, wrong, as_declared.admin).run("plan", "--env", "dev")
    assert done.code == 4, done.err
    assert "Traceback" not in done.err


def requests(realms: Realms, way: str) -> int:
    """How many requests a plan takes by one of the gateways."""
    found: int = one_view(realms.run("plan", "--env", "staging", "--gateway", way, "--json"))["requests"]
    return found


def test_requests_do_not_grow_with_people_beyond_their_pages(as_declared: Realms) -> None:
    place = f"{as_declared.path('staging')}/users"

    def create(number: int) -> None:
        body = {"username": f"person{number}", "email": f"person{number}@example.org", "enabled": True}
        as_declared.admin.post(place, body)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(create, range(150)))
        # So many that asking by role and by group takes fewer requests than asking by person.
        before = {way: requests(as_declared, way) for way in ("rest", "bulk")}
        list(pool.map(create, range(150, 250)))
    after = {way: requests(as_declared, way) for way in ("rest", "bulk")}
    assert after["rest"] == before["rest"] + 1, "a hundred people are one page more"
    assert after["bulk"] == before["bulk"] <= 3
