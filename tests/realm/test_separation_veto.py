"""Roles that are kept apart: nobody gets both, by whichever way, and what was refused is in the audit log."""

from __future__ import annotations

import asyncio
import json
import os
import random
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import asyncpg
import httpx
import orjson
import pytest
from separation_world import CODE, RULES, Apart, Model, Step, document, exception

from admin_sync.keycloak.connection import Refused
from stack.login import HttpLogin, Login

if TYPE_CHECKING:
    from stack.login.forms import PageReader
    from tests.conftest import Stack
    from tests.realm.conftest import Realm

pytestmark = pytest.mark.integration

ROUNDS = 1 + int(os.environ.get("TRADEPULSE_SOAK", "0"))


@pytest.fixture(scope="module")
def apart(realm: Realm) -> Iterator[Apart]:
    made = Apart(realm.admin, realm.audit / "iam_events.jsonl")
    made.make()
    yield made
    realm.admin.delete(made.path)


@pytest.fixture(params=["rest", "bulk"])
def either(apart: Apart, request: pytest.FixtureRequest) -> Apart:
    """The same realm by Keycloak's own admin API and by our provider."""
    return Apart(apart.admin, apart.audit, apart.name, request.param == "bulk")


def refusal(problem: Refused) -> str:
    """What the server said, without what the bulk provider puts around it."""
    found = json.loads(problem.body)
    message = found.get("message")
    if message is not None:
        assert (found["error"], problem.status, found["status"]) == ("refused", 422, 400)
        found = json.loads(message)
    else:
        assert problem.status == 400
    assert found["error"] == CODE
    return str(found["error_description"])


@pytest.mark.parametrize("first", ["role quant", "group research"])
@pytest.mark.parametrize("second", ["role trader", "role head", "group trading", "group trading/night"])
def test_the_second_of_two_roles_is_refused_and_not_there(either: Apart, first: str, second: str) -> None:
    person, email = either.person()
    for have, ask in ((first, second), (second, first)):
        either.give(person, have)
        with pytest.raises(Refused) as caught:
            either.give(person, ask)
        said = refusal(caught.value)
        assert email in said
        assert "quant and trader" in said
        assert "build-or-run" in said
        assert either.has(person) == {have}
        person, email = either.person()


def test_a_refusal_is_recorded_although_nothing_else_of_it_is(either: Apart) -> None:
    person, email = either.person()
    either.grant(person, "quant")
    with pytest.raises(Refused):
        either.grant(person, "trader")
    line = either.recorded("separation.refused", email)
    assert (line["outcome"], line["reason"], line["actor"]) == ("failure", CODE, "admin-sync")
    assert 'by="role trader"' in line["resource"]
    assert "roles=quant,trader rule=build-or-run" in line["resource"]
    granted = [one for one in either.audit.read_text().splitlines() if "role.granted" in one and email in one]
    assert not any("role=trader" in one for one in granted)


def test_a_batch_with_a_refused_grant_does_nothing(apart: Apart) -> None:
    person, _ = apart.person()
    calls = [
        {"ref": role, "method": "POST", "path": f"users/{person}/role-mappings/realm", "body": [apart.of_role(role)]}
        for role in ("harmless", "quant", "trader")
    ]
    whole = {"protocol": 1, "nonce": "0123456789abcdef" * 2, "names": {}, "operations": calls}
    with pytest.raises(Refused) as caught:
        apart.admin.ask(f"{apart.path}/tradepulse-bulk/apply", whole)
    assert json.loads(caught.value.body)["ref"] == "trader"
    assert apart.has(person) == set()


def test_one_role_may_take_the_place_of_the_other(either: Apart) -> None:
    person, _ = either.person()
    either.grant(person, "quant")
    either.send("DELETE", f"users/{person}/role-mappings/realm", [either.of_role("quant")])
    either.grant(person, "trader")
    assert either.has(person) == {"role trader"}


CHANGES: dict[str, Callable[[Apart, str, str], object]] = {
    "a role that a person has includes the other": lambda at, role, group: at.include(role, "trader"),
    "a role that a person has includes one that includes it": lambda at, role, group: at.include(role, "head"),
    "a group that a person is in gets the other": lambda at, role, group: at.equip(group, "lead"),
    "a group that a person is in is moved under one that has it": lambda at, role, group: at.move(group, "trading"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_a_role_or_group_that_would_give_somebody_both_is_refused(either: Apart, change: str) -> None:
    mark = secrets.token_hex(3)
    role, group = f"role-{mark}", f"group-{mark}"
    either.role(role)
    either.group(group)
    person, email = either.person()
    for what in ("role quant", f"role {role}", f"group {group}"):
        either.give(person, what)
    with pytest.raises(Refused) as caught:
        CHANGES[change](either, role, group)
    assert json.loads(caught.value.body)["error"] == CODE
    assert email in json.loads(caught.value.body)["error_description"]
    assert not either.admin.get(f"{either.path}/roles/{role}/composites")
    assert not either.admin.get(f"{either.path}/groups/{either.of_group(group)}/role-mappings/realm")
    assert either.recorded("separation.refused", email)["action"] == "change"
    # Nobody has both, so the same change goes through.
    either.send("DELETE", f"users/{person}/role-mappings/realm", [either.of_role("quant")])
    CHANGES[change](either, role, group)
    with pytest.raises(Refused):
        either.grant(person, "quant")


def test_whoever_breaks_one_rule_already_does_not_come_to_break_another(apart: Apart) -> None:
    mark = secrets.token_hex(3)
    apart.role(mark)
    person, email = apart.person()
    rules = [RULES[0], {"name": "desk-or-harm", "roles": ["harmless", "trader"]}]
    try:
        apart.rules(document(rules=[]))
        for role in ("quant", "trader", mark):
            apart.grant(person, role)
        apart.rules(document(rules=rules))
        with pytest.raises(Refused) as caught:
            apart.include(mark, "harmless")
        assert email in refusal(caught.value)
        assert "desk-or-harm" in refusal(caught.value)
        # What they break already is no reason to refuse a change that adds nothing to it.
        apart.role(f"{mark}-more", "harmless")
    finally:
        apart.admin.delete(f"{apart.path}/users/{person}")
        apart.rules(document())


async def test_a_batch_that_changes_what_gives_roles_waits_for_a_login_and_never_the_login_for_it(
    stack: Stack, apart: Apart
) -> None:
    person, _ = apart.person()
    mark = f"batch-{secrets.token_hex(3)}"
    apart.role(mark)
    calls = [
        {"path": f"users/{person}/role-mappings/realm", "body": [apart.of_role("quant")]},
        {"path": f"roles-by-id/{apart.of_role(mark)['id']}/composites", "body": [apart.of_role("harmless")]},
    ]
    operations = [{"ref": call["path"], "method": "POST", **call} for call in calls]
    whole = {"protocol": 1, "nonce": "0123456789abcdef" * 2, "names": {}, "operations": operations}
    realm_id = apart.admin.get(apart.path)["id"]
    password = stack.layout.secret("postgres-keycloak").read_text().strip()
    port = urlsplit(stack.urls["postgres"]).port
    login = await asyncpg.connect(host="127.0.0.1", port=port, database="keycloak", user="keycloak", password=password)
    try:
        # What a login that gains a role takes, in its order: first the realm, shared, then its person.
        async with login.transaction():
            await login.execute("SELECT 1 FROM realm WHERE id = $1 FOR SHARE", realm_id)
            batch = asyncio.create_task(
                asyncio.to_thread(apart.admin.ask, f"{apart.path}/tradepulse-bulk/apply", whole)
            )
            async with asyncio.timeout(15):
                while not await login.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
            await login.execute("SELECT 1 FROM user_entity WHERE id = $1 FOR NO KEY UPDATE", person)
        assert (await batch)["applied"] == 2
    finally:
        await login.close()
    assert apart.has(person) == {"role quant"}


def test_a_role_does_not_become_the_other_by_its_name(apart: Apart) -> None:
    other = Apart(apart.admin, apart.audit)
    # A realm of its own, since a role that was deleted and made again is missed by everything that had it.
    other.make(whole=False)
    try:
        person, _ = other.person()
        other.grant(person, "quant")
        other.grant(person, "harmless")
        other.send("DELETE", "roles/trader")
        with pytest.raises(Refused) as caught:
            other.send("PUT", f"roles-by-id/{other.of_role('harmless')['id']}", {"name": "trader"})
        assert json.loads(caught.value.body)["error"] == CODE
        assert other.admin.get(f"{other.path}/roles/trader") is None
    finally:
        other.admin.delete(other.path)


def test_a_role_inside_a_partner_meets_those_of_the_platform_and_of_no_other_partner(apart: Apart) -> None:
    person, _ = apart.person()
    made = []
    for name, group in (("one", "partner-trader"), ("two", "quant")):
        alias = f"{name}-{secrets.token_hex(3)}"
        partner = apart.admin.post(f"{apart.path}/organizations", {"name": alias, "alias": alias})
        place = f"{apart.path}/organizations/{partner}"
        inner = apart.admin.post(f"{place}/groups", {"name": group})
        apart.admin.post(f"{place}/members", person)
        made.append((place, inner))
    apart.grant(person, "quant")
    (first, desk), (second, theirs) = made
    # A partner's own group may be called like a role of the platform; it gives none.
    apart.admin.put(f"{second}/groups/{theirs}/members/{person}")
    with pytest.raises(Refused) as caught:
        apart.admin.put(f"{first}/groups/{desk}/members/{person}")
    assert "research-or-desk" in refusal(caught.value)
    # Nor for a while: a role that is lent is a group below the role's.
    lent = apart.admin.post(f"{first}/groups/{desk}/children", {"name": f"until-{int(time.time()) + 600}"})
    with pytest.raises(Refused) as caught:
        apart.admin.put(f"{first}/groups/{lent}/members/{person}")
    assert "research-or-desk" in refusal(caught.value)
    apart.send("DELETE", f"users/{person}/role-mappings/realm", [apart.of_role("quant")])
    apart.admin.put(f"{first}/groups/{desk}/members/{person}")
    with pytest.raises(Refused):
        apart.join(person, "research")


def test_a_service_account_is_held_to_the_rules_too(either: Apart) -> None:
    client = either.admin.post(
        f"{either.path}/clients", {"clientId": f"robot-{secrets.token_hex(3)}", "serviceAccountsEnabled": True}
    )
    robot = either.admin.get(f"{either.path}/clients/{client}/service-account-user")["id"]
    either.grant(robot, "trader")
    with pytest.raises(Refused):
        either.grant(robot, "quant")


def test_an_import_of_people_is_held_to_the_rules_too(apart: Apart) -> None:
    email = f"{secrets.token_hex(5)}@apart.example"
    account = {"username": email, "email": email, "enabled": True, "realmRoles": ["quant"], "groups": ["/trading"]}
    with pytest.raises(Refused):
        apart.admin.ask(f"{apart.path}/partialImport", {"ifResourceExists": "FAIL", "users": [account]})
    assert apart.admin.get(f"{apart.path}/users", username=email, exact=True) == []


def test_an_exception_holds_for_its_person_and_role_until_it_ends(apart: Apart) -> None:
    person, email = apart.person()
    unverified, address = apart.person(emailVerified=False)
    other, _ = apart.person()
    soon = (datetime.now(UTC) + timedelta(seconds=6)).strftime("%Y-%m-%dT%H:%M:%SZ")
    late, short = apart.person()
    for user in (person, unverified, other, late):
        apart.grant(user, "quant")
    apart.rules(document(exception(email.upper()), exception(address), exception(short, until=soon)))
    try:
        apart.grant(person, "trader")
        for user in (unverified, other):
            with pytest.raises(Refused):
                apart.grant(user, "trader")
        while datetime.now(UTC) < datetime.fromisoformat(soon):
            time.sleep(0.2)
        with pytest.raises(Refused):
            apart.grant(late, "trader")
    finally:
        apart.send("DELETE", f"users/{person}/role-mappings/realm", [apart.of_role("trader")])
        apart.rules(document())


def test_of_grants_made_at_once_one_is_refused(apart: Apart) -> None:
    def tried(give: Callable[[], object]) -> bool:
        try:
            give()
        except Refused:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        for number in range(4 * ROUNDS):
            person, _ = apart.person()
            mark = f"race-{secrets.token_hex(3)}"
            apart.role(mark)
            apart.grant(person, mark)
            ways: list[Callable[[], object]] = [partial(apart.grant, person, "quant")]
            if number % 2:
                ways.append(partial(apart.join, person, "trading/night"))
            else:
                ways.append(partial(apart.include, mark, "trader"))
            assert sorted(pool.map(tried, ways)) == [False, True]


@pytest.mark.parametrize("text", ["{}", "not json", document(rules=[{"name": "r", "roles": ["quant"]}])])
def test_rules_that_cannot_be_read_are_not_taken(apart: Apart, text: str) -> None:
    with pytest.raises(Refused) as caught:
        apart.rules(text)
    assert json.loads(caught.value.body)["error"] == "separation_unreadable"
    assert apart.admin.get(apart.path)["attributes"]["tradepulse.separation"] == document()


def test_an_administrator_of_the_realm_itself_cannot_change_its_rules(apart: Apart, realm: Realm) -> None:
    keycloak = realm.issuer.partition("/realms/")[0]
    secret = secrets.token_hex(16)
    client = {"clientId": "their-own", "secret": secret, "serviceAccountsEnabled": True}
    made = apart.admin.post(f"{apart.path}/clients", client)
    robot = apart.admin.get(f"{apart.path}/clients/{made}/service-account-user")["id"]
    [owner] = apart.admin.get(f"{apart.path}/clients", clientId="realm-management")
    right = apart.admin.get(f"{apart.path}/clients/{owner['id']}/roles/realm-admin")
    apart.admin.post(f"{apart.path}/users/{robot}/role-mappings/clients/{owner['id']}", [right])
    place = f"{keycloak}/admin{'/realms' + apart.path}"
    with httpx.Client(trust_env=False, timeout=30) as http:
        asked = {"grant_type": "client_credentials", "client_id": "their-own", "client_secret": secret}
        token = http.post(f"{keycloak}/realms{apart.path}/protocol/openid-connect/token", data=asked).json()
        http.headers["Authorization"] = f"Bearer {token['access_token']}"
        whole = http.get(place).json()
        for attributes in ({}, {"tradepulse.separation": document(rules=[])}, {"tradepulse.risk": "{}"}):
            kept = {k: v for k, v in whole["attributes"].items() if not k.startswith("tradepulse.")}
            answer = http.put(place, json={**whole, "attributes": {**kept, **attributes}})
            assert (answer.status_code, answer.json()["error"]) == (403, "rules_are_managed")
        assert http.put(place, json={**whole, "displayName": "Theirs"}).status_code == 204
    assert apart.admin.get(apart.path)["attributes"]["tradepulse.separation"] == document()
    assert apart.recorded("separation.rules.refused")["actor"] == "their-own"


def test_a_change_of_the_rules_is_recorded(apart: Apart) -> None:
    apart.rules(document(exception("nobody@apart.example")))
    apart.rules(document())
    line = apart.recorded("separation.rules.changed", "exceptions=1")
    assert (line["outcome"], line["actor"]) == ("success", "admin-sync")


class FromWorkforce(HttpLogin):
    """Comes from the workforce provider, which signs whatever claims one types into its page."""

    upstream: Mapping[str, Any]

    def answer(self, page: PageReader, login: Login, new_password: str | None) -> tuple[str, dict[str, str]] | None:
        """The provider's page, and the ordinary answer to Keycloak's."""
        if page.title == "" and "" in page.forms and not page.forms[""].action:
            return "", {"username": login.username, "claims": orjson.dumps(self.upstream).decode()}
        return super().answer(page, login, new_password)


def test_a_login_that_would_bring_both_brings_neither_and_is_recorded(realm: Realm) -> None:
    email = f"{secrets.token_hex(6)}@tradepulse.example"

    def login(*groups: str) -> list[str]:
        with FromWorkforce(realm.issuer) as driver:
            driver.upstream = {"groups": list(groups), "email": email, "email_verified": True}
            found: list[str] = driver.login(Login(email, "", acr="aal1", provider="workforce")).claims()["groups"]
            return found

    try:
        assert login("tp-research", "tp-platform") == ["quant", "sre", "viewer"]
        # From one to the other is no conflict, in whichever order Keycloak's mappers run.
        assert login("tp-trading") == ["trader", "viewer"]
        assert login("tp-research") == ["quant", "viewer"]
        held = login("tp-research", "tp-trading", "tp-platform")
        assert held == ["quant", "sre", "viewer"]
        lines = (realm.audit / "iam_events.jsonl").read_text().splitlines()
        [line] = [orjson.loads(one) for one in lines if "separation.withheld" in one and email in one]
        assert (line["actor"], line["outcome"], line["reason"]) == (email, "failure", CODE)
    finally:
        for user in realm.admin.pages(f"{realm.path}/users", email=email, exact=True):
            realm.admin.delete(f"{realm.path}/users/{user['id']}")


def test_whatever_is_done_in_whatever_order_the_server_refuses_just_what_breaks_a_rule(apart: Apart) -> None:
    dice = random.Random(os.environ.get("TRADEPULSE_SEED", "separation"))  # noqa: S311
    roles = ["quant", "trader", "harmless", *(f"mix{number}-{secrets.token_hex(2)}" for number in range(3))]
    top = f"tree-{secrets.token_hex(2)}"
    groups = [top, f"{top}/inner"]
    for role in roles[3:]:
        apart.role(role)
    for path in groups:
        apart.group(path)
    people = [apart.person()[0] for _ in range(3)]
    model = Model({role: set() for role in roles}, {path: set() for path in groups}, {one: set() for one in people})
    refused = 0
    for _ in range(40 * ROUNDS):
        by = Apart(apart.admin, apart.audit, apart.name, dice.random() < 0.5)
        step = Step(
            dice.choice(["grant", "grant", "join", "include", "equip", "revoke", "leave"]),
            dice.choice(people),
            dice.choice(roles),
            dice.choice(groups),
            dice.choice(roles[3:]),
        )
        after = model.after(step)
        if after.broken():
            refused += 1
            with pytest.raises(Refused, match=CODE):
                by.take(step)
        else:
            by.take(step)
            model = after
    assert refused > 0
    for person in people:
        assert apart.has(person) == model.people[person]
