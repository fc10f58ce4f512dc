from __future__ import annotations

import io
import json
import logging

import httpx
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from loopback_server import answer_json, serving

from identity.logs import configure, redact
from identity.redact import redact_text
from identity.secret import SecretUnreadable

CANARY = "canary-b0a7"
TOKEN = "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"


@pytest.fixture
def stream():
    root = logging.getLogger()
    before = root.handlers[:], root.level
    captured = io.StringIO()
    configure("vault-api", level="DEBUG", stream=captured)
    yield captured
    structlog.reset_defaults()
    root.handlers, root.level = before


def written(stream):
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_json_with_what_finds_it_again(stream):
    structlog.get_logger("x").info("thing.done", partner="acme", count=3)
    logging.getLogger("library").warning("something %s", "odd")
    first, second = written(stream)
    assert first["event"] == "thing.done"
    assert (first["service"], first["level"], first["partner"], first["count"]) == ("vault-api", "info", "acme", 3)
    assert first["timestamp"].endswith("Z")
    assert (second["event"], second["logger"], second["level"]) == ("something odd", "library", "warning")


SECRET_KEYS = [
    "authorization",
    "Authorization",
    "cookie",
    "set-cookie",
    "token",
    "access_token",
    "refreshToken",
    "client_secret",
    "clientSecret",
    "password",
    "db_password",
    "client_assertion",
    "private_key",
    "api_key",
    "apiKey",
    "code",
    "code_verifier",
    "state",
    "otp",
    "salt",
    "plaintext",
    "credential",
    "credentials",
]


@pytest.mark.parametrize("key", SECRET_KEYS)
def test_a_value_whose_key_names_a_secret_is_masked_at_any_depth(stream, key):
    structlog.get_logger().warning("e", **{key: CANARY}, nested={"a": [{key: {"x": CANARY}}]})
    assert CANARY not in stream.getvalue()
    assert key in written(stream)[0]


@pytest.mark.parametrize("key", ["headers", "body", "payload", "form", "Headers"])
def test_request_headers_and_bodies_are_dropped(stream, key):
    structlog.get_logger().warning("e", **{key: {"x": CANARY}}, request={key: CANARY})
    assert CANARY not in stream.getvalue()


@pytest.mark.parametrize("key", ["status_code", "token_name", "token_type", "key_version", "partner", "passed"])
def test_harmless_keys_stay_readable(stream, key):
    structlog.get_logger().warning("e", **{key: "value-1"})
    assert written(stream)[0][key] == "value-1"


def test_a_token_is_masked_wherever_it_stands(stream):
    log = structlog.get_logger()
    log.warning(f"got {TOKEN}", note=f"x {TOKEN} y", items=[TOKEN], mapping={TOKEN: 1}, thing=object())
    logging.getLogger("lib").error("Bearer %s", TOKEN)
    assert "c2lnbmF0dXJl" not in stream.getvalue()


@given(st.text(), st.text())
def test_a_token_is_masked_in_any_surroundings(before, after):
    assert "c2lnbmF0dXJl" not in redact_text(f"{before} {TOKEN} {after}")


def test_the_message_and_the_variables_of_a_foreign_error_are_withheld(stream):
    def deep(secret):
        local = secret + "!"
        raise ValueError(f"invalid literal {local}")

    try:
        try:
            deep(CANARY)
        except ValueError as error:
            raise KeyError(CANARY) from error
    except KeyError:
        structlog.get_logger().exception("failed")
        logging.getLogger("library").exception("failed too")
    assert CANARY not in stream.getvalue()
    for line in written(stream):
        assert [error["type"] for error in line["exception"]] == ["builtins.KeyError", "builtins.ValueError"]
        assert "deep" in json.dumps(line["exception"])


def test_the_message_of_our_own_error_is_kept(stream):
    try:
        raise SecretUnreadable("X_FILE: cannot read /x")
    except SecretUnreadable:
        structlog.get_logger().exception("failed")
    assert written(stream)[0]["exception"][0]["message"] == "X_FILE: cannot read /x"


async def test_the_http_client_does_not_log_what_it_calls(stream, http):
    with serving(lambda _: answer_json({})) as server:
        await http.get(f"{server.url}/?x={CANARY}")
        async with httpx.AsyncClient() as other:
            await other.get(f"{server.url}/?x={CANARY}")
    assert CANARY not in stream.getvalue()


def test_uvicorns_access_log_is_off(stream):
    logging.getLogger("uvicorn.access").info("GET /cb?code=%s", CANARY)
    assert stream.getvalue() == ""


def test_newlines_do_not_make_a_second_line(stream):
    structlog.get_logger().info('a\n{"event":"forged"}\r\n', x="\x00\x1b")
    assert len(stream.getvalue().splitlines()) == 1


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=10,
    )
)
def test_no_value_makes_the_processor_fail(value):
    assert "x" in redact(None, "info", {"x": value})


def test_a_value_that_contains_itself_ends(stream):
    loop: list[object] = []
    loop.append(loop)
    structlog.get_logger().info("e", loop=loop)
    assert len(written(stream)) == 1
