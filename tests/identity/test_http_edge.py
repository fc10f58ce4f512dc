"""The HTTP edge by a real uvicorn: problems, tokens, bodies; nothing that was sent comes back."""

from __future__ import annotations

import io
import json
import logging
from typing import Annotated

import pytest
import structlog
from fastapi import Depends, FastAPI, Header
from loopback_server import answer_json, serving
from pydantic import BaseModel, ConfigDict, field_validator
from served_app import Exchange, raw_exchange, request, served
from starlette.exceptions import HTTPException
from starlette.responses import StreamingResponse
from token_forge import AUDIENCE, ISSUER, NOW, claims, key_set, sign

from identity import problem
from identity.audit.errors import AuditUnavailable
from identity.audit.log import AuditLog
from identity.bearer import Caller
from identity.body import BodyLimit
from identity.decision import Decision, PolicyUnavailable, StepUp
from identity.jwks import JwksCache, KeysUnavailable
from identity.logs import configure
from identity.outbound import client
from identity.principal import AssuranceLevel, Principal
from identity.reject import RejectReason, TokenRejected
from identity.trace import TraceMiddleware
from identity.verify import TokenPolicy, TokenVerifier

CANARY = "canary-5e1f"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


class Item(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    count: int
    tags: dict[str, int] = {}

    @field_validator("name")
    @classmethod
    def _no_canary(cls, value: str) -> str:
        if CANARY in value:
            raise ValueError(f"{value} is not allowed")
        return value


def make_app(verifier: TokenVerifier, audit: AuditLog) -> FastAPI:
    app = FastAPI()
    problem.install(app)
    app.add_middleware(BodyLimit, timeout=0.5)
    app.add_middleware(TraceMiddleware)
    verified = Depends(Caller(verifier, audit))

    @app.get("/me")
    async def get_me(caller: Principal = verified) -> dict[str, str]:
        return {"subject": caller.subject}

    @app.post("/items")
    async def post_item(item: Item) -> dict[str, int]:
        return {"count": item.count}

    @app.post("/echo")
    async def echo(payload: dict[str, object], x_number: Annotated[int, Header()] = 0) -> dict[str, object]:
        return {"payload": payload, "number": x_number}

    raised = {
        "problem": problem.Problem(418, "teapot", "A teapot", "Use a cup.", extra={"cups": 2}, reason=CANARY),
        "unexpected": RuntimeError(CANARY),
        "rejected": TokenRejected(RejectReason.AUDIENCE_REFUSED),
        "keys": KeysUnavailable(10),
        "policy": PolicyUnavailable("no bundle"),
        "audit": AuditUnavailable("no disk"),
        "http": HTTPException(403, detail=CANARY, headers={"X-More": "1"}),
        "forbidden": problem.forbidden(Decision(False, (CANARY,), "d-1", "r", 1, 1)),
        "step-up": problem.step_up_required(Decision(False, (), "d", "r", 1, 1, StepUp(AssuranceLevel.AAL3, 300))),
        "step-up-any-age": problem.step_up_required(StepUp(AssuranceLevel.AAL2, None)),
    }

    @app.get("/raise/{what}")
    async def raise_it(what: str) -> None:
        raise raised[what]

    @app.get("/broken-stream")
    async def broken_stream() -> StreamingResponse:
        async def parts():
            yield b"first"
            raise RuntimeError(CANARY)

        return StreamingResponse(parts())

    return app


@pytest.fixture(scope="module")
def audit_path(tmp_path_factory):
    return tmp_path_factory.mktemp("edge") / "api_events.jsonl"


@pytest.fixture(scope="module")
def logs():
    root = logging.getLogger()
    before = root.handlers[:], root.level
    stream = io.StringIO()
    configure("edge", level="DEBUG", stream=stream)
    yield stream
    structlog.reset_defaults()
    root.handlers, root.level = before


@pytest.fixture(scope="module")
def port(audit_path, logs):
    audit = AuditLog(audit_path, source="edge", node="n")
    with serving(lambda _: answer_json(key_set())) as issuer:
        policy = TokenPolicy(issuer=ISSUER, audience=AUDIENCE, environment="dev", clients=frozenset({"tradepulse-cli"}))
        clock = lambda: NOW  # noqa: E731 - a clock that stands still
        verifier = TokenVerifier(policy, JwksCache(client(), issuer.url, clock=clock), clock)
        with served(make_app(verifier, audit)) as number:
            yield number
    audit.close()


def bearer(token):
    return [("Authorization", f"Bearer {token}")]


def test_a_good_token_reaches_the_handler(port):
    answer = request(port, "GET", "/me", headers=bearer(sign(claims())))
    assert (answer.status, json.loads(answer.body)) == (200, {"subject": "0b9c1d3e-person"})
    assert request(port, "GET", "/me", headers=[("authorization", f"bEARER {sign(claims())}")]).status == 200


REFUSED = {
    "expired": bearer(sign(claims(exp=1))),
    "audience": bearer(sign(claims(aud="other"))),
    "identity token": bearer(sign(claims(typ="ID"))),
    "garbage": bearer("garbage"),
    "two tokens": [*bearer(sign(claims())), *bearer(sign(claims()))],
    "basic": [("Authorization", "Basic dXNlcjpwYXNz")],
    "two in one": bearer(sign(claims()) + ", Bearer " + sign(claims())),
    "no token": [("Authorization", "Bearer ")],
    "two spaces": [("Authorization", "Bearer  " + sign(claims()))],
    "tab": [("Authorization", "Bearer\t" + sign(claims()))],
    "latin-1": [("Authorization", "Bearer caf\xe9")],
}


@pytest.mark.parametrize("case", REFUSED)
def test_every_refused_token_gets_the_same_401(port, case):
    answer = request(port, "GET", "/me", headers=[*REFUSED[case], ("traceparent", f"00-{TRACE}-00f067aa0ba902b7-01")])
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="tradepulse", error="invalid_token"'
    assert answer.problem == {
        "type": "urn:tradepulse:problem:unauthorized",
        "title": "Authentication is required",
        "status": 401,
        "detail": "Send a valid access token for this service in the Authorization header.",
        "trace_id": TRACE,
    }


def test_a_request_without_a_token_is_challenged_without_an_error_code(port):
    answer = request(port, "GET", "/me")
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="tradepulse"'


def test_a_token_in_the_url_is_refused_even_beside_a_good_one(port):
    token = sign(claims())
    assert request(port, "GET", f"/me?access_token={token}").status == 401
    answer = request(port, "GET", f"/me?access_token={token}", headers=bearer(token))
    assert answer.status == 401
    assert token.encode() not in answer.body


def test_a_refused_token_is_recorded_with_its_reason_and_without_the_token(port, audit_path):
    token = sign(claims(aud=f"{CANARY}-audience"))
    request(port, "GET", f"/me?next={CANARY}", headers=bearer(token))
    record = json.loads(audit_path.read_bytes().split(b"\n")[-2])
    assert (record["event"], record["outcome"], record["reason"]) == ("token.rejected", "denied", "audience_refused")
    assert record["action"] == "GET /me"
    assert record["resource"].startswith("token:")
    written = audit_path.read_text("utf-8")
    assert CANARY not in written
    assert token.rpartition(".")[2] not in written


@pytest.mark.parametrize(
    ("what", "status", "slug", "header"),
    [
        ("problem", 418, "teapot", None),
        ("unexpected", 500, "internal-error", None),
        ("rejected", 401, "unauthorized", ("www-authenticate", 'Bearer realm="tradepulse", error="invalid_token"')),
        ("keys", 503, "keys-unavailable", ("retry-after", "10")),
        ("policy", 503, "policy-unavailable", ("retry-after", "2")),
        ("audit", 503, "audit-unavailable", ("retry-after", "5")),
        ("http", 403, "http-403", ("x-more", "1")),
        ("forbidden", 403, "forbidden", None),
    ],
)
def test_every_error_is_a_problem_with_a_trace_id_and_nothing_inside(port, what, status, slug, header):
    answer = request(port, "GET", f"/raise/{what}")
    assert answer.status == status
    assert answer.problem["type"] == f"urn:tradepulse:problem:{slug}"
    assert answer.problem["status"] == status
    assert answer.problem["detail"]
    assert len(answer.problem["trace_id"]) == 32
    assert answer.headers["cache-control"] == "no-store"
    assert CANARY.encode() not in answer.body
    if header is not None:
        assert answer.headers[header[0]] == header[1]


def test_a_denial_carries_the_decision_id(port):
    assert request(port, "GET", "/raise/forbidden").problem["decision_id"] == "d-1"


def test_a_step_up_is_the_challenge_of_rfc_9470(port):
    answer = request(port, "GET", "/raise/step-up")
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == (
        'Bearer realm="tradepulse", error="insufficient_user_authentication", '
        'error_description="A stronger or more recent login is required", acr_values="aal3", max_age="300"'
    )
    assert (answer.problem["acr_values"], answer.problem["max_age"]) == ("aal3", 300)
    assert "max_age" not in request(port, "GET", "/raise/step-up-any-age").headers["www-authenticate"]


def test_a_step_up_that_nobody_asked_for_is_a_mistake():
    with pytest.raises(ValueError, match="no step-up"):
        problem.step_up_required(Decision(False, (), "d", "r", 1, 1))


def test_unknown_addresses_and_methods_are_problems_too(port):
    assert request(port, "GET", f"/{CANARY}").problem["type"] == "urn:tradepulse:problem:not-found"
    answer = request(port, "DELETE", "/items")
    assert (answer.status, answer.headers["allow"]) == (405, "POST")


def post(port, path, body, content_type="application/json", **headers):
    extra = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return request(port, "POST", path, headers=[("Content-Type", content_type), *extra], body=body)


@pytest.mark.parametrize(
    ("body", "location", "code"),
    [
        ({"name": "a", "count": CANARY}, ["body", "count"], "int_parsing"),
        ({"name": CANARY, "count": 1}, ["body", "name"], "value_error"),
        ({"name": "a", "count": 1, CANARY: 1}, ["body", "?"], "extra_forbidden"),
        ({"name": "a", "count": 1, "tags": {CANARY: CANARY}}, ["body", "tags", "?"], "int_parsing"),
        ({"name": [CANARY], "count": 1}, ["body", "name"], "string_type"),
        ([CANARY], ["body"], "model_attributes_type"),
        ({"count": 1}, ["body", "name"], "missing"),
    ],
)
def test_an_invalid_request_is_told_where_but_never_what(port, body, location, code):
    answer = post(port, "/items", json.dumps(body).encode())
    assert answer.status == 422
    assert CANARY.encode() not in answer.body
    assert {"location": location, "code": code} in answer.problem["errors"]


def test_an_invalid_header_is_named_and_not_repeated(port):
    answer = post(port, "/echo", b"{}", x_number=CANARY)
    assert answer.status == 422
    assert CANARY.encode() not in answer.body
    assert answer.problem["errors"][0]["location"] == ["header", "x-number"]


@pytest.mark.parametrize("content_type", ["application/json", "APPLICATION/JSON; charset=utf-8", "application/x+json"])
@pytest.mark.parametrize(
    "body",
    [
        b'{"a":1,"a":2}',
        b'{"a":NaN}',
        b'{"a":"\xff"}',
        b'{"a":"\\ud800"}',
        b'{"a":' * 40 + b"1" + b"}" * 40,
        b"[" * 60_000,
        b'{"a":',
        b'{"a":1e999}',
    ],
    ids=lambda body: repr(body[:16]),
)
def test_json_that_can_be_read_two_ways_is_refused_before_the_handler(port, body, content_type):
    answer = post(port, "/echo", body, content_type)
    assert (answer.status, answer.problem["type"]) == (422, "urn:tradepulse:problem:malformed-json")


def test_a_good_body_arrives_whole(port):
    payload = {"text": "x" * 60_000}
    answer = post(port, "/echo", json.dumps(payload).encode())
    assert json.loads(answer.body)["payload"] == payload


def test_a_body_over_the_cap_is_413_before_it_is_read(port):
    head = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99999999999\r\n\r\n"
    answer = raw_exchange(port, [head])
    assert (answer.status, answer.problem["type"]) == (413, "urn:tradepulse:problem:body-too-large")


def test_a_chunked_body_over_the_cap_is_413(port):
    head = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"4000\r\n" + b"a" * 0x4000 + b"\r\n"
    assert raw_exchange(port, [head, *[chunk] * 5]).status == 413


def test_a_body_that_trickles_is_408(port):
    head = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
    answer = raw_exchange(port, [head, *[b"a"] * 12], pause=0.1)
    assert (answer.status, answer.problem["type"]) == (408, "urn:tradepulse:problem:body-too-slow")


def test_a_response_that_breaks_after_its_start_does_not_end_as_if_it_were_whole(port):
    answer = request(port, "GET", "/broken-stream")
    assert b"first" in answer.body
    assert not answer.body.endswith(b"0\r\n\r\n")
    assert CANARY.encode() not in answer.body


@pytest.mark.parametrize("path", ["/raise/unexpected", "/broken-stream"])
def test_an_unexpected_error_is_logged_with_its_trace_and_without_what_was_sent(port, logs, path):
    before = len(logs.getvalue())
    request(port, "GET", f"{path}?q={CANARY}", headers=[("traceparent", f"00-{TRACE}-00f067aa0ba902b7-01")])
    written = logs.getvalue()[before:]
    assert CANARY not in written
    line = next(line for line in map(json.loads, written.splitlines()) if line["event"] == "request.failed")
    assert line["trace_id"] == TRACE
    assert line["exception"][-1]["type"] == "builtins.RuntimeError"


@pytest.mark.parametrize(
    "given",
    [
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"ff-{TRACE}-00f067aa0ba902b7-01",
        f"00-{TRACE.upper()}-00f067aa0ba902b7-01",
        "nonsense",
        f"00-{TRACE}-00f067aa0ba902b7-01 x",
    ],
)
def test_a_trace_id_that_is_none_is_replaced_and_not_repeated(port, given):
    answer = request(port, "GET", "/raise/problem", headers=[("traceparent", given)])
    assert answer.problem["trace_id"] not in (TRACE, "0" * 32)


def test_the_exchange_reader_reads_headers():
    # A reader that dropped headers would let the assertions above pass on nothing.
    parsed = Exchange(b"HTTP/1.1 401 X\r\nWWW-Authenticate: Bearer\r\n\r\n{}")
    assert (parsed.status, parsed.headers, parsed.body) == (401, {"www-authenticate": "Bearer"}, b"{}")
