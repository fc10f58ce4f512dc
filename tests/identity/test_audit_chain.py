from __future__ import annotations

import hashlib
import json

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from identity.audit.chain import GENESIS, START, Chain, Head, canonical, chain_of, follow, head_of, link
from identity.audit.event import MAX_TEXT, AuditEvent, event_by
from identity.principal import AssuranceLevel, Principal

TOKEN = "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"


def test_the_hash_is_that_of_the_design():
    record = {"seq": 1, "prev": GENESIS, "source": "s", "node": "n", "b": [1, None, "é"], "a": True}
    expected = hashlib.sha256(bytes(32) + rfc8785.dumps(record)).hexdigest()
    assert link(GENESIS, record) == expected
    assert link(GENESIS, {**record, "hash": "ignored"}) == expected


def test_a_frozen_line_keeps_its_hash():
    # The hash was computed with head, printf and sha256sum alone; a change of the definition fails here.
    record = follow(
        START,
        {
            "time": "2026-01-01T00:00:00.000000Z",
            "node": "n1",
            "source": "test",
            **AuditEvent(event="e", outcome="success", actor="ada", amr=("pwd", "hwk"), key_version=2).record(),
        },
    )
    assert canonical(record).decode() == (
        '{"action":null,"actor":"ada","amr":["pwd","hwk"],"assurance_level":null,"decision_id":null,"event":"e",'
        '"ip":null,"key_version":2,"node":"n1","outcome":"success","partner":null,"prev":"' + GENESIS + '",'
        '"reason":null,"resource":null,"seq":1,"session":null,"source":"test","time":"2026-01-01T00:00:00.000000Z",'
        '"trace_id":null}'
    )
    assert record["hash"] == "f2cefb49df0e50bed10374f767a73fb91c6e8794492b6efa4075e0a452e7a517"


def test_a_record_that_names_another_predecessor_is_not_linked():
    with pytest.raises(ValueError, match="line before"):
        link(GENESIS, {"prev": "1" * 64})
    with pytest.raises(ValueError, match="line before"):
        link("xyz", {"prev": "xyz"})


def test_following_lines_count_up_and_link():
    one = follow(START, {"node": "n", "source": "s"})
    two = follow(head_of(one), {"node": "n", "source": "s"})
    assert (one["seq"], one["prev"]) == (1, GENESIS)
    assert (two["seq"], two["prev"]) == (2, one["hash"])


@pytest.mark.parametrize(
    ("record", "chain"),
    [
        ({"source": "admin-sync", "node": "n", "partner": "acme"}, Chain("admin-sync", "n")),
        ({"source": "vault-api", "node": "n", "partner": "acme"}, Chain("vault-api", "acme")),
        ({"source": "vault-api", "node": "n", "partner": None}, Chain("vault-api", "")),
        ({"source": "vault-api", "node": "n"}, Chain("vault-api", "")),
    ],
)
def test_a_line_belongs_to_its_writers_chain_or_to_its_partners(record, chain):
    assert chain_of(record) == chain


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"source": ""},
        {"source": 1},
        {"source": "s"},
        {"source": "s", "node": 1},
        {"source": "vault-api", "partner": 1},
    ],
)
def test_a_line_that_names_no_chain_is_an_error(record):
    with pytest.raises(ValueError, match="names no"):
        chain_of(record)


@pytest.mark.parametrize(
    "record",
    [{}, {"seq": 0, "hash": GENESIS}, {"seq": True, "hash": GENESIS}, {"seq": 1}, {"seq": 1, "hash": "A" * 64}],
)
def test_a_line_without_a_proper_head_is_an_error(record):
    with pytest.raises(ValueError, match="no proper"):
        head_of(record)


VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text() | st.integers())


@given(st.dictionaries(st.text(), VALUES | st.dictionaries(st.text(), VALUES)))
def test_the_hashed_form_is_always_rfc_8785s_or_refused_alike(record):
    record.pop("hash", None)
    try:
        expected = rfc8785.dumps(record)
    except ValueError:
        with pytest.raises(ValueError):
            canonical(record)
        return
    assert canonical(record) == expected


@pytest.mark.parametrize("value", ["\ud800", 2**53, -(2**60), float("nan"), ["\udc00"], b"bytes", {1: 2}])
def test_what_json_cannot_hold_exactly_is_refused(value):
    with pytest.raises(ValueError):
        canonical({"a": value})


@given(st.dictionaries(st.text(st.characters(max_codepoint=127)), st.none() | st.integers() | st.text()))
def test_the_hashed_form_of_plain_records_is_rfc_8785s_too(record):
    test_the_hashed_form_is_always_rfc_8785s_or_refused_alike.hypothesis.inner_test(record)


@given(st.text(), st.text())
def test_any_text_can_be_recorded_and_stays_on_one_line(actor, resource):
    record = follow(
        START,
        {"node": "n", "source": "s", **AuditEvent(event="e", outcome="o", actor=actor, resource=resource).record()},
    )
    line = json.dumps(record, ensure_ascii=False).encode("utf-8")
    assert b"\n" not in line
    assert link(GENESIS, json.loads(line)) == record["hash"]


@pytest.mark.parametrize(
    "text",
    [
        TOKEN,
        f"GET /?access_token={TOKEN}",
        f"Bearer {TOKEN}",
        "authorization: Bearer abcdefgh12345678",
        "postgresql://app:hunter2hunter2@db/vault",
        "https://x/cb?code=hunter2hunter2&state=hunter2hunter2",
        "-----BEGIN PRIVATE KEY-----\nhunter2hunter2\n-----END PRIVATE KEY-----",
        "-----BEGIN EC PRIVATE KEY-----hunter2hunter2",
        "client_secret=hunter2hunter2",
    ],
)
def test_an_event_cannot_carry_what_looks_like_a_secret(text):
    event = AuditEvent(event=text, outcome="o", actor=text, resource=text, reason=text, amr=(text,))
    written = json.dumps(event.record())
    assert "hunter2" not in written
    assert "c2lnbmF0dXJl" not in written
    assert "abcdefgh12345678" not in written


def test_long_text_is_cut_and_marked():
    event = AuditEvent(event="e", outcome="o", resource="x" * 10_000)
    assert event.resource == "x" * MAX_TEXT + "…"


def test_an_event_by_a_caller_says_who_and_how_strongly():
    person = Principal(
        subject="1",
        email="ada@example.com",
        kind="person",
        environment="dev",
        issuer="i",
        client="c",
        groups=frozenset(),
        assurance_level=AssuranceLevel.AAL3,
        acr="aal3",
        amr=("hwk",),
        auth_time=1,
        session="s1",
        expires_at=2,
        token_name="t",
    )
    event = event_by(person, "credential.released", "success", partner="acme", trace_id="abc")
    assert (event.actor, event.session, event.assurance_level, event.amr) == ("ada@example.com", "s1", "aal3", ("hwk",))
    assert (event.partner, event.trace_id) == ("acme", "abc")
    assert len(event_by(person, "e", "o").trace_id) == 32


def test_the_head_of_nothing_is_genesis():
    assert Head(0, GENESIS) == START
