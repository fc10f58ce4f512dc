"""For any configuration: apply, then plan, and nothing is left; interrupted anywhere, it still ends there.

Configurations are written as files and go through everything a user's go through. The many examples
run against `keycloak_model`; `test_apply_properties_on_keycloak` runs a few against the real thing.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from config_strategies import configurations, write
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from keycloak_model import REALM, Killed, Model

from admin_sync.check import checked
from admin_sync.desired import Facts, desire
from admin_sync.diff import Plan, diff
from admin_sync.keycloak.connection import KeycloakProblem
from admin_sync.keycloak.registry import ORDER
from admin_sync.keycloak.rest.gateway import RestGateway
from admin_sync.model import MANAGED_ATTRIBUTE, MANAGED_BY, Current

MANY = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
FAULTS = ("killed before", "killed after", "503 before", "503 after")


class Side:
    """One configuration and the model of a server."""

    def __init__(self, model: Model, directory: Path, configuration: Any) -> None:
        self.model = model
        write(configuration, directory)
        self.document = checked(directory, {})

    def look(self) -> tuple[RestGateway, Current, Plan]:
        """A new process that looks at the realm."""
        gateway = RestGateway(self.model.connection(), 4)
        current = gateway.read(REALM)
        return gateway, current, diff(desire(self.document, "dev", current, Facts()), current, ORDER)

    def run(self) -> None:
        """A new process that carries out what is left, and ends as a process does that meets a fault."""
        gateway, current, plan = self.look()
        ids = {ref: one.server_id for ref, one in current.resources.items() if one.server_id}
        try:
            gateway.write(plan.changes, REALM, ids, lambda alias: None, lambda change, problem: None)
        except (KeycloakProblem, LookupError, Killed):
            return

    def finished(self) -> dict[str, Any]:
        """What a run that nobody disturbs makes of it. It has to be enough, and to leave nothing."""
        self.model.fault = lambda number: None
        self.run()
        assert [str(change.ref) for change in self.look()[2].changes] == []
        return self.model.dump()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path


@MANY
@given(first=configurations(), second=configurations())
def test_after_an_apply_nothing_is_left_to_do(place: Path, first: Any, second: Any) -> None:
    model = Model()
    strangers(model)
    Side(model, place, first).finished()
    changed = Side(model, place, second).finished()
    fresh = Model()
    strangers(fresh)
    assert changed == Side(fresh, place, second).finished()
    assert_strangers_are_there(model)


@MANY
@given(
    first=configurations(),
    second=configurations(),
    faults=st.lists(st.tuples(st.integers(1, 60), st.sampled_from(FAULTS)), min_size=1, max_size=4),
)
def test_interrupted_at_any_write_it_still_ends_there(
    place: Path, first: Any, second: Any, faults: list[tuple[int, str]]
) -> None:
    undisturbed = Model()
    Side(undisturbed, place, first).finished()
    wanted = Side(undisturbed, place, second).finished()
    model = Model()
    Side(model, place, first).finished()
    side = Side(model, place, second)
    for at, fault in faults:
        start = model.writes
        model.fault = lambda number, start=start, at=at, fault=fault: fault if number == start + at else None
        side.run()
    assert side.finished() == wanted


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_at_each_write_in_turn_changes_nothing_of_the_end(place: Path, fault: str) -> None:
    configuration = whole()
    undisturbed = Model()
    wanted = Side(undisturbed, place, configuration).finished()
    assert undisturbed.writes > 10
    for at in range(1, undisturbed.writes + 1):
        model = Model()
        side = Side(model, place, configuration)
        model.fault = lambda number, at=at: fault if number == at else None
        side.run()
        assert model.writes >= at
        assert side.finished() == wanted, at


def test_a_server_that_answers_503_to_every_other_write_gets_there_by_looking_again(place: Path) -> None:
    wanted = Side(Model(), place, whole()).finished()
    model = Model()
    side = Side(model, place, whole())
    model.fault = lambda number: "503 after" if number % 2 else None
    for _ in range(200):
        side.run()
        if side.look()[2].empty:
            break
    assert side.finished() == wanted


def whole() -> Any:
    """A configuration in which every kind is made by the dozen and alone."""
    names = [f"r{number}" for number in range(8)]
    return {
        "roles": {name: {"includes": names[number + 1 : number + 2]} for number, name in enumerate(names)},
        "groups": {f"g{number}": {"roles": ["r1"], "groups": {"inner": {"roles": ["r2"]}}} for number in range(4)},
        "clients": {"c0": ["x", "y"], "c1": ["x", "y", "z", "w"]},
        "grants": [
            *({"user": f"u{number}@x.example", "group": f"g{number % 4}/inner"} for number in range(9)),
            *({"user": f"u{number}@x.example", "role": f"r{number}"} for number in range(8)),
            *({"user": f"u{number}@x.example", "client_role": "c1/w"} for number in range(3)),
        ],
    }


def strangers(model: Model) -> None:
    """Objects that carry names of ours or others, and no mark."""
    role = model._role("theirs", {"attributes": {"x": ["y"]}})
    group = model._group({"name": "theirs"}, None)
    key = model._user({"username": "them@y.example", "email": "them@y.example", "emailVerified": True, "enabled": True})
    model.users[key]["roles"].add(role)
    model.users[key]["groups"].add(group)


def assert_strangers_are_there(model: Model) -> None:
    found = model.dump()
    assert found["roles"]["theirs"]["attributes"] == {"x": ["y"]}
    assert found["users"]["them@y.example"]["roles"] == ["theirs"]
    assert found["users"]["them@y.example"]["groups"] == ["/theirs"]


@MANY
@given(configuration=configurations())
@example(configuration=whole())
def test_everything_that_is_made_carries_the_mark(place: Path, configuration: Any) -> None:
    model = Model()
    Side(model, place, configuration).finished()
    for table in (model.roles, model.groups, model.clients, model.users):
        for one in table.values():
            if one.get("name") != "default-roles-model-dev":
                mark = (one["attributes"] or {}).get(MANAGED_ATTRIBUTE)
                assert mark in (MANAGED_BY, [MANAGED_BY]), json.dumps(one, default=str)
