from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity.strict_json import StrictJsonError, loads, loads_object

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner)
    ),
    max_leaves=20,
)


@given(JSON)
def test_every_json_value_that_is_unambiguous_is_read_as_the_standard_library_reads_it(value):
    assert loads(json.dumps(value).encode()) == value
    assert loads(json.dumps(value, ensure_ascii=False).encode()) == value


@given(st.binary(max_size=200))
def test_no_bytes_make_it_raise_anything_but_its_own_error(data):
    try:
        ours = loads(data)
    except StrictJsonError:
        return
    assert ours == json.loads(data)


@pytest.mark.parametrize(
    "document",
    [
        b'{"a":1,"a":2}',
        b'{"a":1,"\\u0061":2}',
        b'{"outer":{"a":1,"b":2,"a":1}}',
        b"NaN",
        b"[Infinity]",
        b"-Infinity",
        b"1e999",
        b"-1e999",
        b"9007199254740992",
        b"9" * 5000,
        b'"\\ud800"',
        b'{"\\udc00":1}',
        b'"\xff"',
        b"\xef\xbb\xbf{}",
        b'"\xed\xa0\x80"',
        b"",
        b"{}{}",
        b"{'a':1}",
        b'{"a":1,}',
        b'"line\nbreak"',
        b"[" * 33 + b"]" * 33,
        b'{"a":' * 50_00 + b"1" + b"}" * 50_00,
        b"[" * 60_000,
    ],
    ids=lambda document: repr(document[:24]),
)
def test_a_document_that_two_parsers_could_read_differently_is_refused(document):
    with pytest.raises(StrictJsonError):
        loads(document)


def test_a_document_over_the_cap_is_refused_before_it_is_parsed():
    with pytest.raises(StrictJsonError, match="longer than 10 bytes"):
        loads(b'"' + b"a" * 10 + b'"', max_bytes=10)


def test_brackets_inside_strings_are_not_depth():
    assert loads(json.dumps("[{" * 500).encode()) == "[{" * 500
    assert loads(b'["\\"[[[[", "\\\\"]', max_depth=1) == ['"[[[[', "\\"]


@pytest.mark.parametrize("part", [b'\\"', b'"', b"\\", b'"\\', b"[", b'"['])
def test_no_repeated_pattern_takes_more_than_linear_time(part):
    document = (b'"' + part * 100_000)[: 4 * 65_536]
    started = time.perf_counter()
    with pytest.raises(StrictJsonError):
        loads(document, max_bytes=len(document))
    assert time.perf_counter() - started < 1


def test_the_error_does_not_repeat_the_document():
    for document in (b'{"canary-123":1,"canary-123":2}', b'{"canary-123"', b'"canary-123\xff"'):
        with pytest.raises(StrictJsonError) as caught:
            loads(document)
        assert "canary" not in str(caught.value)
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_only_an_object_passes_where_an_object_is_needed():
    with pytest.raises(StrictJsonError, match="not a JSON object"):
        loads_object(b"[]")
