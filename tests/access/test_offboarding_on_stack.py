"""Offboarding on the real servers: everything goes, whatever fails or is killed on the way, and the report says so."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from offboarding_world import Offboarding, Person

from stack.login import Login, LoginFailed

if TYPE_CHECKING:
    from tests.conftest import Stack

KILLED_AT = ("account", "bindings", "decisions", "leases", "memberships")


@pytest.fixture
def world(stack: Stack, tmp_path: Path) -> Offboarding:
    return Offboarding(stack, tmp_path)


def test_a_leaver_has_nothing_left_and_the_report_says_what_went_when(world: Offboarding) -> None:
    person = Person(world, "leaver")
    person.granted(world, "research")
    claims = person.claims("viewer")
    assert person.offline is not None
    world.run("bundle", "publish")
    assert world.decides(claims, "analytics:read")["allow"]

    shown = world.run("offboard", person.email, "--dry-run", "--json")
    assert shown.returncode == 0, shown.stderr
    steps = {one["step"] for one in json.loads(shown.stdout)["would_take"]}
    assert steps >= {"account", "sessions", "offline", "bindings", "decisions", "leases", "credentials", "memberships"}
    assert (person.enabled, world.journal(), world.repository.document().barred(person.email)) == (True, [], False)

    # A vault that is away keeps nothing else from being done, and is said.
    first = world.run("offboard", person.email, "--json", env={"ADMIN_SYNC_VAULTS": "dev=http://127.0.0.1:9"})
    assert first.returncode == 1, first.stderr
    told = json.loads(first.stdout)
    assert {one["step"] for one in told["failed"]} == {"leases"}
    assert "the vault of dev was not told" in first.stderr

    assert not person.enabled
    assert person.has("sessions") == []
    assert person.refreshed(person.tokens) == 400
    assert person.refreshed(person.offline) == 400
    assert person.has("consents") == []
    assert person.has("credentials") == []
    assert person.has("groups") == []
    assert "clientMappings" not in person.has("role-mappings")
    with pytest.raises(LoginFailed):
        person.login.login(Login(person.email, person.password))
    # The access token from before still carries its roles, and they are worth nothing.
    answer = world.decides(claims, "analytics:read")
    assert (answer["allow"], answer["reasons"]) == (False, ["barred"])
    document = world.repository.document()
    assert all(one.subject.user != person.email for one in document.bindings.bindings)
    assert document.barred(person.email.upper())

    page = world.folder / "report.md"
    second = world.run("offboard", person.email, "--report", str(page), "--json")
    assert second.returncode == 0, second.stderr
    found = json.loads(second.stdout)
    assert (found["complete"], found["runs"], found["failed"]) == (True, 2, [])
    order = [one["step"] for one in found["revoked"]]
    assert set(order) >= steps
    assert order.index("account") < order.index("sessions") < order.index("bindings") < order.index("credentials")
    leases = next(one for one in found["revoked"] if one["step"] == "leases")
    assert leases["detail"]["ending"] == {}
    assert "| account | dev |" in page.read_text()
    assert person.password not in page.read_text() + second.stdout + second.stderr


def test_a_run_that_is_killed_at_any_step_is_finished_by_the_next(world: Offboarding) -> None:
    person = Person(world, "killed")
    person.granted(world, "research")
    killed = [step for step in KILLED_AT if world.killed_at(step, "offboard", person.email)]
    assert set(killed) == set(KILLED_AT)
    last = world.run("offboard", person.email, "--json")
    assert last.returncode == 0, last.stderr
    found = json.loads(last.stdout)
    assert found["complete"]
    assert found["runs"] == len(killed) + 1
    assert (person.enabled, person.has("sessions"), person.has("credentials"), person.has("groups")) == (
        False,
        [],
        [],
        [],
    )
    assert world.repository.document().barred(person.email)
    # What was begun when the process died is in the report too, each thing once but for what is told again.
    counted = Counter((one["step"], one["place"], one["what"]) for one in found["revoked"])
    assert {step for step, _, _ in counted} >= {"account", "sessions", "bindings", "decisions", "memberships"}
    assert {key for key, times in counted.items() if times > 1} <= {
        ("leases", "dev", f"leases of {person.email}"),
    }
    log = world.repository.git.text("log", "--format=%s")
    assert log.splitlines().count(f"Offboard {person.email}") == 1


def test_somebody_suspended_rests_and_comes_back_with_all_they_had(world: Offboarding) -> None:
    person = Person(world, "resting", offline=False)
    person.granted(world, "research")
    claims = person.claims("viewer")
    rests = world.run("suspend", person.email, "--why", "A laptop is lost.")
    assert rests.returncode == 0, rests.stderr
    assert not person.enabled
    assert world.decides(claims, "analytics:read")["reasons"] == ["barred"]
    assert person.refreshed(person.tokens) == 400
    assert person.has("credentials") != []
    assert any(one.subject.user == person.email for one in world.repository.document().bindings.bindings)
    back = world.run("reinstate", person.email)
    assert back.returncode == 0, back.stderr
    assert person.enabled
    again = person.claims("viewer")
    assert world.decides(again, "analytics:read")["allow"]


def test_what_can_be_done_without_keycloak_is_done_without_it(world: Offboarding) -> None:
    before = world.repository.document().bindings.bindings[0].subject.user
    away = world.run("offboard", before, "--allow-lockout", env={"ADMIN_SYNC_KEYCLOAK_URL": "http://127.0.0.1:9"})
    assert away.returncode == 1
    assert "account in dev: Keycloak did not answer" in away.stderr
    assert world.repository.document().barred(before)
    done = [line["step"] for line in world.journal() if line["what"] == "done"]
    assert done[:2] == ["bindings", "decisions"]
