"""The bulk provider in a real Keycloak: all or nothing, by the caller's rights, seen as the admin API's calls are."""

from __future__ import annotations

import json
import re
import secrets
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from admin_sync_world import Realms
from bulk_realm import BulkRealm, batch, named, operation, person
from faulty_proxy import FaultyProxy

from admin_sync.desired import Facts, desire
from admin_sync.diff import Change, diff
from admin_sync.errors import Misconfigured
from admin_sync.keycloak.base.desired import base_resources
from admin_sync.keycloak.bulk.capability import PROTOCOL, Capability, ask, place
from admin_sync.keycloak.bulk.gateway import BulkGateway
from admin_sync.keycloak.choice import Choice
from admin_sync.keycloak.connection import Connection, NotAllowed, Refused
from admin_sync.keycloak.gateway import choose
from admin_sync.keycloak.registry import ORDER
from admin_sync.settings import settings
from stack.layout import CHECKOUT

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

PASSING = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\b1[0-9]{12}\b")
"""Ids, and times in milliseconds."""


@pytest.fixture(scope="module")
def made(keycloak_environment: Mapping[str, str]) -> Iterator[BulkRealm]:
    """A realm with a role, a group and a person in it, which keeps its admin events."""
    admin = Connection(settings(dict(keycloak_environment)).account())
    realm = make(admin, f"bulk{secrets.token_hex(3)}")
    yield realm
    admin.delete(realm.path)


def make(admin: Connection, name: str) -> BulkRealm:
    """A realm from nothing."""
    settings_ = {"enabled": True, "adminEventsEnabled": True, "adminEventsDetailsEnabled": True}
    admin.post("", {"realm": name, "organizationsEnabled": True, **settings_})
    realm = BulkRealm(admin, name)
    admin.post(f"/{name}/roles", {"name": "known", "attributes": {"kept": ["yes"]}})
    group = admin.post(f"/{name}/groups", {"name": "known"})
    account = admin.post(f"/{name}/users", person("known"))
    admin.put(f"/{name}/users/{account}/groups/{group}")
    admin.post(f"/{name}/client-scopes", {"name": "known", "protocol": "openid-connect"})
    return realm


def failure(problem: Exception) -> dict[str, Any]:
    """What the provider said."""
    found: dict[str, Any] = json.loads(problem.body)  # type: ignore[attr-defined]
    return found


def audit_lines(environ: Mapping[str, str], realm: str) -> list[tuple[str, str]]:
    """Path and outcome of the lines of the audit file about admin calls in one realm."""
    lines = (Path(environ["TRADEPULSE_AUDIT_DIR"]) / "iam_events.jsonl").read_text("utf-8").splitlines()
    found = []
    for line in map(json.loads, lines):
        # Lines of other tests hold whatever names those chose, quotes among them.
        if line["source"] != "keycloak" or f"realm={realm} " not in f"{line['resource']} ":
            continue
        about = dict(pair.split("=", 1) for pair in shlex.split(line["resource"] or ""))
        if about.get("realm") == realm and "path" in about:
            found.append((about["path"], line["outcome"]))
    return found


def user_and_scope(realm: BulkRealm) -> tuple[dict[str, Any], dict[str, Any]]:
    """The account and the client scope of the realm."""
    [account] = realm.admin.get(f"{realm.path}/users", email="known@bulk.example", exact=True)
    scopes = realm.admin.get(f"{realm.path}/client-scopes")
    return account, next(one for one in scopes if one["name"] == "known")


def test_what_fails_at_the_end_leaves_nothing_of_what_came_before(
    made: BulkRealm, keycloak_environment: Mapping[str, str]
) -> None:
    account, scope = user_and_scope(made)
    before, events = made.everything(), len(made.events())
    lines = len(audit_lines(keycloak_environment, made.name))
    with pytest.raises(Refused) as refused:
        made.apply(
            operation("POST", "roles", {"name": "new"}),
            operation("POST", "users", person("new")),
            operation("PUT", f"users/{named(0)}/groups/{named(1)}", {}),
            operation("POST", f"users/{named(0)}/role-mappings/realm", [{"id": named(2), "name": "new"}]),
            # Keycloak's own resources commit after these two, wherever they are called.
            operation("PUT", f"users/{account['id']}", {**account, "firstName": "Changed"}),
            operation("PUT", f"client-scopes/{scope['id']}", {**scope, "description": "Changed"}),
            operation("DELETE", f"users/{account['id']}"),
            operation("POST", "roles", {"name": "known"}),
            operation("POST", "roles", {"name": "never"}),
            names={
                "0": {"kind": "operation", "words": ["1"]},
                "1": {"kind": "group", "words": ["known"]},
                "2": {"kind": "role", "words": ["new"]},
            },
        )
    said = failure(refused.value)
    assert (refused.value.status, said["status"], said["operation"], said["ref"]) == (409, 409, 7, "POST roles")
    assert made.everything() == before
    assert len(made.events()) == events
    assert len(audit_lines(keycloak_environment, made.name)) == lines


def test_what_succeeds_is_in_the_events_and_in_the_audit_once(
    made: BulkRealm, keycloak_environment: Mapping[str, str]
) -> None:
    events, lines = len(made.events()), len(audit_lines(keycloak_environment, made.name))
    answer = made.apply(
        operation("POST", "roles", {"name": "once"}),
        operation("POST", "users", person("once")),
        operation("POST", f"users/{named(0)}/role-mappings/realm", [{"id": named(1), "name": "once"}]),
        names={"0": {"kind": "operation", "words": ["1"]}, "1": {"kind": "role", "words": ["once"]}},
    )
    account = answer["created"][1]
    wanted = ["roles/once", f"users/{account}", f"users/{account}/role-mappings/realm"]
    assert [event["resourcePath"] for event in made.events()[events:]] == wanted
    assert audit_lines(keycloak_environment, made.name)[lines:] == [(path, "success") for path in wanted]


def test_events_are_those_of_the_same_calls_one_by_one(made: BulkRealm) -> None:
    """Type, path and representation; ids, times and the realm's name aside. Events of one millisecond have no order."""
    shown: list[list[str]] = []
    for way in ("rest", "bulk"):
        realm = make(made.admin, f"{made.name}{way}")
        account, scope = user_and_scope(realm)
        [group] = made.admin.get(f"{realm.path}/groups")
        role = made.admin.get(f"{realm.path}/roles/known")
        calls: list[tuple[str, str, Any]] = [
            ("POST", "roles", {"name": "a role", "description": "d"}),
            ("PUT", "roles/known", {"name": "known", "description": "changed", "attributes": {"a": ["b"]}}),
            ("POST", "clients", {"clientId": "c", "publicClient": True, "attributes": {"x": "y"}}),
            ("POST", f"groups/{group['id']}/children", {"name": "child"}),
            ("POST", f"groups/{group['id']}/role-mappings/realm", [{"id": role["id"], "name": "known"}]),
            ("POST", f"users/{account['id']}/role-mappings/realm", [{"id": role["id"], "name": "known"}]),
            ("DELETE", f"users/{account['id']}/groups/{group['id']}", None),
            ("PUT", f"users/{account['id']}", {**account, "firstName": "F"}),
            ("PUT", f"client-scopes/{scope['id']}", {**scope, "description": "changed"}),
            ("POST", "organizations", {"name": "Org", "alias": "org", "domains": [{"name": "org.example"}]}),
            ("POST", "authentication/flows", {"alias": "f", "providerId": "basic-flow", "topLevel": True}),
            ("PUT", "", {**made.admin.get(realm.path), "displayName": "changed"}),
            ("DELETE", f"users/{account['id']}", None),
        ]
        before = len(realm.events())
        if way == "bulk":
            realm.apply(*(operation(*call) for call in calls))
        else:
            for method, path, body in calls:
                place_ = f"{realm.path}/{path}".rstrip("/")
                {"POST": made.admin.post, "PUT": made.admin.put, "DELETE": made.admin.delete}[method](place_, body)
        found = [
            [event["operationType"], event["resourceType"], event.get("resourcePath"), event.get("representation")]
            for event in realm.events()[before:]
        ]
        shown.append(sorted(PASSING.sub("PASSING", json.dumps(one).replace(realm.name, "REALM")) for one in found))
        made.admin.delete(realm.path)
    assert shown[0] == shown[1]
    assert len(shown[0]) >= 13


@dataclass(frozen=True)
class Account:
    """A service account of the realm itself."""

    url: str
    realm: str
    client_id: str

    @property
    def secret(self) -> str:
        """The one that the client is made with."""
        return f"secret-of-{self.client_id}"

    def credential(self) -> Mapping[str, str]:
        """What goes with a request for a token."""
        return {"client_secret": self.secret}


def employ(realm: BulkRealm, url: str, client_id: str, *rights: str) -> Connection:
    """A connection as a new service account of the realm that has only these rights."""
    admin, path = realm.admin, realm.path
    account = Account(url, realm.name, client_id)
    body = {"clientId": client_id, "secret": account.secret, "serviceAccountsEnabled": True}
    client = admin.post(f"{path}/clients", body)
    holder = admin.get(f"{path}/clients/{client}/service-account-user")["id"]
    [management] = admin.get(f"{path}/clients", clientId="realm-management")
    roles = [admin.get(f"{path}/clients/{management['id']}/roles/{right}") for right in rights]
    admin.post(f"{path}/users/{holder}/role-mappings/clients/{management['id']}", roles)
    return Connection(account)


def test_the_callers_rights_hold_for_each_operation(made: BulkRealm, keycloak_environment: Mapping[str, str]) -> None:
    url = keycloak_environment["ADMIN_SYNC_KEYCLOAK_URL"]
    people = employ(made, url, "people", "manage-users")
    nobody = employ(made, url, "nobody", "query-groups")
    before, events = made.everything(), len(made.events())
    allowed = operation("POST", "users", person("allowed"))
    with pytest.raises(NotAllowed) as refused:
        made.apply(allowed, operation("POST", "roles", {"name": "forbidden"}), admin=people)
    assert (failure(refused.value)["status"], failure(refused.value)["operation"]) == (403, 1)
    with pytest.raises(NotAllowed) as refused:
        made.apply(allowed, admin=nobody)
    assert failure(refused.value)["operation"] == 0
    # Names are looked up for those only who may list their kind.
    names = {"0": {"kind": "user", "words": ["known@bulk.example"]}}
    with pytest.raises(NotAllowed):
        made.apply(operation("DELETE", f"users/{named(0)}"), admin=nobody, names=names)
    for caller in (people, nobody):
        with pytest.raises(NotAllowed):
            caller.get(f"{place(made.name)}/state")
        with pytest.raises(NotAllowed):
            caller.ask(f"{place('master')}/apply", batch(allowed))
    assert made.everything() == before
    assert len(made.events()) == events
    assert made.apply(allowed, admin=people)["applied"] == 1


def hostile(realm: BulkRealm) -> dict[str, tuple[Any, int, str]]:
    """Documents that are refused, each with the status and the code of its refusal."""
    fine = operation("POST", "roles", {"name": "hostile"})
    master = realm.admin.get("/master/roles/admin")["id"]
    other = realm.admin.get("/master/clients", clientId="security-admin-console")[0]["id"]
    role = {"0": {"kind": "role", "words": ["create-realm"]}}
    a_realm = {"0": {"kind": "realm", "words": ["master"]}}
    later = {"0": {"kind": "operation", "words": ["1"]}}
    return {
        "another protocol": ({**batch(fine), "protocol": PROTOCOL + 1}, 400, "protocol"),
        "no protocol": ({"nonce": "0" * 32, "names": {}, "operations": []}, 400, "protocol"),
        "a guessable nonce": ({**batch(fine), "nonce": "x"}, 400, "malformed"),
        "an unknown field": ({**batch(fine), "realm": "master"}, 400, "malformed"),
        "an unknown field of an operation": (batch({**fine, "as": "admin"}), 400, "malformed"),
        "a list": ([], 400, "malformed"),
        "an unknown method": (batch(operation("PATCH", "roles")), 400, "malformed"),
        "a read": (batch(operation("GET", "users")), 400, "malformed"),
        "dots": (batch(fine, operation("POST", "../master/roles", {"name": "x"})), 400, "malformed"),
        "encoded dots": (batch(fine, operation("POST", "%2e%2e/master/roles", {"name": "x"})), 400, "malformed"),
        "an empty segment": (batch(fine, operation("POST", "users//groups", {})), 400, "malformed"),
        "a query in a path": (batch(fine, operation("POST", "users?x=y", {})), 400, "malformed"),
        "too many": (batch(*[fine] * 1001), 413, "too_large"),
        "too large": (batch({**fine, "body": "x" * (9 << 20)}), 413, "too_large"),
        "the realm's end": (batch(fine, operation("DELETE", "")), 422, "unknown_operation"),
        "itself": (batch(fine, operation("POST", "tradepulse-bulk/apply", batch())), 422, "unknown_operation"),
        "mail": (batch(fine, operation("PUT", "users/x/execute-actions-email", [])), 422, "unknown_operation"),
        "a login": (batch(fine, operation("POST", "users/x/impersonation", {})), 422, "unknown_operation"),
        "a password": (batch(fine, operation("PUT", "users/x/reset-password", {})), 422, "unknown_operation"),
        # Keycloak's own answer: who may manage one realm may not manage the roles of another.
        "another realm's role": (batch(fine, operation("DELETE", f"roles-by-id/{master}")), 403, "refused"),
        "another realm's client": (batch(fine, operation("PUT", f"clients/{other}", {"name": "x"})), 422, "refused"),
        "another realm's name": (
            batch(fine, operation("DELETE", f"roles-by-id/{named(0)}"), names=role),
            422,
            "unknown_name",
        ),
        "no such number": (batch(fine, operation("DELETE", f"roles-by-id/{named(7)}")), 422, "unknown_name"),
        "an unknown kind of name": (batch(fine, names=a_realm), 400, "malformed"),
        "a name from a later operation": (
            batch(operation("PUT", f"roles-by-id/{named(0)}", {}), fine, names=later),
            422,
            "unknown_name",
        ),
        "an id that is a path": (
            batch(fine, operation("DELETE", f"groups/{named(0)}"), names={"0": {"kind": "id", "words": ["a/../b"]}}),
            400,
            "malformed",
        ),
        "a body of the wrong shape": (batch(fine, operation("POST", "users", [1])), 422, "refused"),
        "an unknown field of a body": (batch(fine, operation("POST", "roles", {"nme": "x"})), 422, "refused"),
        "what was seen is not so": (
            batch(fine, operation("PUT", "roles/known", {"name": "known"}, seen={"description": "other"})),
            412,
            "stale",
        ),
    }


def test_hostile_documents_are_refused_with_one_error_and_change_nothing(made: BulkRealm) -> None:
    before = made.everything()
    for name, (document, status, code) in hostile(made).items():
        with pytest.raises((Refused, NotAllowed)) as refused:
            made.admin.ask(f"{place(made.name)}/apply", document)
        answered = getattr(refused.value, "status", 403)
        assert (answered, failure(refused.value)["error"]) == (status, code), (name, failure(refused.value))
    assert made.everything() == before


def test_the_capability_says_what_the_server_holds_to(made: BulkRealm) -> None:
    capability = ask(made.admin, (made.name,))
    assert capability == ask(made.admin, ("no-such-realm", "master"))
    last = [operation("DELETE", f"roles-by-id/none{number}", tolerate=[404]) for number in range(capability.operations)]
    assert made.apply(*last)["applied"] == capability.operations
    assert len(json.dumps(batch(*last))) < capability.bytes


def test_a_plan_too_large_for_one_transaction_goes_in_stages_and_ends_the_same(made: BulkRealm, realms: Realms) -> None:
    """The sample from nothing, so many operations at a time; what one stage makes, a later one refers to."""
    said: list[str] = []
    gateway = BulkGateway(made.admin, Capability(operations=60, bytes=1 << 20), note=said.append)
    document, environment = realms.configuration.document(), "dev"
    realm = f"{realms.name}-{environment}"
    base = base_resources(CHECKOUT / "realm" / "base", realm, environment, {"TRADEPULSE_OAUTH2_AUDIENCE": "a"})
    current = gateway.read(realm)
    desired = desire(document, environment, current, Facts(), base)
    observed: list[str] = []

    def observe(change: Change, problem: Exception | None) -> None:
        assert problem is None
        observed.append(str(change.ref))

    changes = diff(desired, current, ORDER).changes
    assert gateway.write(changes, realm, {}, lambda alias: "secret", observe) == len(changes)
    assert sorted(observed) == sorted(str(change.ref) for change in changes)
    assert any("stage 2 of" in line for line in said), said
    again = gateway.read(realm)
    left = diff(desire(document, environment, again, Facts(), base), again, ORDER)
    assert [str(change.ref) for change in left.changes] == []


def test_the_way_is_chosen_by_what_the_server_offers(made: BulkRealm, keycloak_environment: Mapping[str, str]) -> None:
    said: list[str] = []
    assert choose(made.admin, made.name, note=said.append).name == "bulk"
    assert choose(made.admin, "no-such-realm", note=said.append).name == "bulk"
    assert choose(made.admin, made.name, Choice.REST).name == "rest"
    assert said == []
    proxy = FaultyProxy(keycloak_environment["ADMIN_SYNC_KEYCLOAK_URL"])
    try:
        # A server without the extension answers 404 where the provider would be.
        proxy.decide_read = lambda path: "404" if "/tradepulse-bulk" in path else None
        without = Connection(settings({**keycloak_environment, "ADMIN_SYNC_KEYCLOAK_URL": proxy.url}).account())
        assert choose(without, made.name, note=said.append).name == "rest"
        assert said == [f"{made.name}: by Keycloak's own API, since this server has no bulk provider"]
        with pytest.raises(Misconfigured, match="no bulk provider"):
            choose(without, made.name, Choice.BULK)
    finally:
        proxy.close()
