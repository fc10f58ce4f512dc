"""Grants that nobody declared are seen wherever Keycloak lets one hide, and nothing is mistaken for somebody else's.

What an export and a few lists of a realm say, read as the adapters read it; no server takes part.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pytest

from admin_sync.errors import Interrupted, Refused
from admin_sync.impact import effective
from admin_sync.keycloak.connection import PAGE, Connection, NotReachable
from admin_sync.keycloak.http import Answer
from admin_sync.keycloak.iam.binding import BindingAdapter
from admin_sync.keycloak.iam.client import ClientAdapter
from admin_sync.keycloak.iam.group import GroupAdapter
from admin_sync.keycloak.iam.identity_provider_mapper import ProviderMapperAdapter
from admin_sync.keycloak.iam.role import RoleAdapter
from admin_sync.keycloak.problems import Refused as KeycloakRefused
from admin_sync.keycloak.rest.reader import RestReader
from admin_sync.keycloak.state import read_through
from admin_sync.lock import LEASE, Lock, LockHeld, hold
from admin_sync.model import MANAGED_ATTRIBUTE, MANAGED_BY, Resource

OURS = {MANAGED_ATTRIBUTE: [MANAGED_BY]}


class Lists:
    """Members by place; every other list is empty."""

    def __init__(self, members: Mapping[str, list[dict[str, Any]]]) -> None:
        self.members = members

    def together(self, paths: Iterable[str], **_: object) -> dict[str, list[dict[str, Any]]]:
        return {path: self.members.get(path, []) for path in paths}


def reader(members: Mapping[str, list[dict[str, Any]]] | None = None, **export: Any) -> RestReader:
    made = RestReader(Lists(members or {}), "r")  # type: ignore[arg-type]
    made.__dict__ |= {"export": export, "organizations": [], "representation": {"id": "r"}, "_by_person": False}
    return made


def role(name: str, **more: Any) -> dict[str, Any]:
    return {"id": f"id-{name}", "name": name, "attributes": OURS, **more}


def group(name: str, *, ours: bool = True, inside: Iterable[Any] = (), **more: Any) -> dict[str, Any]:
    attributes = OURS if ours else {}
    return {"id": f"id-{name}", "name": name, "attributes": attributes, "subGroups": list(inside), **more}


def bindings(of: RestReader) -> dict[str, Resource]:
    return {one.ref.name: one for one in BindingAdapter().read(of)}


def test_a_member_of_a_strangers_subgroup_of_ours_holds_what_it_inherits() -> None:
    listed = [group("security", realmRoles=["admin"], inside=[group("back/door", ours=False, inside=[group("x")])])]
    of = reader(
        {"/r/groups/id-back/door/members": [{"id": "e", "username": "eve", "email": "eve@x.example"}]},
        roles={"realm": [role("admin")]},
        groups=listed,
    )
    found = bindings(of)
    assert found["eve@x.example group security/back%2Fdoor"].managed
    table = [*found.values(), *GroupAdapter().read(of), *RoleAdapter().read(of)]
    table = [
        Resource(one.ref, {**one.attrs, "permissions": ["iam:modify"]}) if one.ref.kind == "role" else one
        for one in table
    ]
    assert [permission for permission, _ in effective(table)["eve@x.example"]] == ["iam:modify"]


def test_a_service_account_in_a_group_of_ours_is_a_grant() -> None:
    account = {"id": "s", "username": "service-account-bot", "serviceAccountClientId": "bot"}
    of = reader(
        {"/r/groups/id-security/members": [account]},
        roles={"realm": []},
        groups=[group("security")],
        users=[account],
    )
    assert bindings(of)["client bot group security"].managed


def test_a_role_of_ours_inside_a_clients_role_and_a_default_group_are_grants() -> None:
    inner = {"id": "c", "name": "x", "composites": {"realm": ["admin"]}}
    of = reader(
        roles={"realm": [role("admin")], "client": {"app": [inner]}},
        groups=[group("security"), group("a/b", ours=False)],
    )
    of.__dict__["representation"] = {"id": "r", "defaultGroups": ["/security", "/elsewhere"]}
    assert set(bindings(of)) == {"client_role app/x role admin", "every new account group security"}


def test_a_role_of_ours_on_a_partners_group_is_a_grant() -> None:
    of = reader(roles={"realm": [role("admin")]})
    of.__dict__["organization_groups"] = {"acme": [group("partner-admin", realmRoles=["admin", "offline_access"])]}
    assert set(bindings(of)) == {"organization_group acme/partner-admin role admin"}


def test_a_user_name_that_looks_like_an_address_is_not_that_person() -> None:
    impostor = {"id": "i", "username": "quant.one@tradepulse.example"}
    of = reader({"/r/roles/quant/users": [impostor]}, roles={"realm": [role("quant")]})
    assert set(bindings(of)) == {"account quant.one@tradepulse.example role quant"}


def test_a_group_whose_name_has_a_slash_is_not_the_subgroup_that_it_looks_like() -> None:
    of = reader(groups=[group("trading", inside=[group("night-desk")]), group("trading/night-desk", ours=False)])
    found = {one.ref.name: one.managed for one in GroupAdapter().read(of)}
    assert found == {"trading": True, "trading/night-desk": True, "trading%2Fnight-desk": False}


def test_of_two_mappers_with_one_name_neither_hides_behind_the_other() -> None:
    mapper = {"identityProviderAlias": "w", "name": "group a", "identityProviderMapper": "m", "config": {}}
    of = reader(
        identityProviders=[{"alias": "w", "config": {MANAGED_ATTRIBUTE: MANAGED_BY}}],
        identityProviderMappers=[{**mapper, "id": "1"}, {**mapper, "id": "2"}],
    )
    found = list(ProviderMapperAdapter().read(of))
    assert [one.ref.name for one in found] == ["w/group a", "w/group a (2)"]
    assert all(one.managed for one in found)


def test_a_mark_on_something_that_keycloak_made_for_itself_does_not_make_it_ours() -> None:
    marked = {"id": "1", "clientId": "realm-management", "attributes": {MANAGED_ATTRIBUTE: MANAGED_BY}}
    of = reader(clients=[marked], roles={"realm": [role("default-roles-r"), role("offline_access"), role("viewer")]})
    assert [one.managed for one in ClientAdapter().read(of)] == [False]
    assert [one.ref.name for one in RoleAdapter().read(of) if one.managed] == ["viewer"]


def test_two_accounts_with_one_address_are_refused_and_not_chosen_between() -> None:
    twin = {"username": "x", "email": "Twin@x.example"}
    of = reader(roles={"realm": []})
    of.__dict__["users"] = [{**twin, "id": "1"}, {**twin, "id": "2"}]
    with pytest.raises(Refused, match=r"user twin@x\.example"):
        read_through(of)


class Moving(Connection):
    """A list in which the last element of the first page moves to the second while it is read."""

    def __init__(self) -> None:
        pass

    def get(self, path: str, **query: str | int | bool) -> Any:
        listed = [{"id": str(number)} for number in range(PAGE + 1)]
        return listed[:PAGE] if query["first"] == 0 else listed[PAGE - 1 :]


def test_an_element_that_moves_to_the_next_page_is_counted_once() -> None:
    pages: Iterator[Any] = Moving().pages("/x")
    assert [one["id"] for one in pages] == [str(number) for number in range(PAGE + 1)]


def test_an_answer_that_is_not_json_is_one_clear_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    page = Answer(200, {}, b"<html>sign in</html>")
    connection = Moving()
    monkeypatch.setattr(connection, "_read", lambda *_: page)
    with pytest.raises(NotReachable, match="no JSON"):
        Connection.get(connection, "/x")


def test_a_lock_whose_lease_ran_out_unrenewed_stops_the_writer() -> None:
    now = [0.0]
    lock = Lock("/place", "id", lambda: now[0])
    now[0] = LEASE - 1
    lock.check()
    # The renewal was asked for now, and the answer took ten seconds: the lease did not wait for it.
    asked = lock.now()
    now[0] += 10
    lock.renewed(asked)
    now[0] = asked + LEASE
    lock.check()
    now[0] += 1
    with pytest.raises(Interrupted, match="renewed"):
        lock.check()


class _Unreadable:
    """Somebody's lock that this account can neither see nor remove."""

    def __init__(self, shown: dict[str, Any] | None) -> None:
        self.shown = shown
        self.asked = 0

    def post(self, place: str, body: object) -> None:
        self.asked += 1
        raise KeycloakRefused("taken", 409, "")

    def get(self, place: str) -> dict[str, Any] | None:
        return self.shown

    def delete(self, place: str) -> None:
        """It stays all the same."""


@pytest.mark.parametrize(
    ("shown", "why"),
    [
        (None, "cannot be read"),
        ({"id": "i", "attributes": {"tradepulse.lock.until": ["1"], "tradepulse.lock.host": ["elsewhere"]}}, "removed"),
    ],
)
def test_a_lock_that_can_be_neither_seen_nor_removed_is_said_and_not_tried_for_ever(
    shown: dict[str, Any] | None, why: str
) -> None:
    server = _Unreadable(shown)
    with pytest.raises(LockHeld, match=why), hold(server, "master", "r-dev", clock=lambda: 1000.0):  # type: ignore[arg-type]
        pytest.fail("it was had")
    assert server.asked < 10
