"""The door by which the vault changes a partner's members, on a real Keycloak: what it does, and what it does not."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from identity.client_key import ClientKey
from identity.secret import read_secret

if TYPE_CHECKING:
    from tests.conftest import Stack

pytestmark = pytest.mark.integration

REALM = "/tradepulse-dev"
ADMIN, TRADER = "partner-admin", "partner-trader"
MARK = {"tradepulse.managed": ["admin-sync"]}
CODE = "ABCD-EFGH-JKMN-PQRS"


@dataclass
class Door:
    """The extension as a client sees it, and a partner of this test's own."""

    url: str
    bearer: str = field(repr=False)
    partner: str
    organization: str
    domain: str

    def ask(self, method: str, *path: str, body: Any = None, partner: str | None = None, **more: Any) -> httpx.Response:
        url = "/".join((self.url, partner or self.partner, *path))
        sent = None if method == "GET" else body if body is not None else {}
        headers = {"Authorization": f"Bearer {self.bearer}"}
        return httpx.request(method, url, headers=headers, json=sent, timeout=60, **more)

    def make(self, name: str, role: str = ADMIN, until: int | None = None, **more: Any) -> httpx.Response:
        body = {
            "email": f"{name}@{self.domain}", "first_name": "New", "last_name": "Person", "password": CODE,
            "role": role, "until": until, **more,
        }  # fmt: skip
        return self.ask("POST", "people", body=body)

    def made(self, name: str, role: str = ADMIN, until: int | None = None) -> str:
        answer = self.make(name, role, until)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def held(self, account: str) -> dict[str, int | None]:
        members = self.ask("GET").json()["members"]
        found = next(one for one in members if one["id"] == account)
        return {one["role"]: one.get("until") for one in found["roles"]}


def service_token(stack: Stack, client: str) -> str:
    issuer = stack.env["TRADEPULSE_ISSUER"]
    key = read_secret(Path(stack.layout.secret(f"client-{client}.pem")), name="key")
    form = {"grant_type": "client_credentials", **ClientKey(client, key, audience=issuer).form(time.time())}
    answer = httpx.post(f"{issuer}/protocol/openid-connect/token", data=form, timeout=60)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["access_token"])


@pytest.fixture
def door(stack: Stack) -> Iterator[Door]:
    alias = f"solo-{secrets.token_hex(3)}"
    place = f"{REALM}/organizations"
    body = {
        "name": alias, "alias": alias, "enabled": True, "domains": [{"name": f"{alias}.example", "verified": True}],
        "attributes": {**MARK, "vault.salt.1": ["untouched"]},
    }  # fmt: skip
    organization = stack.admin.post(place, body)
    assert organization is not None
    for role, permissions in ((ADMIN, ["connection:read", "member:manage"]), (TRADER, ["connection:read"])):
        attributes = {**MARK, "tradepulse.permissions": permissions}
        stack.admin.post(f"{place}/{organization}/groups", {"name": role, "attributes": attributes})
    stack.admin.post(f"{place}/{organization}/groups", {"name": "own", "attributes": {}})
    url = stack.env["VAULT_KEYCLOAK_ADMIN_URL"] + "/tradepulse-members"
    found = Door(url, service_token(stack, "vault-api"), alias, organization, f"{alias}.example")
    yield found
    for member in stack.admin.pages(f"{place}/{organization}/members"):
        stack.admin.delete(f"{REALM}/users/{member['id']}")
    stack.admin.delete(f"{place}/{organization}")


def test_somebody_is_made_given_lent_and_taken_and_the_partners_secrets_stay_as_they_were(
    stack: Stack, door: Door
) -> None:
    boss = door.made("boss")
    one = door.made("one", TRADER)
    user = stack.admin.get(f"{REALM}/users/{one}")
    assert (user["emailVerified"], sorted(user["requiredActions"])) == (
        True,
        ["UPDATE_PASSWORD", "tradepulse-choose-factor"],
    )
    soon, later = int(time.time()) + 600, int(time.time()) + 900
    assert door.ask("PUT", "people", one, "roles", TRADER, body={"until": soon}).status_code == 200
    assert door.held(one) == {TRADER: soon}
    assert door.ask("PUT", "people", one, "roles", TRADER, body={"until": later}).status_code == 200
    assert door.held(one) == {TRADER: later}
    assert door.ask("PUT", "people", one, "roles", TRADER, body={"until": None}).status_code == 200
    assert door.held(one) == {TRADER: None}
    assert door.ask("DELETE", "people", one, "roles", TRADER).status_code == 200
    assert door.held(one) == {}
    assert door.ask("DELETE", "people", one).status_code == 204
    assert [member["id"] for member in door.ask("GET").json()["members"]] == [boss]
    assert stack.admin.get(f"{REALM}/users/{one}")["enabled"]
    stack.admin.delete(f"{REALM}/users/{one}")
    kept = stack.admin.get(f"{REALM}/organizations/{door.organization}")
    assert kept["attributes"]["vault.salt.1"] == ["untouched"]
    assert "untouched" not in door.ask("GET").text


def test_the_last_administrator_stays_even_where_two_take_each_others_role_at_once(door: Door) -> None:
    first = door.made("first")
    lent = int(time.time()) + 600
    for change in (
        lambda: door.ask("DELETE", "people", first, "roles", ADMIN),
        lambda: door.ask("DELETE", "people", first),
        lambda: door.ask("PUT", "people", first, "roles", ADMIN, body={"until": lent}),
    ):
        answer = change()
        assert (answer.status_code, answer.json()["error"]) == (409, "last_administrator")
    # Somebody with an end is no successor.
    door.made("deputy", ADMIN, lent)
    assert door.ask("DELETE", "people", first).json()["error"] == "last_administrator"

    second = door.made("second")
    with ThreadPoolExecutor(2) as both:
        answers = list(both.map(lambda one: door.ask("DELETE", "people", one, "roles", ADMIN), (first, second)))
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    assert sorted([door.held(first), door.held(second)], key=len) == [{}, {ADMIN: None}]


def test_what_is_over_is_taken_out_and_told_once(door: Door) -> None:
    door.made("boss")
    one = door.made("one", TRADER, int(time.time()) + 2)
    assert door.ask("POST", "endings", partner="-").json()["ended"] == []
    time.sleep(3)
    ended = door.ask("POST", "endings", partner="-").json()["ended"]
    assert [(one["partner"], one["id"], one["role"]) for one in ended] == [(door.partner, one, TRADER)]
    assert door.held(one) == {}
    assert door.ask("POST", "endings", partner="-").json()["ended"] == []


def test_it_makes_no_account_for_a_foreign_address_and_takes_none_over(stack: Stack, door: Door) -> None:
    boss = door.made("boss")
    before = stack.admin.get(f"{REALM}/users/{boss}/credentials")
    for answer, status, code in (
        (door.make("x", email="security.nine@tradepulse.example"), 422, "foreign_domain"),
        (door.make("x", email=f"x@sub.{door.domain}"), 422, "foreign_domain"),
        (door.make("boss"), 409, "account_exists"),
        (door.make("x", "own"), 404, "unknown_role"),
        (door.make("x", "partner-king"), 404, "unknown_role"),
        (door.make("x", until=1), 422, "over_already"),
        (door.make("x", groups=["/security"]), 400, "malformed"),
        (door.make("x", email=f"X@{door.domain}"), 400, "malformed"),
        (door.ask("GET", partner="no-such"), 404, "unknown_partner"),
        (door.ask("PUT", "people", "no-such", "roles", TRADER), 404, "unknown_account"),
    ):
        assert (answer.status_code, answer.json()["error"]) == (status, code), answer.text
    assert stack.admin.get(f"{REALM}/users/{boss}/credentials") == before
    assert len(door.ask("GET").json()["members"]) == 1


def test_the_door_is_closed_to_everybody_else_administrators_of_the_realm_among_them(stack: Stack, door: Door) -> None:
    for client in ("session-broker", "vault-rotator", "emergency-keeper"):
        other = Door(door.url, service_token(stack, client), door.partner, door.organization, door.domain)
        for method, path in (("GET", ()), ("POST", ("people",)), ("DELETE", ("people", "x")), ("GET", ("accounts",))):
            assert other.ask(method, *path).status_code == 403, (client, path)
        assert other.ask("POST", "endings", partner="-").status_code == 403
    assert httpx.get(f"{door.url}/{door.partner}", timeout=60).status_code == 401
    # And the vault's account can do by other ways nothing of what it does here.
    headers = {"Authorization": f"Bearer {door.bearer}"}
    place = f"{stack.env['VAULT_KEYCLOAK_ADMIN_URL']}/organizations/{door.organization}"
    for method, url in (("DELETE", place), ("POST", f"{place}/members"), ("PUT", place)):
        assert httpx.request(method, url, headers=headers, json={}, timeout=60).status_code == 403, (method, url)
