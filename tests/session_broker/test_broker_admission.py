"""Who gets through, with what, and what everybody else is told."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from identity.audit.log import AuditLog, AuditUnavailable
from tests.identity.loopback_server import Answer, answer_json
from tests.identity.token_forge import EC, sign
from tests.session_broker.door_world import AUDIENCE, OTHER_RSA, World, passed_on, refusal

Forged = Callable[[World], str]
NOW = int(time.time())
"""When this module was read, which in a long run is long ago."""


def now() -> int:
    """Seconds of Unix time."""
    return int(time.time())


async def test_an_external_token_becomes_one_of_the_internal_audience_and_never_goes_on(world: World) -> None:
    token = world.external()
    async with world.broker() as broker:
        given = passed_on(await broker.authorize(token))
        assert given != token
        assert [form["grant_type"].rpartition(":")[2] for form in world.forms] == ["jwt-bearer", "token-exchange"]
        assert world.forms[0]["assertion"] == token
        assert world.forms[1]["audience"] == AUDIENCE
        assert not any("scope" in form for form in world.forms)
        assert world.forms[0]["client_assertion"] != world.forms[1]["client_assertion"]
        assert passed_on(await broker.authorize(token)) == given
    assert len(world.forms) == 2
    (line,) = world.lines
    assert (line["event"], line["outcome"], line["reason"]) == ("session.admitted", "success", "provider:workforce")
    assert (line["actor"], line["action"]) == ("ada@tradepulse.example", "session:exchange")
    assert not any(part in str(line) for part in (*token.split("."), *given.split(".")))


async def test_a_token_of_our_realm_for_this_audience_goes_on_as_it_is_and_asks_keycloak_nothing(world: World) -> None:
    token = world.own()
    async with world.broker() as broker:
        assert passed_on(await broker.authorize(token)) == token
    assert world.forms == []
    assert [line["action"] for line in world.lines] == ["session:admit"]


async def test_fifty_requests_with_one_new_token_are_one_exchange_and_one_line(world: World) -> None:
    token = world.external()
    async with world.broker() as broker:
        answers = await asyncio.gather(*(broker.authorize(token) for _ in range(50)))
        assert len({passed_on(answer) for answer in answers}) == 1
    assert len(world.forms) == 2
    assert len(world.lines) == 1


async def test_a_service_has_tokens_of_its_own_audience_and_a_token_is_nothing_at_another(world: World) -> None:
    token = world.external()
    async with world.broker() as broker:
        assert passed_on(await broker.authorize(token, "vault")) != passed_on(await broker.authorize(token, "reports"))
        assert [form.get("audience") for form in world.forms] == [None, AUDIENCE, None, "reports"]
        assert refusal(await broker.authorize(world.own(aud="reports"), "vault")) == 401


HOSTILE: dict[str, tuple[Forged, str]] = {
    "another issuer": (lambda w: w.external(iss="http://localhost:9/workforce"), "issuer_refused"),
    "an issuer with ours in front": (lambda w: w.external(iss=f"{w.place}/workforce.evil"), "issuer_refused"),
    "an issuer with a slash more": (lambda w: w.external(iss=f"{w.place}/workforce/"), "issuer_refused"),
    "an issuer in a list": (lambda w: w.external(iss=[f"{w.place}/workforce"]), "issuer_refused"),
    "another key of the same id": (lambda w: w.external(key=OTHER_RSA), "signature_invalid"),
    "the other provider's name": (lambda w: w.external(iss=f"{w.place}/machines"), "purpose_refused"),
    "an unknown key": (lambda w: w.external(header={"alg": "RS256", "kid": "rsa-9", "typ": "JWT"}), "key_unknown"),
    "no signature": (lambda w: w.external().rpartition(".")[0] + ".", "malformed"),
    "algorithm none": (lambda w: w.external(header={"alg": "none", "kid": "rsa-1"}), "algorithm_refused"),
    "an HMAC": (lambda w: w.external(header={"alg": "HS256", "kid": "rsa-1"}), "algorithm_refused"),
    "an algorithm that is not listed": (
        lambda w: w.external(header={"alg": "PS512", "kid": "rsa-1"}),
        "algorithm_refused",
    ),
    "another audience": (lambda w: w.external(aud="somebody-else"), "audience_refused"),
    "our audience among others": (lambda w: w.external(aud=["tradepulse", "somebody-else"]), "audience_refused"),
    "no audience": (lambda w: w.external(aud=None), "audience_refused"),
    "an empty audience": (lambda w: w.external(aud=[]), "audience_refused"),
    "an access token where ID tokens are taken": (lambda w: w.external(scope="openid"), "purpose_refused"),
    "Entra's access token where ID tokens are taken": (lambda w: w.external(azpacr="1", nonce=None), "purpose_refused"),
    "an ID token where access tokens are taken": (lambda w: w.machine(nonce="n"), "purpose_refused"),
    "marks of both kinds": (lambda w: w.machine(at_hash="x"), "purpose_refused"),
    "a client that is not listed": (lambda w: w.machine(azp="other"), "client_refused"),
    "a second client that is not listed": (lambda w: w.machine(client_id="other"), "client_refused"),
    "no client where clients are listed": (lambda w: w.machine(azp=None), "client_refused"),
    "a refresh token": (lambda w: w.external(typ="Refresh", nonce=None), "purpose_refused"),
    "a logout token": (lambda w: w.external(events={}, nonce=None), "purpose_refused"),
    "bound to a key": (lambda w: w.external(cnf={"jkt": "x"}), "sender_constrained"),
    "expired": (lambda w: w.external(exp=now() - 60), "expired"),
    "too old, whatever it says": (lambda w: w.external(iat=now() - 4000, exp=now() + 4000), "expired"),
    "from the future": (lambda w: w.external(iat=now() + 300, exp=now() + 600), "issued_in_future"),
    "not valid yet": (lambda w: w.external(nbf=now() + 300), "not_yet_valid"),
    "no end": (lambda w: w.external(exp=None), "claim_missing"),
    "no beginning": (lambda w: w.external(iat=None), "claim_missing"),
    "an end that is a word": (lambda w: w.external(exp="never"), "claim_malformed"),
    "an end that is true": (lambda w: w.external(exp=True), "claim_malformed"),
    "nobody": (lambda w: w.external(sub=None), "claim_missing"),
    "a subject with a line break": (lambda w: w.external(sub="a\nb"), "claim_malformed"),
    "larger than any token": (lambda w: w.external(pad="x" * 20_000), "too_large"),
    "no token at all": (lambda w: "garbage", "malformed"),
    "of ours for another audience": (lambda w: w.own(aud="reports"), "audience_refused"),
    "of ours by a client that is not listed": (lambda w: w.own(azp="tradepulse"), "client_refused"),
    "of ours that was exchanged before": (lambda w: w.own(azp="session-broker"), "client_refused"),
    "of ours, an ID token": (lambda w: w.own(typ="ID"), "purpose_refused"),
}


@pytest.mark.parametrize("case", HOSTILE)
async def test_a_token_that_is_not_good_is_401_and_keycloak_never_sees_it(world: World, case: str) -> None:
    forged, reason = HOSTILE[case]
    async with world.broker() as broker:
        answer = await broker.authorize(forged(world))
        assert refusal(answer) == 401
        assert 'error="invalid_token"' in answer.headers["www-authenticate"]
        assert reason not in answer.text
    assert world.forms == []
    (line,) = world.lines
    assert (line["event"], line["outcome"], line["reason"]) == ("session.refused", "denied", reason)


async def test_a_request_without_a_token_is_challenged_and_is_no_event(world: World) -> None:
    async with world.broker() as broker:
        answer = await broker.authorize(None)
        assert refusal(answer) == 401
        assert "error" not in answer.headers["www-authenticate"]
    assert world.lines == []


@pytest.mark.parametrize(
    ("service", "headers"),
    [("nothing", {}), (None, {}), ("Vault", {}), ("vault, vault", {})],
)
async def test_a_service_that_is_not_configured_takes_nobody(
    world: World, service: str | None, headers: dict[str, str]
) -> None:
    async with world.broker() as broker:
        assert refusal(await broker.authorize(world.external(), service, **headers)) == 403
    assert world.forms == []
    assert [line["reason"] for line in world.lines] == ["service_unknown"]


async def test_whoever_is_not_the_proxy_gets_no_internal_token(world: World) -> None:
    async with world.broker(proxies="10.1.2.3") as broker:
        assert refusal(await broker.authorize(world.own())) == 403
    assert [(line["reason"], line["ip"]) for line in world.lines] == [("proxy_unknown", "127.0.0.1")]


async def test_a_provider_reaches_only_the_services_that_list_it(world: World) -> None:
    async with world.broker() as broker:
        assert refusal(await broker.authorize(world.machine(), "reports")) == 403
        assert refusal(await broker.authorize(world.external(), "closed")) == 403
        assert refusal(await broker.authorize(world.own(aud="reports"), "reports")) == 403
        assert passed_on(await broker.authorize(world.machine(), "vault"))
    assert [line["reason"] for line in world.lines][:3] == [
        "provider_not_for_service",
        "provider_not_for_service",
        "internal_not_for_service",
    ]


async def test_a_service_that_wants_a_level_asks_to_step_up(world: World) -> None:
    async with world.broker() as broker:
        answer = await broker.authorize(world.external(), "strict")
        assert refusal(answer) == 401
        assert 'acr_values="aal2"' in answer.headers["www-authenticate"]
        world.internal = {"assurance_level": "aal2", "acr": "aal2"}
        assert passed_on(await broker.authorize(world.external(), "strict"))


REFUSED = {
    "User not found": "account_unknown",
    "User is not enabled": "account_disabled",
    "Account is not fully set up": "account_incomplete",
    "Account is locked": "account_locked",
    "Sender-constrained tokens are not exchanged": "sender_constrained",
    "something new": "invalid_grant",
}


@pytest.mark.parametrize("described", REFUSED)
async def test_what_keycloak_refuses_is_403_with_the_reason_in_the_audit_alone(world: World, described: str) -> None:
    world.refuse = answer_json({"error": "invalid_grant", "error_description": described}, status=400)
    async with world.broker() as broker:
        answer = await broker.authorize(world.external())
        assert refusal(answer) == 403
        assert described not in answer.text
        assert not broker.broker.breaker.is_open
    assert [(line["reason"], line["outcome"]) for line in world.lines] == [(REFUSED[described], "denied")]


async def test_a_refusal_is_remembered_for_a_moment_and_each_one_is_recorded(world: World) -> None:
    world.refuse = answer_json({"error": "invalid_grant", "error_description": "User not found"}, status=400)
    token = world.external()
    async with world.broker(refusal_seconds="20") as broker:
        for _ in range(3):
            assert refusal(await broker.authorize(token)) == 403
    assert len(world.forms) == 1
    assert len(world.lines) == 3


AWAY: dict[str, Answer] = {
    "broken": Answer(500, b"oops"),
    "restarting": Answer(503, b""),
    "cut": Answer(cut=True),
    "no JSON": Answer(200, b"<html>"),
    "no token": answer_json({"access_token": "", "expires_in": 1, "token_type": "Bearer"}),
    "of another type": answer_json({"access_token": "x", "expires_in": 9, "token_type": "DPoP"}),
    "our client is unknown": answer_json({"error": "invalid_client"}, status=401),
}


@pytest.mark.parametrize("case", AWAY)
async def test_without_an_exchange_the_answer_is_503_and_when_to_come_again(world: World, case: str) -> None:
    world.refuse = AWAY[case]
    async with world.broker() as broker:
        answer = await broker.authorize(world.external())
        assert refusal(answer) == 503
        assert int(answer.headers["retry-after"]) >= 1
        # Who has a grant, or needs no exchange, is served all the same.
        assert passed_on(await broker.authorize(world.own()))
    refused = world.lines[0]
    assert (refused["reason"], refused["outcome"]) == ("exchange_unavailable", "failure")


WIDE: dict[str, dict[str, Any]] = {
    "a wider audience": {"aud": [AUDIENCE, "reports"]},
    "another audience": {"aud": "account"},
    "another client": {"azp": "tradepulse-cli"},
    "another issuer": {"iss": "http://localhost:9/realms/tradepulse-dev"},
    "expired": {"exp": NOW - 100},
    "a refresh token": {"typ": "Refresh"},
}


@pytest.mark.parametrize("case", WIDE)
async def test_an_answer_of_keycloak_that_is_wider_than_asked_for_goes_nowhere(world: World, case: str) -> None:
    world.internal = WIDE[case]
    async with world.broker() as broker:
        assert refusal(await broker.authorize(world.external())) == 503
    assert world.lines[0]["reason"].startswith("exchange_answer_")


async def test_a_failing_keycloak_is_left_alone_and_tried_again_after_the_pause(world: World) -> None:
    world.refuse = Answer(503)
    async with world.broker(breaker_failures="3", breaker_seconds="60") as broker:
        for _ in range(10):
            assert refusal(await broker.authorize(world.external())) == 503
        assert len(world.forms) == 3
        assert (await broker.http.get("/health/ready")).json()["missing"] == ["identity_provider"]
        breaker = broker.broker.breaker
        breaker._clock = lambda: time.monotonic() + 61
        # Ready again before the trial, or nobody would be sent here to make it.
        assert (await broker.http.get("/health/ready")).status_code == 200
        assert refusal(await broker.authorize(world.external())) == 503
        assert len(world.forms) == 4
        assert breaker.is_open
        breaker._clock = lambda: time.monotonic() + 122
        world.refuse = None
        assert passed_on(await broker.authorize(world.external()))
        assert not breaker.is_open


async def test_what_keycloak_stumbles_over_for_one_person_shuts_nobody_else_out(world: World) -> None:
    world.refuse = answer_json({"error": "unknown_error"}, status=500)
    async with world.broker(breaker_failures="3", breaker_seconds="60") as broker:
        for _ in range(10):
            assert refusal(await broker.authorize(world.external(sub="odd"))) == 503
        assert len(world.forms) == 10
        assert not broker.broker.breaker.is_open
        for person in ("one", "two"):
            assert refusal(await broker.authorize(world.external(sub=person))) == 503
        assert broker.broker.breaker.is_open


async def test_a_keycloak_that_hangs_costs_no_more_than_the_deadline(world: World) -> None:
    never = threading.Event()
    world.refuse = Answer(wait=never)
    async with world.broker(exchange_seconds="0.3", exchanges_at_once="1") as broker:
        answers = await asyncio.gather(*(broker.authorize(world.external()) for _ in range(4)))
        assert {refusal(answer) for answer in answers} == {503}
        never.set()
    # One was asked, the others waited for its place until their own deadline.
    assert len(world.forms) <= 2


async def test_keys_that_are_away_are_503_and_neither_a_yes_nor_a_no(world: World) -> None:
    world.keys_away = True
    async with world.broker() as broker:
        assert refusal(await broker.authorize(world.external())) == 503
        assert refusal(await broker.authorize(world.own())) == 503
    assert {line["reason"] for line in world.lines} == {"keys_unavailable"}


async def test_what_cannot_be_recorded_is_not_admitted(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async with world.broker() as broker:
        token = world.external()

        async def full(*_: object) -> None:
            raise AuditUnavailable("no space left on device")

        with monkeypatch.context() as disk:
            disk.setattr(AuditLog, "append", full)
            assert refusal(await broker.authorize(token)) == 503
        assert passed_on(await broker.authorize(token))


async def test_a_flood_of_bad_tokens_has_bounded_lines_and_a_summary_for_the_rest(world: World) -> None:
    async with world.broker() as broker:
        answers = await asyncio.gather(*(broker.authorize(f"garbage-{number}") for number in range(300)))
        assert {refusal(answer) for answer in answers} == {401}
    lines = world.lines
    assert 50 <= len(lines) < 120
    assert lines[-1]["event"] == "token.rejected.summary"


async def test_a_grant_is_asked_about_again_after_the_window_and_ends_with_its_token(world: World) -> None:
    async with world.broker(revocation_seconds="2") as broker:
        token = world.external()
        first = passed_on(await broker.authorize(token))
        world.refuse = answer_json({"error": "invalid_grant", "error_description": "User is not enabled"}, status=400)
        assert passed_on(await broker.authorize(token)) == first
        await asyncio.sleep(2.05)
        assert refusal(await broker.authorize(token)) == 403
        world.refuse = None
        almost_over = world.external(exp=int(time.time()) + 1)
        assert passed_on(await broker.authorize(almost_over))


async def test_two_people_never_get_each_others_token(world: World) -> None:
    # The server that the exchanges are made with is this very process, so there are no more than it serves in time.
    async with world.broker(exchange_seconds="30") as broker:
        people = [world.external(sub=f"person-{number}@tradepulse.example") for number in range(12)]
        answers = await asyncio.gather(*(broker.authorize(token) for token in people * 3))
        given = [passed_on(answer) for answer in answers]
    by_person = list(zip(people * 3, given, strict=True))
    assert len({token for _, token in by_person}) == 12
    for person in people:
        assert len({token for who, token in by_person if who == person}) == 1


async def test_a_token_in_the_address_or_twice_in_the_headers_is_refused(world: World) -> None:
    async with world.broker() as broker:
        headers = [("X-TradePulse-Service", "vault"), ("Authorization", f"Bearer {world.own()}")]
        twice = await broker.http.get("/authorize", headers=[*headers, headers[1]])
        assert refusal(twice) == 401
        in_url = await broker.http.get(f"/authorize?access_token={world.own()}", headers=headers)
        assert refusal(in_url) == 401
        services = await broker.http.get("/authorize", headers=[headers[0], *headers])
        assert refusal(services) == 403
        assert (await broker.http.post("/authorize", headers=headers)).status_code == 405


async def test_a_signature_by_a_provider_is_worth_nothing_in_the_name_of_our_realm(world: World) -> None:
    now = int(time.time())
    claims = {"iss": world.issuer, "aud": AUDIENCE, "sub": "x", "azp": "tradepulse-cli", "typ": "Bearer"}
    async with world.broker() as broker:
        assert refusal(await broker.authorize(sign({**claims, "iat": now, "exp": now + 60}))) == 401
        external = sign(
            {"iss": f"{world.place}/workforce", "aud": "tradepulse", "sub": "x", "iat": now, "exp": now + 60},
            key=EC,
            algorithm="ES256",
        )
        assert refusal(await broker.authorize(external)) == 401


async def test_what_was_exchanged_passes_a_sidecar_and_no_broker_that_exchanges(world: World) -> None:
    world.environment["TRADEPULSE_CLIENTS"] = "tradepulse-cli,session-broker"
    exchanged = world.own(azp="session-broker", sid=None)
    async with world.broker() as broker:
        assert refusal(await broker.authorize(exchanged)) == 401
    (world.folder / "access.toml").write_text('[services.vault]\naudience = "tradepulse-internal"\ninternal = true\n')
    async with world.broker() as sidecar:
        assert passed_on(await sidecar.authorize(exchanged)) == exchanged
        assert refusal(await sidecar.authorize(world.own(azp="session-broker", aud="reports"))) == 401
        assert refusal(await sidecar.authorize(world.external())) == 401
    assert world.forms == []
