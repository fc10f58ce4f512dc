"""The policy client against a real HTTP server: no answer, half an answer and an old answer are never yes."""

from __future__ import annotations

import json
import threading
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from loopback_server import Answer, answer_json, serving

from identity.decision import parse_answer
from identity.opa import Decision, OpaClient, PolicyUnavailable, StepUp
from identity.outbound import client
from identity.principal import AssuranceLevel, Membership, Principal

NOW = 1_900_000_000


def principal(**changes):
    fields = {
        "subject": "ada-1",
        "email": "Ada@Example.com",
        "kind": "person",
        "environment": "dev",
        "issuer": "http://issuer",
        "client": "tradepulse-cli",
        "groups": frozenset({"viewer", "admin"}),
        "assurance_level": AssuranceLevel.AAL2,
        "acr": "aal2",
        "amr": ("pwd", "hwk"),
        "auth_time": NOW - 5,
        "session": "s",
        "expires_at": NOW + 300,
        "organizations": MappingProxyType(
            {"acme": Membership("acme", "1", frozenset({"partner-trader", "a"}), {"partner-admin": 1_795_446_090})}
        ),
        "token_name": "t",
    }
    return Principal(**{**fields, **changes})


def result(**changes):
    base = {
        "allow": True,
        "reasons": ["role:viewer"],
        "revision": "r1",
        "serial": 1000,
        "valid_until": NOW + 600,
        "step_up": None,
    }
    return {**base, **changes}


def answer(decision_id="d-1", **changes):
    return answer_json({"decision_id": decision_id, "result": result(**changes)})


async def ask(client, permission="vault:release", **more):
    return await client.decide(principal(), permission, environment="dev", partner="acme", **more)


@pytest.fixture
def opa(http, clock):
    def make(server, **options):
        # The server is a thread of this very process, which on a busy machine may wait for a second.
        return OpaClient(http, server.url, clock=clock, **{"timeout": 10.0, **options})

    return make


async def test_the_question_has_the_shape_that_the_policy_is_written_against(opa):
    with serving(lambda _: answer()) as server:
        await ask(opa(server), resource={"connection": "c1"})
    (seen,) = server.seen
    assert (seen.method, seen.path) == ("POST", "/v1/data/tradepulse/authz/decision")
    assert seen.headers["traceparent"].startswith("00-")
    assert json.loads(seen.body) == {
        "input": {
            "environment": "dev",
            "permission": "vault:release",
            "partner": "acme",
            "resource": {"connection": "c1"},
            "subject": {
                "kind": "person",
                "id": "ada-1",
                "email": "Ada@Example.com",
                "environment": "dev",
                "client": "tradepulse-cli",
                "groups": ["admin", "viewer"],
                "assurance_level": "aal2",
                "acr": "aal2",
                "amr": ["pwd", "hwk"],
                "auth_time": NOW - 5,
                "organizations": {"acme": ["a", "partner-trader"]},
                "lent": {"acme": {"partner-admin": 1_795_446_090}},
            },
        }
    }


async def test_a_whole_answer_becomes_a_decision(opa):
    with serving(lambda _: answer(allow=False, step_up={"acr": "aal3", "max_age": 300})) as server:
        decision = await ask(opa(server))
    assert decision == Decision(
        allow=False,
        reasons=("role:viewer",),
        decision_id="d-1",
        revision="r1",
        serial=1000,
        valid_until=NOW + 600,
        step_up=StepUp(AssuranceLevel.AAL3, 300),
    )


def test_a_decision_is_neither_true_nor_false():
    decision = Decision(True, (), "d", "r", 1, NOW)
    with pytest.raises(TypeError, match=r"decision\.allow"):
        bool(decision)
    with pytest.raises(TypeError):
        assert not decision


WRONG = [
    b"{}",
    b"",
    b"null",
    b"[]",
    b"true",
    b'{"result":true,"decision_id":"d"}',
    b'{"result":null,"decision_id":"d"}',
    b'{"result":{},"decision_id":"d"}',
    json.dumps({"result": result()}).encode(),
    json.dumps({"result": result(), "decision_id": ""}).encode(),
    json.dumps({"result": result(), "decision_id": 5}).encode(),
    json.dumps({"result": result(), "decision_id": "d"}).encode()[:-1],
    json.dumps({"result": result(), "decision_id": "d"})
    .replace('"allow": true', '"allow":false,"allow":true')
    .encode(),
    *[
        json.dumps({"result": result(**{name: value}), "decision_id": "d"}).encode()
        for name, value in [
            ("allow", "true"),
            ("allow", 1),
            ("allow", None),
            ("allow", [True]),
            ("reasons", None),
            ("reasons", "role"),
            ("reasons", [1]),
            ("revision", None),
            ("revision", ""),
            ("revision", 7),
            ("serial", None),
            ("serial", "1000"),
            ("serial", 10.5),
            ("serial", -1),
            ("serial", True),
            ("valid_until", None),
            ("valid_until", "tomorrow"),
            ("valid_until", True),
            ("step_up", {"acr": "aal2", "max_age": None}),
        ]
    ],
    *[
        json.dumps({"result": result(allow=False, step_up=value), "decision_id": "d"}).encode()
        for value in (True, {}, {"acr": "aal4", "max_age": 1}, {"acr": "aal2", "max_age": "1"}, {"acr": 2})
    ],
]


@pytest.mark.parametrize("body", WRONG, ids=lambda body: body[:70].decode())
async def test_an_answer_that_is_not_a_whole_decision_is_unavailable_and_not_an_allow(opa, body):
    with serving(lambda _: Answer(200, body)) as server, pytest.raises(PolicyUnavailable):
        await ask(opa(server))


@given(st.binary(max_size=300))
def test_no_answer_makes_the_parser_raise_anything_but_unavailable(body):
    with pytest.raises(PolicyUnavailable):
        parse_answer(body)


@pytest.mark.parametrize("status", [201, 204, 302, 400, 401, 404, 500, 503])
async def test_any_status_but_200_is_unavailable(opa, status):
    body = json.dumps({"decision_id": "d", "result": result()}).encode() if status != 204 else b""
    headers = {"Location": "/x"} if status == 302 else {}
    with serving(lambda _: Answer(status, body, headers)) as server, pytest.raises(PolicyUnavailable):
        await ask(opa(server))


async def test_nobody_listening_is_unavailable(http, clock):
    with pytest.raises(PolicyUnavailable):
        await ask(OpaClient(http, "http://127.0.0.1:1", clock=clock))


async def test_a_policy_engine_that_hangs_is_unavailable_after_the_timeout(opa):
    never = threading.Event()
    with serving(lambda _: answer_json({}, wait=never)) as server:
        try:
            with pytest.raises(PolicyUnavailable, match=r"within 0\.2 s"):
                await ask(opa(server, timeout=0.2))
        finally:
            never.set()


async def test_an_answer_beyond_the_cap_is_unavailable(opa):
    with serving(lambda _: answer(reasons=["x" * 70_000])) as server, pytest.raises(PolicyUnavailable):
        await ask(opa(server))


async def test_a_restarted_policy_engine_fails_no_request(opa):
    answers = iter([Answer(cut=True)])
    with serving(lambda _: next(answers, answer())) as server:
        assert (await ask(opa(server))).allow is True
        assert len(server.seen) == 2


async def test_the_same_question_is_asked_once_within_the_cache_time(opa, clock):
    with serving(lambda _: answer()) as server:
        asked = opa(server, cache_seconds=2)
        first = await ask(asked)
        clock.pass_(1.99)
        assert await ask(asked) is first
        clock.pass_(0.02)
        assert await ask(asked) is not first
        assert len(server.seen) == 2


@pytest.mark.parametrize(
    "other",
    [
        {"permission": "vault:delete"},
        {"partner": "other"},
        {"partner": None},
        {"environment": "prod"},
        {"resource": {"connection": "c2"}},
        {"subject": "eve"},
        {"groups": frozenset()},
        {"assurance_level": AssuranceLevel.AAL1},
        {"auth_time": NOW - 6},
        {"organizations": MappingProxyType({})},
        {"client": "other"},
        {"kind": "service"},
    ],
    ids=lambda other: next(iter(other)),
)
async def test_a_question_that_differs_anywhere_is_another_question(opa, other):
    with serving(lambda _: answer()) as server:
        asked = opa(server)
        base = {"permission": "p", "environment": "dev", "partner": "acme", "resource": {"connection": "c1"}}
        changed = {name: value for name, value in other.items() if name not in base}
        call = {**base, **{name: value for name, value in other.items() if name in base}}
        await asked.decide(principal(), base.pop("permission"), **base)
        await asked.decide(principal(**changed), call.pop("permission"), **call)
        assert len(server.seen) == 2


async def test_a_decision_is_not_used_beyond_its_own_validity(opa, clock):
    with serving(lambda _: answer(valid_until=NOW + 1)) as server:
        asked = opa(server, cache_seconds=60)
        await ask(asked)
        clock.pass_(0.9)
        await ask(asked)
        assert len(server.seen) == 1
        clock.pass_(0.1)
        await ask(asked)
        assert len(server.seen) == 2


async def test_a_clock_set_back_does_not_lengthen_a_decision(opa, clock):
    with serving(lambda _: answer()) as server:
        asked = opa(server, cache_seconds=2)
        await ask(asked)
        clock.pass_(-3600)
        await ask(asked)
        assert len(server.seen) == 2


async def test_an_answer_of_another_revision_empties_the_memory(opa):
    current = {"revision": "r1", "serial": 1}
    with serving(lambda _: answer(**current)) as server:
        asked = opa(server, cache_seconds=60)
        await ask(asked, "a")
        await ask(asked, "a")
        assert len(server.seen) == 1
        current.update(revision="r2", serial=2)
        await ask(asked, "b")
        assert asked.revision == "r2"
        assert (await ask(asked, "a")).revision == "r2"
        assert len(server.seen) == 3


async def test_a_freeze_is_felt_within_the_cache_time(opa, clock):
    current = {"allow": True, "revision": "r1", "serial": 1}
    with serving(lambda _: answer(**current)) as server:
        asked = opa(server, cache_seconds=2)
        assert (await ask(asked)).allow
        current.update(allow=False, revision="frozen", serial=2)
        clock.pass_(2)
        assert not (await ask(asked)).allow


async def test_an_answer_to_another_question_confirms_what_is_remembered(opa, clock):
    with serving(lambda _: answer()) as server:
        asked = opa(server, cache_seconds=60, confirm_seconds=2)
        first = await ask(asked, "a")
        clock.pass_(1.5)
        await ask(asked, "b")
        clock.pass_(1.5)
        assert await ask(asked, "a") is first
        assert len(server.seen) == 2
        clock.pass_(0.5)
        assert await ask(asked, "a") is not first
        assert len(server.seen) == 3


async def test_a_freeze_is_felt_within_the_confirmation_however_long_decisions_are_remembered(opa, clock):
    current = {"allow": True, "revision": "r1", "serial": 1}
    with serving(lambda _: answer(**current)) as server:
        asked = opa(server, cache_seconds=60, confirm_seconds=2)
        assert (await ask(asked)).allow
        current.update(allow=False, revision="frozen", serial=2)
        clock.pass_(2)
        assert not (await ask(asked)).allow


async def test_a_replayed_older_bundle_is_unavailable_and_not_an_allow(opa, clock):
    current = {"revision": "r2", "serial": 2}
    with serving(lambda _: answer(**current)) as server:
        asked = opa(server)
        await ask(asked)
        current.update(revision="r1", serial=1)
        clock.pass_(5)
        with pytest.raises(PolicyUnavailable, match="older"):
            await ask(asked)
        current.update(revision="r3", serial=3)
        assert (await ask(asked)).revision == "r3"


async def test_a_denial_is_remembered_like_an_allow(opa):
    with serving(lambda _: answer(allow=False)) as server:
        asked = opa(server)
        for _ in range(5):
            assert (await ask(asked)).allow is False
        assert len(server.seen) == 1


async def test_a_failure_is_not_remembered(opa):
    answers = iter([Answer(500)])
    with serving(lambda _: next(answers, answer())) as server:
        asked = opa(server)
        with pytest.raises(PolicyUnavailable):
            await ask(asked)
        assert (await ask(asked)).allow


async def test_the_memory_of_decisions_is_bounded(opa):
    with serving(lambda _: answer()) as server:
        asked = opa(server, cache_size=5)
        for number in range(30):
            await ask(asked, f"p{number}")
        assert len(asked._cache) == 5


async def test_text_that_is_no_unicode_is_unavailable_and_no_crash(opa):
    with serving(lambda _: answer()) as server, pytest.raises(PolicyUnavailable):
        await ask(opa(server), resource={"connection": "\ud800"})
    assert server.seen == []


async def test_a_proxy_variable_does_not_reroute_questions(monkeypatch, clock):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    with serving(lambda _: answer()) as server:
        async with client() as http:
            assert (await ask(OpaClient(http, server.url, clock=clock))).allow
