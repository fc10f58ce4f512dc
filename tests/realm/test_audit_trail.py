"""What Keycloak's listener writes: a chain that verifies, a line for every login and grant, and no secret."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from identity.audit.verify import verify_file
from stack.login import Factor, LoginFailed

if TYPE_CHECKING:
    from stack.login import SavedFactor
    from tests.realm.conftest import Person, Realm

pytestmark = pytest.mark.integration

FIELDS = {
    *("seq", "time", "node", "source", "event", "outcome", "actor", "partner", "action", "resource", "reason"),
    *("decision_id", "trace_id", "session", "ip", "assurance_level", "amr", "key_version", "prev", "hash", "event_id"),
}

Record = dict[str, Any]


def records(realm: Realm) -> list[Record]:
    lines = (realm.audit / "iam_events.jsonl").read_bytes().splitlines()
    return [record for record in map(orjson.loads, lines) if record["source"] == "keycloak"]


def awaited(realm: Realm, wanted: Callable[[Record], bool]) -> Record:
    """The newest record of a kind; Keycloak writes it just after it has answered."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        found = [record for record in records(realm) if wanted(record)]
        if found:
            return found[-1]
        time.sleep(0.1)
    pytest.fail("Keycloak wrote no such record")


def test_a_login_is_recorded_with_its_level_methods_and_session(
    realm: Realm, key_holder: tuple[Person, SavedFactor]
) -> None:
    person, key = key_holder
    with realm.browser(key) as driver:
        claims = driver.login(person.again(acr="aal3")).claims()
    record = awaited(realm, lambda line: line["event"] == "login" and line["session"] == claims["sid"])
    assert record.keys() == FIELDS
    assert (record["actor"], record["outcome"], record["assurance_level"]) == (person.email, "success", "aal3")
    assert record["amr"] == ["hwk", "pwd"]
    assert "credential_type=webauthn" in record["resource"].split()
    assert "realm=tradepulse-dev" in record["resource"].split()


def test_a_registered_factor_is_recorded_with_its_type(realm: Realm, key_holder: tuple[Person, SavedFactor]) -> None:
    person, _ = key_holder
    record = awaited(
        realm,
        lambda line: (
            line["event"] == "credential.registered"
            and line["actor"] == person.email
            and "credential_type=webauthn" in line["resource"]
        ),
    )
    assert record["outcome"] == "success"


def test_a_failed_login_is_recorded_with_its_reason_and_without_what_was_typed(
    realm: Realm, app_holder: tuple[Person, SavedFactor]
) -> None:
    person, _ = app_holder
    typed = "my-password-in-the-wrong-field"
    for name, reason in ((person.email, "invalid_user_credentials"), (typed, "user_not_found")):
        with realm.forms() as driver, pytest.raises(LoginFailed):
            driver.login(type(person.again())(name, "wrong"))
        record = awaited(realm, lambda line, wanted=reason: line["event"] == "login.error" and line["reason"] == wanted)
        assert record["outcome"] == "failure"
    realm.admin.delete(f"{realm.path}/attack-detection/brute-force/users/{person.id}")
    assert typed not in (realm.audit / "iam_events.jsonl").read_text()


def test_a_grant_and_its_end_are_recorded_by_whichever_way_they_came(
    realm: Realm, app_holder: tuple[Person, SavedFactor]
) -> None:
    person, _ = app_holder
    role = realm.admin.get(f"{realm.path}/roles/viewer")
    mapping = f"{realm.path}/users/{person.id}/role-mappings/realm"
    group = next(one for one in realm.admin.pages(f"{realm.path}/groups") if one["name"] == "research")
    membership = f"{realm.path}/users/{person.id}/groups/{group['id']}"
    realm.admin.post(mapping, [role])
    realm.admin.delete(mapping, [role])
    realm.admin.put(membership)
    realm.admin.delete(membership)
    for event, subject in (
        ("role.granted", "role=viewer"),
        ("role.revoked", "role=viewer"),
        ("group.joined", "group=/research"),
        ("group.left", "group=/research"),
        ("admin.realm_role_mapping.create", f"users/{person.id}/"),
    ):
        awaited(
            realm,
            lambda line, event=event, subject=subject: (
                line["event"] == event
                and subject in line["resource"]
                and (person.email in line["resource"] or person.id in line["resource"])
            ),
        )


def test_every_line_has_an_id_that_no_other_has_and_keycloaks_own_where_it_stores_the_event(
    realm: Realm, app_holder: tuple[Person, SavedFactor]
) -> None:
    person, app = app_holder
    with realm.forms(app) as driver:
        driver.login(person.again(acr="aal2"))
    awaited(realm, lambda line: line["event"] == "login" and line["actor"] == person.email)
    stored = realm.admin.get(f"{realm.path}/events", user=person.id, max=100)
    written = [line["event_id"] for line in records(realm)]
    assert stored
    assert {event["id"] for event in stored} <= set(written)
    assert len(written) == len(set(written))


def test_acting_as_somebody_else_is_recorded_with_who_does_it(realm: Realm, bare_person: Person) -> None:
    realm.admin.ask(f"{realm.path}/users/{bare_person.id}/impersonation", {})
    record = awaited(
        realm, lambda line: line["event"] == "impersonation.started" and line["actor"] == bare_person.email
    )
    assert "impersonator=service-account-admin-sync" in record["resource"].split()
    assert record["session"]


def test_the_chain_verifies_and_holds_no_password_and_no_token(realm: Realm, person: Person) -> None:
    with realm.forms() as driver:
        driver.first_login(person.first(Factor.AUTHENTICATOR_APP))
        app = driver.factor
        tokens = driver.login(person.again(acr="aal2"))
    awaited(realm, lambda line: line["session"] == tokens.claims()["sid"])
    file = realm.audit / "iam_events.jsonl"
    report = verify_file(file)
    assert report.bad is None, str(report.bad)
    assert any(chain.source == "keycloak" for chain in report.heads)
    text = file.read_text()
    assert app.secret is not None
    parts = [
        part for token in (tokens.access_token, tokens.refresh_token, tokens.id_token) for part in token.split(".")[1:]
    ]
    for secret in (person.password, person.temporary, app.secret, tokens.claims()["jti"], *parts):
        assert secret not in text
