"""Every way to a realm does the same: what is written is read back, what is not ours is left alone.

The suite runs against a real Keycloak once for each gateway. A new gateway is a line in `GATEWAYS`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from admin_sync_world import Configuration

from admin_sync.desired import Facts, desire
from admin_sync.desired.facts import Secret
from admin_sync.diff import Action, Plan, diff
from admin_sync.keycloak.base.desired import base_resources
from admin_sync.keycloak.choice import Choice
from admin_sync.keycloak.connection import Connection, segment
from admin_sync.keycloak.gateway import Gateway, choose
from admin_sync.keycloak.registry import ORDER
from admin_sync.keycloak.rest.reader import RestReader
from admin_sync.keycloak.state import read_through
from admin_sync.model import MANAGED_ATTRIBUTE, MANAGED_BY, Current, Desired, Ref, Resource, index
from admin_sync.refs import (
    BINDING,
    CLIENT,
    CLIENT_ROLE,
    GROUP,
    ORGANIZATION,
    ORGANIZATION_GROUP,
    PROVIDER,
    PROVIDER_MAPPER,
    RIGHT,
    ROLE,
    USER,
    client_role_binding,
    group_binding,
    partner_binding,
    role_binding,
    user,
)
from admin_sync.settings import settings
from stack.layout import CHECKOUT

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

GATEWAYS = (Choice.REST, Choice.BULK)

ODD = "Ünïcode \"quoted\" 'name' %2F +&=#;"


@dataclass
class World:
    """One realm reached by one gateway, and what it should look like."""

    gateway: Gateway
    admin: Connection
    realm: str
    configuration: Configuration
    facts: Facts
    extra: dict[Ref, Resource] = field(default_factory=dict)
    changed: dict[Ref, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def path(self) -> str:
        return f"/{self.realm}"

    def desired(self, current: Current) -> Desired:
        """The sample, with this test's own objects and changes."""
        document = self.configuration.document()
        base = base_resources(CHECKOUT / "realm" / "base", self.realm, "dev", {"TRADEPULSE_OAUTH2_AUDIENCE": "a"})
        made = desire(document, "dev", current, self.facts, base)
        table = {ref: self.laid_over(one) for ref, one in made.resources.items()}
        for ref, one in self.extra.items():
            # An account that is there belongs to its person, as `admin_sync.desired.people` has it.
            there = ref.kind == USER and ref in current.resources
            table[ref] = Resource(ref) if there else one
        return Desired(self.realm, "dev", index(table.values()))

    def laid_over(self, one: Resource) -> Resource:
        return replace(one, attrs={**one.attrs, **self.changed.get(one.ref, {})})

    def plan(self) -> tuple[Plan, Current]:
        """What is left to do, from a fresh read."""
        current = self.gateway.read(self.realm)
        return diff(self.desired(current), current, ORDER), current

    def apply(self) -> Plan:
        """Carry out what is to be done; each change is reported exactly once and without a problem."""
        plan, current = self.plan()
        ids = {ref: one.server_id for ref, one in current.resources.items() if one.server_id}
        seen: list[tuple[Action, Ref]] = []
        problems: list[Exception] = []

        def observe(change: Any, problem: Exception | None) -> None:
            seen.append((change.action, change.ref))
            problems.extend([problem] if problem is not None else [])

        done = self.gateway.write(plan.changes, self.realm, ids, lambda alias: f"secret of {alias}", observe)
        assert problems == []
        assert sorted(seen) == sorted((change.action, change.ref) for change in plan.changes)
        assert done == len(plan.changes)
        return plan

    def settle(self) -> Plan:
        """`apply`, after which nothing is left; by another look, which knows nothing of the first."""
        plan = self.apply()
        again, _ = self.plan()
        assert [str(change.ref) for change in again.changes] == []
        complete, _ = self.plan()
        assert [str(change.ref) for change in complete.changes] == []
        return plan


@pytest.fixture(scope="module", params=GATEWAYS, ids=str)
def world(
    request: pytest.FixtureRequest, keycloak_environment: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """A realm of this gateway's own, made from nothing."""
    admin = Connection(settings(dict(keycloak_environment)).account())
    directory: Path = tmp_path_factory.mktemp("conformance") / "iam"
    configuration = Configuration(directory)
    name = f"conform{request.param}"
    configuration.take_sample(name)
    issuers = [f"http://localhost:8090/{one}" for one in ("workforce", "mock", "ci")]
    known = {
        issuer: {"issuer": issuer}
        | {one: f"{issuer}/{one}" for one in ("authorizationUrl", "tokenUrl", "jwksUrl", "userInfoUrl")}
        for issuer in issuers
    }
    facts = Facts(discovered=known, secrets={"workforce": Secret("w"), "mock": Secret("m")})
    realm = f"{name}-dev"
    admin.delete(f"/{realm}")
    yield World(choose(admin, realm, request.param), admin, realm, configuration, facts)
    admin.delete(f"/{realm}")


@pytest.fixture
def settled(world: World) -> World:
    """The realm as the sample declares it, whatever the last test did."""
    world.extra, world.changed = {}, {}
    world.settle()
    return world


def role(name: str, **attrs: Any) -> Resource:
    plain = {"description": "d", "includes": [], "client_includes": [], "permissions": [], "managed_by": MANAGED_BY}
    return Resource(Ref(ROLE, name), {**plain, **attrs})


def group(path: str, *roles: str) -> Resource:
    return Resource(Ref(GROUP, path), {"roles": sorted(roles), "client_roles": [], "managed_by": MANAGED_BY})


def person(email: str) -> Resource:
    attrs = {"email": email, "email_verified": True, "required_actions": ["UPDATE_PASSWORD"], "managed_by": MANAGED_BY}
    return Resource(user(email), attrs)


def bound(ref: Ref, email: str, **attrs: str) -> Resource:
    return Resource(ref, {"user": email, **attrs})


def test_a_realm_from_nothing_holds_every_kind_and_needs_nothing_more(settled: World) -> None:
    plan, current = settled.plan()
    assert plan.empty
    assert {ref.kind for ref in current.resources} >= set(ORDER) - {RIGHT}
    assert partner_binding("admin@acme.example", "acme-capital", "partner-admin") in current.resources


CHANGED: list[tuple[Ref, Mapping[str, Any]]] = [
    (Ref(ROLE, "viewer"), {"description": "Changed.", "includes": ["offline_access"], "permissions": ["a:b"]}),
    (Ref(GROUP, "trading/night-desk"), {"roles": ["viewer"]}),
    (Ref(CLIENT, "tradepulse-cli"), {"display_name": "Changed", "redirect_uris": ["http://127.0.0.1/other"]}),
    (Ref(CLIENT_ROLE, "vault-api/operator"), {"description": "Changed."}),
    (Ref(PROVIDER, "workforce"), {"display_name": "Changed"}),
    (Ref(PROVIDER_MAPPER, "workforce/group tp-research"), {"group": "platform"}),
    (Ref(ORGANIZATION, "acme-capital"), {"display_name": "Changed"}),
    (Ref(ORGANIZATION_GROUP, "acme-capital/partner-trader"), {"permissions": ["connection:read"]}),
    (Ref("events", "events"), {"eventsExpiration": 4242}),
    (Ref("client_scope", "tradepulse-identity"), {"description": "Changed."}),
    (Ref("realm_rule", "risk"), {"new_device": "deny", "device_posture": None}),
]


def test_each_kind_is_changed_and_changed_back(settled: World) -> None:
    settled.changed = dict(CHANGED)
    changed = settled.settle()
    assert {change.ref for change in changed.changes} == {ref for ref, _ in CHANGED}
    settled.changed = {}
    back = settled.settle()
    assert {(change.action, change.ref) for change in back.changes} == {(Action.UPDATE, ref) for ref, _ in CHANGED}


def test_objects_and_grants_come_and_go_and_strangers_stay(settled: World) -> None:
    admin, path = settled.admin, settled.path
    admin.post(f"{path}/roles", {"name": f"their/{ODD}", "attributes": {"x": ["y"]}})
    admin.post(f"{path}/groups", {"name": f"their/{ODD}"})
    stranger = admin.post(f"{path}/users", {"username": "stranger", "email": "stranger@x.example", "enabled": True})
    their = {"clientId": f"their/{ODD}", "redirectUris": ["https://their.example/cb"], "publicClient": True}
    admin.post(f"{path}/clients", {**their, "attributes": {"pkce.code.challenge.method": "S256"}})
    admin.post(f"{path}/users/{stranger}/role-mappings/realm", [admin.get(f"{path}/roles/{segment(f'their/{ODD}')}")])
    _, before = settled.plan()
    mail = "new.one@tradepulse.example"
    made = [
        role("conform-inner"),
        role("conform-outer", includes=["conform-inner"]),
        group("conform"),
        group("conform/deep", "conform-outer"),
        group("conform/deep/deeper", "conform-inner"),
        Resource(Ref(CLIENT_ROLE, "tradepulse-cli/conform"), {"description": "d", "managed_by": MANAGED_BY}),
        person(mail),
        bound(role_binding(mail, "conform-outer"), mail, role="conform-outer"),
        bound(group_binding(mail, "conform/deep/deeper"), mail, group="conform/deep/deeper"),
        bound(client_role_binding(mail, "tradepulse-cli", "conform"), mail, owner="tradepulse-cli", role="conform"),
    ]
    settled.extra = {one.ref: one for one in made}
    settled.changed = {Ref(ORGANIZATION, "acme-capital"): {"admins": ["new.one@tradepulse.example"]}}
    created = settled.settle()
    assert {change.ref for change in created.changes if change.action is Action.CREATE} == settled.extra.keys()
    settled.extra, settled.changed = {}, {}
    gone = settled.settle()
    assert {change.ref for change in gone.changes if change.action is Action.DELETE} >= {one.ref for one in made}
    # Grants go before what they give, so that no deletion meets what is gone.
    order = [change.ref.kind for change in gone.changes if change.action is Action.DELETE]
    assert BINDING not in order[order.count(BINDING) :]
    _, after = settled.plan()
    theirs = [ref for ref, one in before.resources.items() if not one.managed]
    assert {ref: after.resources[ref] for ref in theirs} == {ref: before.resources[ref] for ref in theirs}
    assert set(after.resources) == set(before.resources)


def test_names_that_need_escaping_are_one_segment_of_a_path(settled: World) -> None:
    names = [f"ours {ODD}", "ours/with/slashes", "ours?and=query", "..", "ours ~ end"]
    mail = "odd.one@tradepulse.example"
    top = f"top {ODD.replace('%', '').replace('#', '')}"
    made = [role(name) for name in names]
    made += [group(top, names[0]), group(f"{top}/inner", names[1]), person(mail)]
    made += [bound(role_binding(mail, name), mail, role=name) for name in names]
    made += [bound(group_binding(mail, f"{top}/inner"), mail, group=f"{top}/inner")]
    settled.extra = {one.ref: one for one in made}
    assert len(settled.settle().changes) == len(made)
    settled.extra[Ref(ROLE, names[0])] = role(names[0], description=ODD, includes=[names[1]])
    assert [change.ref.name for change in settled.settle().changes] == [names[0]]
    settled.extra = {}
    settled.settle()


def test_people_made_together_are_like_one_who_was_made_alone(settled: World) -> None:
    admin, path = settled.admin, settled.path
    default = admin.post(f"{path}/groups", {"name": "everybody's"})
    admin.put(f"{path}/default-groups/{default}")
    action = admin.get(f"{path}/authentication/required-actions/VERIFY_EMAIL")
    admin.put(
        f"{path}/authentication/required-actions/VERIFY_EMAIL", {**action, "enabled": True, "defaultAction": True}
    )
    try:
        alone = "alone@tradepulse.example"
        others = [f"together{number}@tradepulse.example" for number in range(8)]
        for people in ([alone], others):
            for mail in people:
                made = [
                    person(mail),
                    bound(role_binding(mail, "viewer"), mail, role="viewer"),
                    bound(group_binding(mail, "trading/night-desk"), mail, group="trading/night-desk"),
                    bound(client_role_binding(mail, "vault-api", "operator"), mail, owner="vault-api", role="operator"),
                ]
                settled.extra |= {one.ref: one for one in made}
            settled.changed = {Ref("required_action", "VERIFY_EMAIL"): {"enabled": True, "default": True}}
            settled.settle()
        one = described(settled, alone)
        assert [described(settled, mail) for mail in others] == [one] * len(others)
        assert {f"default-roles-{settled.realm}", "viewer"} <= set(one["roles"])
        assert "/everybody's" in one["groups"]
        assert "VERIFY_EMAIL" in one["requiredActions"]
    finally:
        admin.delete(f"{path}/default-groups/{default}")
        admin.delete(f"{path}/groups/{default}")
        admin.put(f"{path}/authentication/required-actions/VERIFY_EMAIL", action)


def described(world: World, email: str) -> dict[str, Any]:
    """Everything about an account that does not name it."""
    [found] = world.admin.get(f"{world.path}/users", email=email, exact=True)
    place = f"{world.path}/users/{found['id']}"
    whole: dict[str, Any] = world.admin.get(place)
    mappings = world.admin.get(f"{place}/role-mappings")
    assert abs(world.admin.time() * 1000 - whole.pop("createdTimestamp")) < 600_000
    assert whole.pop("username") == whole.pop("email") == email
    del whole["id"]
    return {
        **whole,
        "requiredActions": sorted(whole["requiredActions"]),
        "groups": sorted(one["path"] for one in world.admin.get(f"{place}/groups")),
        "roles": sorted(one["name"] for one in mappings["realmMappings"]),
        "client_roles": sorted(one["name"] for one in mappings["clientMappings"]["vault-api"]["mappings"]),
    }


def test_roles_and_groups_made_together_are_like_those_made_alone(settled: World) -> None:
    admin, path = settled.admin, settled.path
    for names in (["alone"], [f"together{number}" for number in range(8)]):
        for name in names:
            made = [
                role(name, permissions=["x:y"], includes=["viewer"]),
                group(name, "viewer"),
                group(f"{name}/inner", name),
                Resource(Ref(CLIENT_ROLE, f"vault-api/{name}"), {"description": "d", "managed_by": MANAGED_BY}),
            ]
            settled.extra |= {one.ref: one for one in made}
        settled.settle()

    def shown(name: str) -> list[Any]:
        client = admin.get(f"{path}/clients", clientId="vault-api")[0]["id"]
        found = [admin.get(f"{path}/roles/{name}"), admin.get(f"{path}/clients/{client}/roles/{name}")]
        found += [admin.get(f"{path}/group-by-path/{below}") for below in (name, f"{name}/inner")]
        strip = {"id", "containerId", "parentId", "access"}
        plain = [{key: value for key, value in one.items() if key not in strip} for one in found]
        return [repr(one).replace(name, "NAME") for one in plain]

    assert [shown(f"together{number}") for number in range(8)] == [shown("alone")] * 8


def test_reading_by_person_and_by_role_gives_the_same(settled: World) -> None:
    ways = []
    for by_person in (True, False):
        reader = RestReader(settled.admin, settled.realm)
        reader.__dict__["_by_person"] = by_person
        ways.append(read_through(reader).resources)
    assert ways[0] == ways[1] == settled.gateway.read(settled.realm).resources


def test_a_mark_that_was_taken_away_is_put_back_and_nothing_else_changes(settled: World) -> None:
    found = settled.admin.get(f"{settled.path}/roles/quant")
    unmarked = {name: value for name, value in found["attributes"].items() if name != MANAGED_ATTRIBUTE}
    settled.admin.put(f"{settled.path}/roles/quant", {**found, "attributes": {**unmarked, "theirs": ["kept"]}})
    plan = settled.settle()
    assert [(change.ref, [one.path for one in change.differences]) for change in plan.changes] == [
        (Ref(ROLE, "quant"), ["managed_by"])
    ]
    attributes = settled.admin.get(f"{settled.path}/roles/quant")["attributes"]
    wanted = {**found["attributes"], "theirs": ["kept"]}
    # Keycloak keeps the values of an attribute in no order.
    assert {name: sorted(values) for name, values in attributes.items()} == {
        name: sorted(values) for name, values in wanted.items()
    }
    settled.admin.put(f"{settled.path}/roles/quant", found)
