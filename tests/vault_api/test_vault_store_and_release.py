"""The main path: store, release, describe, list, read the trail."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import httpx
from vault_world import FIRST, TOKENS, VaultProcess, World, credential_url

from identity.audit.verify import verify_file


def store(vault: VaultProcess, world: World, partner: str, connection: str = "main", **more: object) -> httpx.Response:
    headers = {**world.realm.bearer(partner), **FIRST}
    return vault.http.put(credential_url(partner, connection), headers=headers, json={**TOKENS, **more})


def release(vault: VaultProcess, world: World, partner: str, connection: str = "main") -> httpx.Response:
    return vault.http.post(f"{credential_url(partner, connection)}/release", headers=world.realm.bearer(partner))


def test_what_was_stored_is_released_without_the_refresh_token(vault: VaultProcess, world: World, partner: str) -> None:
    stored = store(vault, world, partner)
    assert (stored.status_code, stored.headers["ETag"]) == (201, '"1"'), stored.text
    assert "token" not in stored.text
    released = release(vault, world, partner)
    assert released.status_code == 200, released.text
    assert released.json() == {
        "connection": "main", "broker": "paper", "version": 1, "token_type": "Bearer",
        "access_token": "an-access-token", "expires_at": "2099-01-01T00:00:00+00:00", "scopes": ["trade"],
    }  # fmt: skip
    assert "a-refresh-token" not in released.text
    assert released.headers["Cache-Control"] == "no-store"


def test_a_replacement_needs_the_version_it_replaces(vault: VaultProcess, world: World, partner: str) -> None:
    store(vault, world, partner)
    url, bearer = credential_url(partner, "main"), world.realm.bearer(partner)
    newer = {**TOKENS, "access_token": "newer"}

    def put(**headers: str) -> httpx.Response:
        return vault.http.put(url, headers={**bearer, **headers}, json=newer)

    assert put().status_code == 428
    assert put(**{"If-None-Match": "*"}).status_code == 412
    assert put(**{"If-Match": '"2"'}).status_code == 412
    assert put(**{"If-Match": "*"}).status_code == 400
    assert put(**{"If-Match": 'W/"1"'}).status_code == 400
    assert put(**{"If-Match": '"1"', "If-None-Match": "*"}).status_code == 400
    replaced = put(**{"If-Match": '"1"'})
    assert (replaced.status_code, replaced.headers["ETag"]) == (200, '"2"')
    assert put(**{"If-Match": '"1"'}).status_code == 412
    assert release(vault, world, partner).json()["access_token"] == "newer"


def test_a_repetition_with_the_same_key_answers_what_the_first_did(
    vault: VaultProcess, world: World, partner: str
) -> None:
    url = credential_url(partner, "main")
    headers = {**world.realm.bearer(partner), **FIRST, "Idempotency-Key": "6c1f"}
    first = vault.http.put(url, headers=headers, json=TOKENS)
    again = vault.http.put(url, headers=headers, json=TOKENS)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert again.headers["Idempotency-Replayed"] == "true"
    for change in ({"access_token": "x"}, {"refresh_token": None}, {"scopes": []}, {"broker": "alpaca"}):
        other = vault.http.put(url, headers=headers, json={**TOKENS, **change})
        assert (other.status_code, other.json()["type"]) == (422, "urn:tradepulse:problem:idempotency-key-reused")
    # Another caller's equal key is another key.
    stranger = {**world.realm.bearer(partner, sub="somebody-else"), **FIRST, "Idempotency-Key": "6c1f"}
    assert vault.http.put(url, headers=stranger, json=TOKENS).status_code == 412


def test_of_many_first_stores_at_once_one_wins(vault: VaultProcess, world: World, partner: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: store(vault, world, partner).status_code, range(16)))
    assert sorted(answers) == [201, *[412] * 15]


def test_an_expired_access_token_is_not_released(vault: VaultProcess, world: World, partner: str) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=1)
    store(vault, world, partner, expires_at=soon.isoformat(), refresh_token=None)
    store(vault, world, partner, "elsewhere", expires_at=soon.isoformat())
    time.sleep(1.1)
    answer = release(vault, world, partner)
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:tradepulse:problem:reconnect-needed")
    # Nobody here knows that broker now, and it may be known again: that is no reason to connect anew.
    later = release(vault, world, partner, "elsewhere")
    assert (later.status_code, later.json()["type"]) == (503, "urn:tradepulse:problem:refresh-pending")
    assert int(later.headers["Retry-After"]) > 0
    assert "an-access-token" not in answer.text + later.text


def test_a_connection_stays_with_its_broker_and_a_partner_with_its_brokers(
    vault: VaultProcess, world: World, partner: str
) -> None:
    assert store(vault, world, partner, broker="schwab").status_code == 403
    store(vault, world, partner)
    headers = {**world.realm.bearer(partner), "If-Match": '"1"'}
    answer = vault.http.put(credential_url(partner, "main"), headers=headers, json={**TOKENS, "broker": "alpaca"})
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:tradepulse:problem:broker-differs")


def test_who_may_read_may_not_release(vault: VaultProcess, world: World, partner: str) -> None:
    store(vault, world, partner)
    analyst = world.realm.bearer(partner, role="partner-analyst")
    assert vault.http.get(credential_url(partner, "main"), headers=analyst).status_code == 200
    answer = vault.http.post(f"{credential_url(partner, 'main')}/release", headers=analyst)
    assert answer.status_code == 403
    assert answer.json()["decision_id"]


def test_a_weak_login_is_asked_to_step_up(vault: VaultProcess, world: World, partner: str) -> None:
    store(vault, world, partner)
    weak = world.realm.bearer(partner, assurance_level="aal1", acr="aal1", amr=["pwd"])
    answer = vault.http.post(f"{credential_url(partner, 'main')}/release", headers=weak)
    assert answer.status_code == 401
    assert 'error="insufficient_user_authentication"' in answer.headers["WWW-Authenticate"]
    assert 'acr_values="aal2"' in answer.headers["WWW-Authenticate"]


def test_metadata_says_everything_but_the_tokens(vault: VaultProcess, world: World, partner: str) -> None:
    store(vault, world, partner)
    url, bearer = credential_url(partner, "main"), world.realm.bearer(partner)
    before = vault.http.get(url, headers=bearer).json()
    assert before["last_released_at"] is None
    release(vault, world, partner)
    answer = vault.http.get(url, headers=bearer)
    found = answer.json()
    assert answer.headers["ETag"] == '"1"'
    assert (found["version"], found["key_version"], found["has_refresh_token"], found["expired"]) == (1, 1, True, False)
    assert found["last_released_at"] is not None
    assert "an-access-token" not in answer.text
    assert "a-refresh-token" not in answer.text


def test_connections_are_listed_in_pages(vault: VaultProcess, world: World, partner: str) -> None:
    for name in ("a", "b", "c"):
        store(vault, world, partner, name)
    url, bearer = f"/v1/partners/{partner}/connections", world.realm.bearer(partner)
    page = vault.http.get(url, headers=bearer, params={"limit": 2}).json()
    assert ([entry["connection"] for entry in page["connections"]], page["next"]) == (["a", "b"], "b")
    page = vault.http.get(url, headers=bearer, params={"limit": 2, "after": "b"}).json()
    assert ([entry["connection"] for entry in page["connections"]], page["next"]) == (["c"], None)
    for wrong in ({"limit": "0"}, {"limit": "501"}, {"limit": "x"}, {"limit": "٣"}, {"after": "'; --"}):
        assert vault.http.get(url, headers=bearer, params=wrong).status_code == 422


def test_the_trail_says_who_did_what_and_proves_itself(vault: VaultProcess, world: World, partner: str) -> None:
    store(vault, world, partner)
    release(vault, world, partner)
    url, bearer = f"/v1/partners/{partner}/audit", world.realm.bearer(partner)
    page = vault.http.get(url, headers=bearer).json()
    assert page["chain"]["intact"] is True
    events = page["events"]
    assert [event["event"] for event in events] == ["credential.store", "credential.release", "audit.read"]
    assert [event["seq"] for event in events] == [1, 2, 3]
    released = events[1]
    assert released["outcome"] == "success"
    assert released["actor"] == f"{partner}@example.test"
    assert released["action"] == "credential:release"
    assert released["key_version"] == 1
    assert released["assurance_level"] == "aal2"
    assert released["amr"] == ["pwd", "otp"]
    assert released["ip"] == "127.0.0.1"
    assert released["session"] == "session-1"
    assert released["decision_id"]
    assert len(released["trace_id"]) == 32
    second = vault.http.get(url, headers=bearer, params={"after": 1, "limit": 1}).json()
    assert second["chain"]["prev"] == events[0]["hash"]
    assert second["chain"]["intact"] is True
    assert second["next"] == 2


def test_every_committed_line_reaches_the_file_and_the_file_verifies(
    vault: VaultProcess, world: World, partner: str
) -> None:
    store(vault, world, partner)
    for _ in range(5):
        release(vault, world, partner)
    path = vault.audit / "api_events.jsonl"
    until = time.monotonic() + 10
    while not path.exists() or path.read_text().count(f'"partner":"{partner}"') < 6:
        assert time.monotonic() < until
        time.sleep(0.05)
    report = verify_file(path)
    assert report.ok, report.bad
    shown = vault.http.get(f"/v1/partners/{partner}/audit", headers=world.realm.bearer(partner)).json()
    assert shown["chain"]["shipped_seq"] >= 6


def test_health_says_what_is_there(vault: VaultProcess) -> None:
    ready = vault.http.get("/health/ready")
    assert (ready.status_code, ready.json()["missing"]) == (200, []), ready.text
    assert set(ready.json()["checks"]) == {"database", "kms", "salts", "policy", "issuer_keys", "audit_file"}
    assert vault.http.get("/health/auth").status_code == 200
    assert "vault_requests_total" in vault.http.get("/metrics").text


def test_the_openapi_document_has_every_call(vault: VaultProcess) -> None:
    document = vault.http.get("/openapi.json").json()
    calls = {(method, path) for path, operations in document["paths"].items() for method in operations}
    credential = "/v1/partners/{partner}/connections/{connection}/credential"
    assert {
        ("put", credential),
        ("get", credential),
        ("post", f"{credential}/release"),
        ("get", "/v1/partners/{partner}/connections"),
        ("get", "/v1/partners/{partner}/audit"),
        ("get", "/health/live"),
        ("get", "/health/ready"),
        ("get", "/health/auth"),
        ("get", "/metrics"),
    } <= calls
    # Whatever else there is came with a feature of its own; a call without a description is one nobody can find.
    assert all(operation["summary"] for operations in document["paths"].values() for operation in operations.values())
    # A repeated store opens what was stored, and that can fail like a release.
    for method, path in (("put", credential), ("post", f"{credential}/release")):
        assert {"409", "500", "503"} <= set(document["paths"][path][method]["responses"])
