"""Case 5, and the KMS and Keycloak away: a key is the pinned one, or there is none."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import asyncpg
import httpx
import pytest
from vault_world import FIRST, TOKENS, VaultProcess, World, audit_url, credential_url

MISMATCH = "urn:tradepulse:problem:key-context-mismatch"
FORGOTTEN = 1.1


@pytest.fixture(scope="module")
def forgetful(start_vault: Callable[..., VaultProcess]) -> VaultProcess:
    """A vault that keeps keys for a second."""
    return start_vault(VAULT_KEY_SECONDS="1")


def store(vault: VaultProcess, world: World, partner: str, connection: str = "main") -> httpx.Response:
    headers = {**world.realm.bearer(partner), **FIRST}
    return vault.http.put(credential_url(partner, connection), headers=headers, json=TOKENS)


def release(vault: VaultProcess, world: World, partner: str) -> httpx.Response:
    return vault.http.post(f"{credential_url(partner, 'main')}/release", headers=world.realm.bearer(partner))


def last_event(vault: VaultProcess, world: World, partner: str) -> dict[str, object]:
    events = vault.http.get(audit_url(partner), headers=world.realm.bearer(partner)).json()["events"]
    return [event for event in events if event["event"] != "audit.read"][-1]


def metric(vault: VaultProcess, name: str) -> float:
    lines = vault.http.get("/metrics").text.splitlines()
    return next(float(line.split()[-1]) for line in lines if line.startswith(f"{name} "))


@pytest.mark.parametrize("how", ["changed", "removed", "shortened", "current is none"])
def test_a_salt_that_is_not_the_pinned_one_is_a_mismatch_and_never_a_new_key(
    how: str, forgetful: VaultProcess, world: World, partner: str
) -> None:
    assert store(forgetful, world, partner).status_code == 201
    salts = world.realm.salts[partner]
    kept = dict(salts)
    if how == "changed":
        world.realm.new_salt(partner, 1)
    elif how == "removed":
        salts.clear()
    elif how == "shortened":
        salts["vault.salt.1"] = ["c2hvcnQ="]
    else:
        del salts["vault.salt.current"]
    before = metric(forgetful, "vault_key_context_mismatches_total")
    time.sleep(FORGOTTEN)
    for answer in (release(forgetful, world, partner), store(forgetful, world, partner, "another")):
        assert (answer.status_code, answer.json()["type"]) == (409, MISMATCH)
        assert "an-access-token" not in answer.text
    assert metric(forgetful, "vault_key_context_mismatches_total") == before + 2
    event = last_event(forgetful, world, partner)
    assert event["outcome"] == "failure"
    assert str(event["reason"]).startswith("key_context_mismatch,")
    # Nothing was sealed under another key, and with the salt back everything is as it was.
    world.realm.salts[partner] = kept
    time.sleep(FORGOTTEN)
    assert release(forgetful, world, partner).json()["access_token"] == "an-access-token"


async def test_a_new_current_salt_seals_what_is_new_and_leaves_what_is_old(
    forgetful: VaultProcess, world: World, partner: str, superuser: asyncpg.Connection
) -> None:
    store(forgetful, world, partner)
    world.realm.new_salt(partner, 2)
    await asyncio.sleep(FORGOTTEN)
    assert store(forgetful, world, partner, "newer").json()["key_version"] == 2
    assert release(forgetful, world, partner).json()["access_token"] == "an-access-token"
    pins = await superuser.fetch("SELECT * FROM vault.key_context WHERE partner = $1 ORDER BY key_version", partner)
    assert [pin["key_version"] for pin in pins] == [1, 2]
    assert pins[0]["fingerprint"] != pins[1]["fingerprint"]
    # Taking the old salt away shreds what it sealed, and only that.
    del world.realm.salts[partner]["vault.salt.1"]
    await asyncio.sleep(FORGOTTEN)
    answer = release(forgetful, world, partner)
    assert (answer.status_code, answer.json()["type"]) == (409, MISMATCH)
    newer = forgetful.http.post(f"{credential_url(partner, 'newer')}/release", headers=world.realm.bearer(partner))
    assert newer.json()["access_token"] == "an-access-token"


def test_a_salt_in_a_token_is_of_no_interest_to_anybody(forgetful: VaultProcess, world: World, partner: str) -> None:
    store(forgetful, world, partner)
    claimed = {
        "id": world.realm.ids[partner],
        "groups": ["/partner-trader"],
        "vault.salt.1": ["AAAA"],
        "vault.salt.current": ["1"],
        "attributes": {"vault.salt.1": ["AAAA"]},
    }
    bearer = world.realm.bearer(partner, organization={partner: claimed})
    time.sleep(FORGOTTEN)
    answer = forgetful.http.post(f"{credential_url(partner, 'main')}/release", headers=bearer)
    assert answer.json()["access_token"] == "an-access-token"


def test_with_keycloak_away_a_key_serves_until_its_age_and_then_it_is_503(
    forgetful: VaultProcess, world: World, partner: str
) -> None:
    store(forgetful, world, partner)
    assert release(forgetful, world, partner).status_code == 200
    world.realm.away = True
    try:
        assert release(forgetful, world, partner).status_code == 200
        time.sleep(FORGOTTEN)
        answer = release(forgetful, world, partner)
        assert (answer.status_code, answer.json()["type"]) == (503, "urn:tradepulse:problem:key-unavailable")
        assert int(answer.headers["Retry-After"]) > 0
        assert "an-access-token" not in answer.text
    finally:
        world.realm.away = False
    assert last_event(forgetful, world, partner)["reason"] == "key_unavailable"
    assert release(forgetful, world, partner).status_code == 200


def test_a_vault_that_cannot_read_salts_says_that_it_is_not_ready(forgetful: VaultProcess, world: World) -> None:
    assert forgetful.http.get("/health/ready").status_code == 200
    world.realm.away = True
    try:
        time.sleep(FORGOTTEN)
        refused = forgetful.http.get("/health/ready")
        assert (refused.status_code, refused.json()["missing"]) == (503, ["salts"])
    finally:
        world.realm.away = False
    time.sleep(FORGOTTEN)
    assert forgetful.http.get("/health/ready").status_code == 200


async def test_a_tampered_row_is_one_opaque_error_an_alarm_and_a_line(
    forgetful: VaultProcess, world: World, partner: str, other_partner: str, superuser: asyncpg.Connection
) -> None:
    for name in ("main", "second"):
        store(forgetful, world, partner, name)
    store(forgetful, world, other_partner)
    rows = {
        (row["partner"], row["connection"]): row
        for row in await superuser.fetch(
            "SELECT * FROM vault.credential WHERE partner = ANY ($1)", [partner, other_partner]
        )
    }
    genuine = rows[partner, "main"]
    sealed = genuine["access_sealed"]
    older = {"access_sealed": sealed}
    headers = {**world.realm.bearer(partner), "If-Match": '"1"'}
    newer_tokens = {**TOKENS, "access_token": "newer"}
    assert forgetful.http.put(credential_url(partner, "main"), headers=headers, json=newer_tokens).status_code == 200
    newer = await superuser.fetchval(
        "SELECT access_sealed FROM vault.credential WHERE partner = $1 AND version = 2", partner
    )
    damage = {
        "a flipped byte": {"access_sealed": newer[:70] + bytes([newer[70] ^ 1]) + newer[71:]},
        "another format": {"access_sealed": b"\x02" + newer[1:]},
        "truncated": {"access_sealed": newer[:-1]},
        "the refresh token": {"access_sealed": genuine["refresh_sealed"]},
        "another connection's": {"access_sealed": rows[partner, "second"]["access_sealed"]},
        "another partner's": {"access_sealed": rows[other_partner, "main"]["access_sealed"]},
        "an older version's": older,
    }
    for what, columns in damage.items():
        before = metric(forgetful, "vault_integrity_failures_total")
        await superuser.execute(
            "UPDATE vault.credential SET access_sealed = $1 WHERE partner = $2 AND connection = 'main'",
            columns["access_sealed"], partner,
        )  # fmt: skip
        answer = release(forgetful, world, partner)
        assert (answer.status_code, answer.json()["type"]) == (500, "urn:tradepulse:problem:integrity-error"), what
        assert set(answer.json()) == {"type", "title", "status", "detail", "trace_id"}
        assert not any(secret in answer.text for secret in ("an-access-token", "a-refresh-token", "newer"))
        assert metric(forgetful, "vault_integrity_failures_total") == before + 1, what
        assert last_event(forgetful, world, partner)["reason"] == "integrity_error"
    assert '"event":"integrity.failed"' in forgetful.logged()
    await superuser.execute(
        "UPDATE vault.credential SET access_sealed = $1 WHERE partner = $2 AND connection = 'main'", newer, partner
    )
    assert release(forgetful, world, partner).json()["access_token"] == "newer"
