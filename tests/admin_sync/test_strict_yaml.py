"""What the strict reader refuses, where it says so, and that it is bounded."""

from __future__ import annotations

import resource
import time

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from admin_sync.errors import InvalidInput
from admin_sync.load.strict_yaml import MAX_BYTES, parse


def refused(raw: str | bytes) -> list[str]:
    """`line:column: code` of every finding."""
    with pytest.raises(InvalidInput) as caught:
        parse(raw.encode() if isinstance(raw, str) else raw, "roles.yaml")
    return [f"{one.line}:{one.column}: {one.code}" for one in caught.value.findings]


@pytest.mark.parametrize(
    ("raw", "finding"),
    [
        ("version: 1\nroles:\n  a: 1\n  a: 2\n", "4:3: duplicate-key"),
        ("roles: {a: 1, b: 2, a: 3}\n", "1:21: duplicate-key"),
        ("a: &x [1]\n", "1:4: anchor"),
        ("a: *x\n", "1:4: alias"),
        ("<<: {a: 1}\n", "1:1: merge-key"),
        ("a: !!str 1\n", "1:4: tag"),
        ("a: ! 1\n", "1:4: tag"),
        ("a: !!python/object/apply:os.system [id]\n", "1:4: tag"),
        ("a: b\0c\n", "1:5: control-character"),
        ("a: \x1b[31m\n", "1:4: control-character"),
        ("# note\x85a: 1\n", "1:7: control-character"),
        ("# note\ra: 1\n", "1:7: control-character"),
        ("# note\u2028a: 1\n", "1:7: control-character"),
        ("a: b\u202ec\n", "1:5: control-character"),
        ("a:\n\tb: 1\n", "2:1: tab"),
        ("a:\tb\n", "1:3: tab"),
        ("a: 1\n---\nb: 2\n", "2:1: documents"),
        ("%YAML 1.1\n---\na: 1\n", "1:1: directive"),
        ("roles: [yes]\n", "1:9: ambiguous"),
        ("roles: [viewer, no]\n", "1:17: ambiguous"),
        ("on: 1\n", "1:1: ambiguous"),
        ("a: 0777\n", "1:4: ambiguous"),
        ("a: 0x1f\n", "1:4: ambiguous"),
        ("a: 1_000\n", "1:4: ambiguous"),
        ("a: 22:30\n", "1:4: ambiguous"),
        ("a: .inf\n", "1:4: ambiguous"),
        ("1: a\n", "1:1: key-type"),
        ("true: a\n", "1:1: key-type"),
        ("~: a\n", "1:1: key-type"),
        ("2026-01-01: a\n", "1:1: key-type"),
        ("? [a]\n: 1\n", "1:3: key-type"),
        ("a: 99999999999999999999\n", "1:4: number"),
        ("a: 1e999\n", "1:4: number"),
        ("a: [1,\n", "2:1: syntax"),
        ("a: 'b\n", "2:1: syntax"),
        ("", "1:1: empty-file"),
        ("# nothing\n", "1:1: empty-file"),
        ("---\n", "1:1: empty-file"),
    ],
)
def test_what_could_mean_two_things_is_refused_at_its_place(raw: str, finding: str) -> None:
    assert finding in refused(raw)


@pytest.mark.parametrize(
    ("raw", "finding"),
    [
        (b"\xef\xbb\xbfa: 1\n", "1:1: byte-order-mark"),
        ("a: 1\n".encode("utf-16"), "1:1: byte-order-mark"),
        (b"a: 1\nb: x\xff\n", "2:5: not-utf-8"),
        ("ä: \xe4\n".encode("latin-1"), "1:1: not-utf-8"),
        (b"a" * (MAX_BYTES + 1), "1:1: too-large"),
    ],
)
def test_bytes_that_are_not_plain_utf_8_are_refused(raw: bytes, finding: str) -> None:
    assert refused(raw) == [finding]


def test_every_local_mistake_of_a_file_is_found_in_one_run() -> None:
    assert refused("a: yes\nb: {c: 1, c: 2}\nb: 3\n1: 4\n") == [
        "1:4: ambiguous",
        "2:11: duplicate-key",
        "3:1: duplicate-key",
        "4:1: key-type",
    ]


def test_scalars_are_those_of_yaml_1_2_and_dates_stay_text() -> None:
    source = parse(b'a: [true, null, 7, -7, 1.5, "yes", \'0777\', 2027-01-31T18:00:00Z, viewer, "", ~]\n', "f.yaml")
    assert source.data == {"a": [True, None, 7, -7, 1.5, "yes", "0777", "2027-01-31T18:00:00Z", "viewer", "", None]}


def test_every_value_knows_its_place_and_a_missing_one_its_parents() -> None:
    source = parse(b"roles:\n  viewer:\n    permissions: [a:b, c:d]\n", "roles.yaml")
    assert str(source.position(("roles", "viewer", "permissions", 1))) == "roles.yaml:3:24"
    assert str(source.position(("roles", "viewer"), key=True)) == "roles.yaml:2:3"
    assert str(source.position(("roles", "viewer", "owners"))) == "roles.yaml:2:3"


def _bomb() -> bytes:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    return "\n".join(lines).encode()


@pytest.mark.parametrize(
    ("raw", "finding"),
    [
        (_bomb(), "1:5: anchor"),
        (b"[" * 5000, "1:51: too-deep"),
        (b"{a: " * 5000, "1:201: too-deep"),
        (b"\n".join(b" " * n + b"a:" for n in range(3000)), "51:51: too-deep"),
        (b"- " * 100_000, "1:101: too-deep"),
        (b"a: b\n" * 10_000_000, "1:1: too-large"),
    ],
    ids=["alias bomb", "nested lists", "nested mappings", "nested blocks", "nested dashes", "50 MB"],
)
def test_a_bomb_ends_within_a_second_with_flat_memory(raw: bytes, finding: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.monotonic()
    assert refused(raw) == [finding]
    assert time.monotonic() - start < 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024


_plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**15), 10**15)
    | st.text(st.characters(codec="ascii", categories=["L", "N", "P", "Z"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abcdef", min_size=1), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text("abcdef", min_size=1), _plain, min_size=1))
def test_what_is_written_with_quotes_is_read_as_it_was(value: dict[str, object]) -> None:
    raw = yaml.safe_dump(value, default_style='"', allow_unicode=True).encode()
    raw = raw.replace(b'!!int "', b'"').replace(b'!!null "', b'"').replace(b'!!bool "', b'"')

    def as_text(one: object) -> object:
        match one:
            case dict():
                return {key: as_text(inner) for key, inner in one.items()}
            case list():
                return [as_text(inner) for inner in one]
            case None:
                return "null"
            case bool():
                return str(one).lower()
            case _:
                return str(one)

    assert parse(raw, "f.yaml").data == as_text(value)


@given(st.binary(max_size=300))
@settings(max_examples=500)
def test_no_bytes_raise_anything_but_findings(raw: bytes) -> None:
    try:
        parse(raw, "f.yaml")
    except InvalidInput as problem:
        findings = problem.findings
    else:
        return
    assert all(one.line >= 1 and one.column >= 1 for one in findings)


@given(st.text("abc:-[]{}&*!|>'\"%@`#, \n?~<", max_size=80))
@settings(max_examples=500)
def test_what_is_accepted_is_what_pyyaml_reads_too(text: str) -> None:
    try:
        ours = parse(text.encode(), "f.yaml").data
    except InvalidInput:
        return
    assert ours == yaml.load(text, yaml.CSafeLoader)
