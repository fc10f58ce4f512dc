"""What somebody of ours holds and nobody declared is seen wherever it is; policy says whether it goes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from admin_sync_world import Configuration

from admin_sync.desired import Facts, desire
from admin_sync.diff import Action, Plan, diff
from admin_sync.errors import Refused
from admin_sync.guard import Allowances, Situation, guard
from admin_sync.impact import MEMBERS, Subject, held
from admin_sync.keycloak.adapter import Writer
from admin_sync.keycloak.iam.right import RightAdapter
from admin_sync.keycloak.registry import ORDER
from admin_sync.model import MANAGED_ATTRIBUTE, MANAGED_BY, Current, Desired, Ref, Resource, index
from admin_sync.ownership import Undeclared, settle
from admin_sync.refs import CLIENT, group_binding, role_binding, user

OURS = {MANAGED_ATTRIBUTE: [MANAGED_BY]}
QUANT = "quant.one@tradepulse.example"
STRANGER = "stranger@x.example"


class Realm:
    """What a reader would say of a realm, from a few of its parts; everything else is empty."""

    def __init__(self, members: Mapping[tuple[str, Any], Iterable[str]] | None = None, **export: Any) -> None:
        self.realm = "r"
        self.representation = {"id": "r"}
        self.export = export
        self._members = {key: [account(email) for email in people] for key, people in (members or {}).items()}

    def _listed(self, sort: str, keys: Iterable[Any]) -> dict[Any, list[dict[str, Any]]]:
        return {key: self._members.get((sort, key), []) for key in keys}

    def role_members(self, names: Iterable[str]) -> dict[str, Any]:
        return self._listed("role", names)

    def client_role_members(self, roles: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Any]:
        return self._listed("client_role", roles)

    def group_members(self, ids: Iterable[str]) -> dict[str, Any]:
        return self._listed("group", ids)


def account(email: str) -> dict[str, Any]:
    return {"id": f"id-{email}", "username": email, "email": email}


def rights(of: Realm) -> list[Resource]:
    return list(RightAdapter().read(of))  # type: ignore[arg-type]


MANAGEMENT = {"realm-management": [{"id": "1", "name": "manage-users"}]}
FOREIGN = [{"id": "l", "name": "legacy"}]
DEFAULT = {
    "id": "d",
    "name": "default-roles-r",
    "composites": {
        "realm": ["offline_access", "uma_authorization", "legacy"],
        "client": {"account": ["view-profile", "manage-account"], "realm-management": ["view-users"]},
    },
}


def hand_given() -> Realm:
    """A realm in which every way was used."""
    client = {"id": "c", "clientId": "app", "attributes": {MANAGED_ATTRIBUTE: MANAGED_BY}}
    return Realm(
        {
            ("client_role", ("realm-management", "manage-users")): [QUANT, STRANGER],
            ("role", "legacy"): [QUANT],
            ("group", "g"): [QUANT],
            ("group", "g2"): [QUANT],
        },
        roles={"realm": [*FOREIGN, DEFAULT, {"id": "o", "name": "offline_access"}], "client": MANAGEMENT},
        groups=[
            {"id": "g", "name": "Ops", "clientRoles": {"realm-management": ["manage-users"]},
             "subGroups": [{"id": "g2", "name": "Night"}]},
            {"id": "h", "name": "Harmless"},
        ],
        clients=[client, {"id": "x", "clientId": "theirs"}],
        clientScopes=[{"id": "s", "name": "tradepulse-identity", "attributes": {MANAGED_ATTRIBUTE: MANAGED_BY}}],
        users=[
            {"id": "u", "username": "service-account-app", "serviceAccountClientId": "app", "realmRoles": ["legacy"]}
        ],
        scopeMappings=[{"client": "app", "roles": ["legacy"]}, {"client": "theirs", "roles": ["legacy"]}],
        clientScopeMappings={"realm-management": [{"clientScope": "tradepulse-identity", "roles": ["manage-users"]}]},
    )  # fmt: skip


def test_every_way_to_hold_something_undeclared_is_read() -> None:
    assert {one.ref.name for one in rights(hand_given())} == {
        f"{QUANT} has realm-management:manage-users",
        f"{STRANGER} has realm-management:manage-users",
        f"{QUANT} has role legacy",
        f"{QUANT} has group Ops",
        f"{QUANT} has group Ops/Night",
        "client app has role legacy",
        "every new account has role legacy",
        "every new account has realm-management:view-users",
        "tokens of client app has role legacy",
        "tokens of scope tradepulse-identity has realm-management:manage-users",
    }


def test_what_a_role_brings_along_is_read_where_everybody_or_somebody_of_ours_has_it() -> None:
    admin = {"client": {"realm-management": ["realm-admin"], "account": ["view-consent"]}}
    of = Realm(
        roles={
            "realm": [
                {"id": "o", "name": "offline_access", "composites": {"realm": ["legacy"], **admin}},
                DEFAULT,
                *FOREIGN,
            ],
            "client": {
                "account": [{"id": "a", "name": "view-profile", "composites": admin}],
                "app": [{"id": "r", "name": "reader", "attributes": OURS, "composites": admin}],
                "theirs": [{"id": "t", "name": "x", "composites": admin}],
            },
        },
    )
    found = {one.ref.name: one for one in rights(of)}
    assert set(found) == {
        "holders of role offline_access has role legacy",
        "holders of role offline_access has realm-management:realm-admin",
        "holders of account:view-profile has realm-management:realm-admin",
        "holders of app:reader has realm-management:realm-admin",
        "every new account has role legacy",
        "every new account has realm-management:view-users",
    }
    given = found["holders of app:reader has realm-management:realm-admin"]
    assert list(held({given.ref: given})) == [Subject(MEMBERS, "whoever has role app:reader")]


def test_a_role_that_is_called_like_the_default_one_is_a_strangers_role() -> None:
    twin = {"id": "e", "name": "default-roles-a", "composites": {"client": {"realm-management": ["realm-admin"]}}}
    of = Realm({("role", "default-roles-a"): [QUANT]}, roles={"realm": [twin, DEFAULT, *FOREIGN]})
    names = {one.ref.name for one in rights(of)}
    assert f"{QUANT} has role default-roles-a" in names
    assert "every new account has realm-management:view-users" in names
    assert "every new account has realm-management:realm-admin" not in names


@pytest.fixture
def settled(configuration: Configuration) -> Callable[..., tuple[Plan, tuple[Undeclared, ...]]]:
    """The plan of the sample against a realm that is as declared and holds more."""

    def plan(*extra: Resource, change: Mapping[Ref, Mapping[str, Any]] | None = None) -> Any:
        document = configuration.document()
        nothing = Current("r", exists=False, resources=index(()))
        desired = desire(document, "dev", nothing, Facts())
        there = {
            ref: replace(one, managed=True, server_id="id", attrs={**one.attrs, **(change or {}).get(ref, {})})
            for ref, one in desired.resources.items()
        }
        current = Current("r", exists=True, resources=index([*there.values(), *extra]))
        desired, current, undeclared = settle(document, desire(document, "dev", current, Facts()), current)
        made = diff(desired, current, ORDER)
        guard(Situation(document, desired, current, made, Allowances()))
        return made, undeclared

    return plan


def test_rights_of_our_people_are_reported_and_stay(settled) -> None:
    plan, undeclared = settled(*rights(hand_given()))
    assert plan.empty
    assert {(one.holder, one.removed) for one in undeclared} == {
        (QUANT, False),
        ("client app", False),
        ("every new account", False),
        ("tokens of client app", False),
        ("tokens of scope tradepulse-identity", False),
    }, "a stranger's rights are a stranger's affair"


def test_where_policy_says_so_they_go(settled, configuration: Configuration) -> None:
    configuration.edit("policies.yaml", "environments:\n  prod", "undeclared_grants: remove\nenvironments:\n  prod")
    plan, undeclared = settled(rights(hand_given())[0])
    assert [(one.action, one.ref.name) for one in plan.changes] == [
        (Action.DELETE, f"{QUANT} has realm-management:manage-users")
    ]
    assert all(one.removed for one in undeclared)
    with pytest.raises(Refused, match="mass-deletion"):
        settled(*rights(hand_given()))


def test_what_is_accepted_is_neither_reported_nor_removed(settled, configuration: Configuration) -> None:
    accepted = f"{{holder: {QUANT}, grant: 'realm-management:manage-users', reason: On call}}"
    configuration.edit(
        "policies.yaml",
        "environments:\n  prod",
        f"undeclared_grants: remove\naccepted_grants: [{accepted}]\nenvironments:\n  prod",
    )
    assert settled(rights(hand_given())[0]) == (settled()[0], ())
    configuration.edit("policies.yaml", "reason: On call", "reason: On call, expires: 2020-01-01T00:00:00Z")
    plan, undeclared = settled(rights(hand_given())[0])
    assert len(undeclared) == len(plan.changes) == 1, "an acceptance that has ended is none"


def test_an_attribute_that_somebody_gave_a_client_of_ours(settled, configuration: Configuration) -> None:
    ref = Ref(CLIENT, "tradepulse-cli")
    nothing = Current("r", exists=False, resources=index(()))
    declared = desire(configuration.document(), "dev", nothing, Facts()).resources[ref].attrs["attributes"]
    more = {"acr.loa.map": '{"aal3":1}', "display.on.consent.screen": "false", "tosUri": "https://x.example"}
    change = {ref: {"attributes": {**declared, **more}}}
    plan, undeclared = settled(change=change)
    assert plan.empty
    assert [(one.holder, one.grant) for one in undeclared] == [("client tradepulse-cli", "attribute acr.loa.map")]
    configuration.edit("policies.yaml", "environments:\n  prod", "undeclared_grants: remove\nenvironments:\n  prod")
    plan, _ = settled(change=change)
    ((difference,),) = [one.differences for one in plan.changes]
    assert (difference.path, difference.after) == ("attributes.acr.loa.map", None)


@pytest.mark.parametrize(
    ("name", "value", "seen"),
    [
        ("pkce.code.challenge.method", "S256", False),
        ("pkce.code.challenge.method", "plain", True),
        ("client.introspection.response.allow.jwt.claim.enabled", "false", False),
        ("client.introspection.response.allow.jwt.claim.enabled", "true", True),
    ],
)
def test_an_attribute_is_harmless_at_the_value_that_opens_nothing(
    settled, configuration: Configuration, name: str, value: str, seen: bool
) -> None:
    nothing = Current("r", exists=False, resources=index(()))
    desired = desire(configuration.document(), "dev", nothing, Facts()).resources
    ref, declared = next(
        (ref, one.attrs["attributes"])
        for ref, one in desired.items()
        if ref.kind == CLIENT and name not in one.attrs.get("attributes", {name: ""})
    )
    _, undeclared = settled(change={ref: {"attributes": {**declared, name: value}}})
    assert [one.grant for one in undeclared] == ([f"attribute {name}"] if seen else [])


def test_grants_go_before_the_groups_and_roles_they_name(settled, configuration: Configuration) -> None:
    configuration.edit("policies.yaml", "environments:\n  prod", "undeclared_grants: remove\nenvironments:\n  prod")
    gone = Resource(Ref("role", "gone"), {"description": "", "includes": [], "managed_by": MANAGED_BY}, managed=True)
    held = Resource(role_binding(QUANT, "gone"), {"user": QUANT, "role": "gone"}, managed=True)
    plan, _ = settled(rights(hand_given())[0], gone, held)
    assert [one.ref.kind for one in plan.changes] == ["right", "binding", "role"]


def test_a_right_can_be_taken_and_never_given() -> None:
    asked: list[tuple[str, str]] = []

    class Calls:
        def get(self, path: str, **_: object) -> Any:
            return (
                [{"id": "m", "clientId": "realm-management"}] if path.endswith("/clients") else {"id": "r", "name": "n"}
            )

        def delete(self, path: str, body: object = None) -> None:
            asked.append(("delete", path))

    found = rights(hand_given())
    writer = Writer(Calls(), "r")  # type: ignore[arg-type]
    adapter = RightAdapter()
    for one in found:
        plan = diff(desired_nothing(), Current("r", True, index([replace(one, managed=True)])), ORDER)
        adapter.write(writer, plan.changes[0])
    assert [path for _, path in asked][:3] == [
        f"/r/users/id-{QUANT}/role-mappings/clients/m",
        f"/r/users/id-{STRANGER}/role-mappings/clients/m",
        f"/r/users/id-{QUANT}/role-mappings/realm",
    ]
    assert ("delete", f"/r/users/id-{QUANT}/groups/g") in asked
    assert ("delete", "/r/roles-by-id/d/composites") in asked
    assert ("delete", "/r/clients/c/scope-mappings/realm") in asked
    assert ("delete", "/r/client-scopes/s/scope-mappings/clients/m") in asked
    with pytest.raises(ValueError, match="cannot be given"):
        adapter.write(writer, replace(plan.changes[0], action=Action.CREATE))


def desired_nothing() -> Desired:
    return Desired("r", "dev", index(()))


def test_a_guardian_whose_account_is_disabled_guards_nothing(settled) -> None:
    second = group_binding("second@x.example", "security")
    held = Resource(second, {"user": "second@x.example", "group": "security"}, managed=True)
    assert settled(held)[0].count(Action.DELETE) == 1, "the declared one is left"
    with pytest.raises(Refused, match="lock-out: nobody would be left"):
        settled(held, change={user("security.one@tradepulse.example"): {"enabled": False}})


def test_keycloaks_own_are_never_touched_whatever_a_plan_says(configuration: Configuration) -> None:
    document = configuration.document()
    own = Resource(Ref("role", "default-roles-r"), {"description": "x"}, managed=True)
    foreign = Resource(Ref("role", "theirs"), {"description": "x"})
    current = Current("r", exists=True, resources=index([own, foreign]))
    desired = desired_nothing()
    plan = diff(desired, current, ORDER)
    with pytest.raises(Refused, match="protected: role default-roles-r is Keycloak's own"):
        guard(Situation(document, desired, current, plan, Allowances()))
    stolen = replace(plan, changes=(replace(plan.changes[0], ref=foreign.ref, before=foreign),))
    with pytest.raises(Refused, match="protected: role theirs does not carry"):
        guard(Situation(document, desired, current, stolen, Allowances()))
