"""Linking a broker through its real authorization server: who may finish, what is kept, who has to agree."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest
from broker_world import APPROVING, BrokerWorld, close, end, open_broker_world
from vault_world import VaultProcess, World

from vault_api.brokers.metadata import BrokerUnavailable, _endpoints

LINKERS = itertools.count(100)
APPROVERS = iter(sorted(APPROVING))


@pytest.fixture(scope="module")
def brokers(world: World, opa_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerWorld]:
    made = open_broker_world(world, opa_binary, tmp_path_factory.mktemp("linking"))
    yield made
    close(made)


@pytest.fixture(scope="module")
def vault(brokers: BrokerWorld) -> VaultProcess:
    return brokers.vault()


@pytest.fixture
def partner() -> str:
    return f"partner-{next(LINKERS)}"


@pytest.fixture
def careful() -> str:
    """A partner that wants a second person."""
    return next(APPROVERS)


def test_offers_are_what_the_policy_would_allow_the_caller(
    brokers: BrokerWorld, vault: VaultProcess, partner: str, careful: str
) -> None:
    def offers(name: str, **who: str) -> dict[str, Any]:
        reply = vault.http.get(f"/v1/partners/{name}/offers", headers=brokers.bearer(name, **who))
        assert reply.status_code == 200, reply.text
        return dict(reply.json())

    linker, approver = offers(partner), offers(careful, role="partner-approver")
    assert linker["may"] == ["connection:link", "connection:revoke"]
    assert not linker["approval_needed"]
    # `absent` is a wish of the partner that no broker answers to.
    assert [each["broker"] for each in linker["brokers"]] == ["inside", "paper"]
    assert linker["brokers"][1]["scopes"] == ["openid", "offline_access", "trade"]
    assert (approver["may"], approver["brokers"], approver["approval_needed"]) == (["connection:approve"], [], True)
    assert ("offers.read", "success", None) in brokers.events(vault, partner)


def test_a_linked_connection_releases_a_token_that_trades(
    brokers: BrokerWorld, vault: VaultProcess, partner: str
) -> None:
    linked = brokers.link(vault, partner)
    assert (linked["partner"], linked["state"], linked["version"]) == (partner, "active", 1)
    released = brokers.release(vault, partner).json()
    assert released["scopes"] == ["openid", "offline_access", "trade"]
    assert brokers.broker.trades(released["access_token"])
    shown = brokers.describe(vault, partner)
    assert (shown["state"], shown["has_refresh_token"], shown["linked_by"]) == ("active", True, f"sub-{partner}")
    assert [event[:2] for event in brokers.events(vault, partner)][:3] == [
        ("connection.link", "success"), ("connection.callback", "success"), ("connection.linked", "success"),
    ]  # fmt: skip


def test_the_authorize_url_asks_for_code_with_pkce_state_and_nonce(
    brokers: BrokerWorld, vault: VaultProcess, partner: str
) -> None:
    urls = [brokers.start_link(vault, partner).json()["authorize_url"] for _ in range(2)]
    first, second = (parse_qs(urlsplit(url).query) for url in urls)
    assert first["response_type"] == ["code"]
    assert first["code_challenge_method"] == ["S256"]
    assert first["redirect_uri"] == ["http://127.0.0.1:4444/callback"]
    for random in ("state", "nonce", "code_challenge"):
        assert len(first[random][0]) >= 43
        assert first[random] != second[random]
    assert brokers.describe(vault, partner)["state"] == "pending_link"
    assert brokers.release(vault, partner).status_code == 404


def test_a_state_links_nothing_in_other_hands_or_twice_or_too_late(
    brokers: BrokerWorld, vault: VaultProcess, partner: str
) -> None:
    url = brokers.start_link(vault, partner).json()["authorize_url"]
    given = brokers.broker.consent(url)
    bearer = brokers.bearer
    thieves = [
        bearer(partner, sub="sub-colleague"),
        bearer(partner, sid="another-browser"),
        bearer(f"partner-{int(partner[-3:]) - 50:03d}"),
    ]
    answers = [vault.http.get("/v1/link/callback", params=given, headers=headers) for headers in thieves]
    assert {(one.status_code, one.json()["type"]) for one in answers} == {
        (400, "urn:tradepulse:problem:link-state-refused")
    }
    assert vault.http.get("/v1/link/callback", params=given).status_code == 401
    assert brokers.release(vault, partner).status_code == 404
    # None of them used it up for the one whose it is.
    assert vault.http.post("/v1/link/callback", json={**given}, headers=bearer(partner)).status_code == 200
    assert vault.http.post("/v1/link/callback", json={**given}, headers=bearer(partner)).status_code == 400
    reasons = [reason for event, _, reason in brokers.events(vault, partner) if event == "connection.callback"]
    assert reasons == ["other_person", "other_session", None, "used"]


@pytest.mark.parametrize(
    ("change", "status", "problem"),
    [
        ({"iss": "http://localhost:1/another"}, 400, "link-wrong-issuer"),
        ({"iss": None}, 400, "link-wrong-issuer"),
        ({"code": "not-a-code"}, 400, "link-code-refused"),
        ({"code": None, "error": "access_denied"}, 409, "link-declined"),
        ({"state": "made-up"}, 400, "link-state-refused"),
    ],
)
def test_an_answer_that_is_not_the_brokers_own_yes_links_nothing(
    brokers: BrokerWorld, vault: VaultProcess, partner: str, change: dict[str, str | None], status: int, problem: str
) -> None:
    given = brokers.broker.consent(brokers.start_link(vault, partner).json()["authorize_url"])
    changed = {name: value for name, value in {**given, **change}.items() if value is not None}
    answer = vault.http.get("/v1/link/callback", params=changed, headers=brokers.bearer(partner))
    assert (answer.status_code, answer.json()["type"]) == (status, f"urn:tradepulse:problem:{problem}")
    assert brokers.release(vault, partner).status_code == 404


def test_who_refuses_at_the_broker_is_sent_back_with_a_clear_problem(
    brokers: BrokerWorld, vault: VaultProcess, partner: str
) -> None:
    given = brokers.broker.consent(brokers.start_link(vault, partner).json()["authorize_url"], answer="deny")
    assert given["error"] == "access_denied"
    answer = vault.http.get("/v1/link/callback", params=given, headers=brokers.bearer(partner))
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:tradepulse:problem:link-declined")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"broker": "absent", "connection": "x"}, 422),
        ({"broker": "paper", "connection": "x", "redirect_uri": "https://evil.example/callback"}, 422),
        ({"broker": "paper", "connection": "x", "redirect_uri": "http://127.0.0.1@evil.example/callback"}, 422),
        ({"broker": "paper", "connection": "Not a name"}, 422),
        ({"broker": "paper", "connection": "x", "more": 1}, 422),
        ({"broker": "elsewhere", "connection": "x"}, 403),
    ],
)
def test_a_request_that_means_nothing_starts_nothing(
    brokers: BrokerWorld, vault: VaultProcess, partner: str, body: dict[str, object], status: int
) -> None:
    answer = vault.http.post(f"/v1/partners/{partner}/connections", json=body, headers=brokers.bearer(partner))
    assert answer.status_code == status, answer.text


@pytest.mark.parametrize("endpoint", ["authorization_endpoint", "token_endpoint", "revocation_endpoint"])
@pytest.mark.parametrize("address", ["javascript:alert(1)", "http://broker.example/x", "file:///etc/passwd", "//x"])
def test_metadata_leads_nobody_out_of_https(endpoint: str, address: str) -> None:
    issuer = "https://broker.example"
    sound = {
        "issuer": issuer,
        **{name: f"{issuer}/{name}" for name in ("authorization_endpoint", "token_endpoint", "revocation_endpoint")},
    }
    assert _endpoints(json.dumps(sound).encode(), issuer).authorize == f"{issuer}/authorization_endpoint"
    with pytest.raises(BrokerUnavailable, match="metadata_malformed"):
        _endpoints(json.dumps({**sound, endpoint: address}).encode(), issuer)


def test_faults_of_the_broker_are_clear_problems_and_store_nothing(
    brokers: BrokerWorld, vault: VaultProcess, partner: str
) -> None:
    expected = [
        ({"status": 500}, 503, "broker-unavailable"),
        ({"error": "invalid_client"}, 502, "broker-refused"),
        ({"omit": ["id_token"]}, 502, "broker-answer-unusable"),
        ({"omit": ["access_token"]}, 503, "broker-unavailable"),
    ]
    for faults, status, problem in expected:
        given = brokers.broker.consent(brokers.start_link(vault, partner).json()["authorize_url"])
        brokers.broker.behave(faults={**faults, "times": 1})
        answer = vault.http.get("/v1/link/callback", params=given, headers=brokers.bearer(partner))
        assert (answer.status_code, answer.json()["type"]) == (status, f"urn:tradepulse:problem:{problem}")
    assert brokers.describe(vault, partner)["version"] is None


def test_what_was_linked_releases_nothing_until_another_person_approves(
    brokers: BrokerWorld, vault: VaultProcess, careful: str
) -> None:
    linked = brokers.link(vault, careful)
    assert linked["state"] == "pending_approval"
    assert brokers.release(vault, careful).status_code == 404
    assert brokers.describe(vault, careful)["awaiting_approval"] is True
    path = f"/v1/partners/{careful}/connections/main/approve"
    linker = brokers.bearer(careful, role="partner-approver")
    own = vault.http.post(path, headers=linker)
    assert (own.status_code, own.json()["type"]) == (403, "urn:tradepulse:problem:own-link")
    assert brokers.release(vault, careful).status_code == 404
    approver = brokers.bearer(careful, role="partner-approver", sub="sub-second")
    assert vault.http.post(path, headers=approver).json() == {"connection": "main", "state": "active", "version": 1}
    assert brokers.broker.trades(brokers.release(vault, careful).json()["access_token"])
    assert vault.http.post(path, headers=approver).status_code == 409
    assert brokers.describe(vault, careful)["approved_by"] == "sub-second"
    # And one person alone cannot go around it by storing a token set.
    direct = vault.http.put(
        f"/v1/partners/{careful}/connections/direct/credential",
        json={"broker": "paper", "access_token": "a"},
        headers={**brokers.bearer(careful), "If-None-Match": "*"},
    )
    assert (direct.status_code, direct.json()["type"]) == (409, "urn:tradepulse:problem:approval-required")


def test_connecting_again_keeps_the_id_bumps_the_version_and_waits_for_its_own_approval(
    brokers: BrokerWorld, vault: VaultProcess, partner: str, careful: str
) -> None:
    assert [brokers.link(vault, partner)["version"] for _ in range(3)] == [1, 2, 3]
    brokers.link(vault, careful)
    approver = brokers.bearer(careful, role="partner-approver", sub="sub-second")
    path = f"/v1/partners/{careful}/connections/main/approve"
    vault.http.post(path, headers=approver).raise_for_status()
    first = brokers.release(vault, careful).json()
    assert brokers.link(vault, careful)["state"] == "pending_approval"
    # What was approved goes on until the new one is.
    assert brokers.release(vault, careful).json()["access_token"] == first["access_token"]
    assert vault.http.post(path, headers=approver).json()["version"] == 2
    assert brokers.release(vault, careful).json()["access_token"] != first["access_token"]


def test_revoking_is_dead_here_at_once_and_at_the_broker_as_soon_as_it_answers(
    brokers: BrokerWorld, vault: VaultProcess, partner: str
) -> None:
    brokers.link(vault, partner)
    token = brokers.release(vault, partner).json()["access_token"]
    brokers.broker.stop()
    path = f"/v1/partners/{partner}/connections/main"
    assert vault.http.delete(path, headers=brokers.bearer(partner)).status_code == 204
    assert brokers.release(vault, partner).status_code == 404
    assert vault.http.delete(path, headers=brokers.bearer(partner)).status_code == 404
    assert brokers.describe(vault, partner)["state"] == "revoked"
    worker = brokers.worker()
    try:
        brokers.broker.start()
        until = time.monotonic() + 30
        while brokers.broker.trades(token):
            assert time.monotonic() < until
            time.sleep(0.2)
        while ("connection.revoked_at_broker", "success", None) not in brokers.events(vault, partner):
            assert time.monotonic() < until
            time.sleep(0.2)
    finally:
        end(worker)
    assert brokers.link(vault, partner)["version"] == 2


async def test_every_token_set_that_was_given_up_is_revoked_at_the_broker_whatever_its_version(
    brokers: BrokerWorld, vault: VaultProcess, careful: str, superuser: asyncpg.Connection
) -> None:
    path = f"/v1/partners/{careful}/connections/main"
    for _ in range(2):
        # Neither was approved, so both are of version 1.
        assert brokers.link(vault, careful)["version"] == 1
        assert vault.http.delete(path, headers=brokers.bearer(careful)).status_code == 204
    rows = await superuser.fetch(
        "SELECT number, version, access_sealed IS NOT NULL AS held FROM vault.revocation WHERE partner = $1 ORDER BY 1",
        careful,
    )
    assert [tuple(row) for row in rows] == [(1, 1, True), (2, 1, True)]
    worker = brokers.worker()
    try:
        until = time.monotonic() + 30
        while brokers.events(vault, careful).count(("connection.revoked_at_broker", "success", None)) < 2:
            assert time.monotonic() < until
            await asyncio.sleep(0.2)
    finally:
        end(worker)


def test_a_connection_that_was_revoked_before_it_had_a_token_can_be_revoked_when_it_has_one(
    brokers: BrokerWorld, vault: VaultProcess, partner: str
) -> None:
    assert brokers.start_link(vault, partner).status_code == 201
    path, bearer = f"/v1/partners/{partner}/connections/main", brokers.bearer(partner)
    assert vault.http.delete(path, headers=bearer).status_code == 204
    stored = vault.http.put(
        f"{path}/credential",
        json={"broker": "paper", "access_token": "a"},
        headers={**bearer, "If-None-Match": "*"},
    )
    assert stored.status_code == 201
    assert brokers.release(vault, partner).status_code == 200
    assert brokers.describe(vault, partner)["state"] == "active"
    assert vault.http.delete(path, headers=bearer).status_code == 204
    assert brokers.release(vault, partner).status_code == 404


def test_a_revocation_wins_over_a_link_that_is_being_finished(
    brokers: BrokerWorld, vault: VaultProcess, partner: str
) -> None:
    path, bearer = f"/v1/partners/{partner}/connections/main", brokers.bearer(partner)
    given = brokers.broker.consent(brokers.start_link(vault, partner).json()["authorize_url"])
    before = brokers.broker.counts()
    brokers.broker.behave(faults={"delay": 2.0, "times": 1})
    with ThreadPoolExecutor(1) as pool:
        finishing = pool.submit(vault.http.get, "/v1/link/callback", params=given, headers=bearer, timeout=30)
        until = time.monotonic() + 20
        while brokers.broker.counts().get("token_requests", 0) == before.get("token_requests", 0):
            assert time.monotonic() < until
            time.sleep(0.05)
        assert vault.http.delete(path, headers=bearer).status_code == 204
        answer = finishing.result()
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:tradepulse:problem:connection-revoked")
    assert brokers.describe(vault, partner)["state"] == "revoked"
    assert brokers.release(vault, partner).status_code == 404
    assert brokers.broker.counts()["revoked"] == before.get("revoked", 0) + 1


def test_another_partners_connection_is_as_absent_as_one_that_does_not_exist(
    brokers: BrokerWorld, vault: VaultProcess, partner: str, careful: str
) -> None:
    brokers.link(vault, partner)
    stranger = brokers.bearer(careful)
    for method, tail, body in (("DELETE", "", None), ("POST", "/approve", None)):
        answers = [
            vault.http.request(method, f"/v1/partners/{who}/connections/main{tail}", headers=stranger, json=body)
            for who in (partner, "no-such-partner")
        ]
        shapes = [{name: value for name, value in one.json().items() if name != "trace_id"} for one in answers]
        assert [one.status_code for one in answers] == [404, 404]
        assert shapes[0] == shapes[1]
    begun = brokers.start_link(vault, partner, sub="x")
    assert begun.status_code == 201
    foreign = vault.http.post(
        f"/v1/partners/{partner}/connections", json={"broker": "paper", "connection": "main"}, headers=stranger
    )
    assert foreign.status_code == 404
    assert brokers.release(vault, partner).status_code == 200
