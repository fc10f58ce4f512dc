"""Applying the base realm: complete at once, nothing to do the second time, and safe to change under a login."""

from __future__ import annotations

import copy
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from admin_sync.diff import Plan, diff
from admin_sync.errors import InvalidInput
from admin_sync.keycloak.adapter import Writer
from admin_sync.keycloak.base.desired import base_resources
from admin_sync.keycloak.base.kinds import BASE_ADAPTERS, BASE_ORDER
from admin_sync.keycloak.connection import Connection, segment
from admin_sync.keycloak.rest.reader import RestReader
from admin_sync.model import Current, Desired, Ref, Resource, index
from stack.layout import CHECKOUT

if TYPE_CHECKING:
    from tests.conftest import Stack

pytestmark = pytest.mark.integration

BASE = CHECKOUT / "realm" / "base"
BROWSER = Ref("flow", "tradepulse browser")


@dataclass
class Scratch:
    """A realm of one test module, and what it should look like."""

    admin: Connection
    name: str
    desired: list[Resource]

    @property
    def path(self) -> str:
        return f"/{self.name}"

    def plan(self, desired: list[Resource] | None = None) -> Plan:
        """The difference between the server and what is wanted."""
        reader = RestReader(self.admin, self.name)
        found = [resource for adapter in BASE_ADAPTERS for resource in adapter.read(reader)]
        wanted = Desired(self.name, "dev", index(self.desired if desired is None else desired))
        return diff(wanted, Current(self.name, reader.representation is not None, index(found)), BASE_ORDER)

    def apply(self, desired: list[Resource] | None = None) -> Plan:
        """Bring the server there; the plan that was carried out."""
        plan = self.plan(desired)
        adapters = {adapter.kind: adapter for adapter in BASE_ADAPTERS}
        writer = Writer(self.admin, self.name)
        for change in plan.changes:
            adapters[change.ref.kind].write(writer, change)
        return plan

    def changed(self, ref: Ref, **attrs: Any) -> list[Resource]:
        """What is wanted, with some attributes of one resource exchanged."""
        return [
            replace(resource, attrs={**resource.attrs, **attrs}) if resource.ref == ref else resource
            for resource in self.desired
        ]

    def steps(self) -> list[Any]:
        """The browser flow's steps, to be changed."""
        flow = next(resource for resource in self.desired if resource.ref == BROWSER)
        steps: list[Any] = copy.deepcopy(list(flow.attrs["executions"]))
        return steps

    def flows(self) -> dict[str, str]:
        """Alias -> id of the realm's top-level flows."""
        return {flow["alias"]: flow["id"] for flow in self.admin.get(f"{self.path}/authentication/flows")}

    def bound(self) -> str:
        """The alias of the flow that logins use."""
        alias: str = self.admin.get(self.path)["browserFlow"]
        return alias


@pytest.fixture(scope="module")
def scratch(stack: Stack) -> Iterator[Scratch]:
    name = f"scratch-{secrets.token_hex(4)}"
    realm = Scratch(stack.admin, name, base_resources(BASE, name, "dev", {}))
    try:
        realm.apply()
        yield realm
    finally:
        stack.admin.delete(f"/{name}")


@pytest.fixture(autouse=True)
def restored(scratch: Scratch) -> Iterator[None]:
    yield
    scratch.apply()


def test_a_second_apply_has_nothing_to_do_and_reads_in_five_requests(scratch: Scratch) -> None:
    before = scratch.admin.requests
    assert scratch.plan().empty
    # The realm and its export, and beside them its organizations and people (their number and a page).
    assert scratch.admin.requests - before == 5


def test_the_realms_of_the_stack_are_as_declared(stack: Stack) -> None:
    for environment in ("dev", "staging", "prod"):
        name = f"tradepulse-{environment}"
        realm = Scratch(stack.admin, name, base_resources(BASE, name, environment, stack.env))
        assert realm.plan().empty, [str(change.ref) for change in realm.plan().changes]


def test_what_somebody_changed_by_hand_is_found_and_put_right(scratch: Scratch) -> None:
    admin, path = scratch.admin, scratch.path
    admin.put(path, {**admin.get(path), "bruteForceProtected": False, "webAuthnPolicyRpId": "elsewhere.example"})
    action = f"{path}/authentication/required-actions/tradepulse-choose-factor"
    admin.put(action, {**admin.get(action), "defaultAction": False})
    scope = next(one for one in admin.get(f"{path}/client-scopes") if one["name"] == "tradepulse-identity")
    extra = {
        "name": "salts",
        "protocol": "openid-connect",
        "protocolMapper": "oidc-hardcoded-claim-mapper",
        "config": {"claim.name": "groups", "claim.value": "admin", "access.token.claim": "true"},
    }
    admin.post(f"{path}/client-scopes/{scope['id']}/protocol-mappers/models", extra)
    admin.put(f"{path}/client-policies/policies", {"policies": []})
    [door] = admin.get(f"{path}/clients", clientId="admin-cli")
    admin.put(f"{path}/clients/{door['id']}", {**door, "enabled": True, "standardFlowEnabled": True})
    found = {str(change.ref) for change in scratch.plan().changes}
    assert found == {
        f"realm {scratch.name}",
        "required_action tradepulse-choose-factor",
        "client_scope tradepulse-identity",
        "client_policy tradepulse-every-client",
        "client_policy tradepulse-confidential-clients",
        "client_policy tradepulse-no-registration",
        "builtin_client admin-cli",
    }
    scratch.apply()
    assert scratch.plan().empty


def test_a_hand_made_change_of_a_method_reference_is_seen(scratch: Scratch) -> None:
    # Keycloak masks configuration that no provider declares; our own provider declares these.
    base = f"{scratch.path}/authentication"
    steps = scratch.admin.get(f"{base}/flows/{segment(BROWSER.name)}/executions")
    step = next(one for one in steps if one.get("providerId") == "auth-otp-form")
    config = f"{base}/config/{step['authenticationConfig']}"
    current = scratch.admin.get(config)
    forged = {**current["config"], "default.reference.value": "hwk"}
    scratch.admin.put(config, {**current, "config": forged})
    assert [change.ref for change in scratch.plan().changes] == [BROWSER]


def every(steps: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for step in steps:
        yield step
        yield from every(step.get("executions", []))


def test_a_changed_configuration_is_exchanged_in_the_flow_that_is_in_use(scratch: Scratch) -> None:
    before = scratch.flows()[BROWSER.name]
    steps = scratch.steps()
    level = next(step for step in every(steps) if step.get("config", {}).get("loa-condition-level") == "2")
    level["config"]["loa-max-age"] = "60"
    wanted = scratch.changed(BROWSER, executions=steps)
    scratch.apply(wanted)
    assert scratch.plan(wanted).empty
    assert scratch.flows()[BROWSER.name] == before


def test_a_changed_shape_is_built_beside_bound_and_leaves_nothing_behind(scratch: Scratch) -> None:
    before = scratch.flows()
    steps = scratch.steps()
    del steps[1]
    wanted = scratch.changed(BROWSER, executions=steps)
    scratch.apply(wanted)
    assert scratch.plan(wanted).empty
    assert scratch.bound() == BROWSER.name
    assert scratch.flows().keys() == before.keys()
    assert scratch.flows()[BROWSER.name] != before[BROWSER.name]


class Dies(Connection):
    """A connection that breaks after some writes, as a killed process would."""

    def __init__(self, admin: Connection, writes: int) -> None:
        self.__dict__.update(admin.__dict__)
        self.left = writes

    def post(self, path: str, body: Any = None) -> str | None:
        self.spend()
        return super().post(path, body)

    def put(self, path: str, body: Any = None) -> None:
        self.spend()
        super().put(path, body)

    def delete(self, path: str, body: Any = None) -> None:
        self.spend()
        super().delete(path, body)

    def spend(self) -> None:
        if self.left == 0:
            raise KeyboardInterrupt
        self.left -= 1


# While the old flow is renamed; before the new one; between a nested flow and its place in it; while it is built;
# before it is bound; before the old one is deleted.
@pytest.mark.parametrize("writes", [4, 11, 15, 30, 62, 63])
def test_an_apply_that_dies_leaves_a_whole_flow_in_use_and_the_next_one_finishes(scratch: Scratch, writes: int) -> None:
    steps = scratch.steps()
    steps[1]["requirement"] = "DISABLED"
    wanted = scratch.changed(BROWSER, executions=steps)
    whole = len(list(scratch.admin.get(f"{scratch.path}/authentication/flows/{segment(scratch.bound())}/executions")))
    dying = Scratch(Dies(scratch.admin, writes), scratch.name, scratch.desired)
    try:
        dying.apply(wanted)
    except KeyboardInterrupt:
        in_use = scratch.admin.get(f"{scratch.path}/authentication/flows/{segment(scratch.bound())}/executions")
        assert len(in_use) == whole
    scratch.apply(wanted)
    assert scratch.plan(wanted).empty
    assert scratch.bound() == BROWSER.name
    assert not [alias for alias in scratch.flows() if "replaced" in alias]


def test_what_keycloak_made_is_never_deleted(scratch: Scratch) -> None:
    assert scratch.plan([]).changes == tuple(
        change for change in scratch.plan([]).changes if change.ref == Ref("client_scope", "tradepulse-identity")
    )


def test_a_mistake_in_the_base_is_reported_at_its_place(tmp_path: Path) -> None:
    for file in BASE.glob("*.yaml"):
        text = file.read_text().replace("requirement: CONDITIONAL", "requirement: SOMETIMES", 1)
        (tmp_path / file.name).write_text(text.replace("assign: default", "assign: everywhere", 1))
    with pytest.raises(InvalidInput) as caught:
        base_resources(tmp_path, "x", "dev", {})
    assert {finding.file for finding in caught.value.findings} == {"flows.yaml", "client_scopes.yaml"}
    assert all(finding.line > 1 for finding in caught.value.findings)
