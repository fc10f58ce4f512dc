"""A session opens with its browser's secret and with nothing else."""

from __future__ import annotations

import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workspace.session.seal import DoesNotOpen, Handle

SECRET = bytes(range(32))


def test_what_was_sealed_opens_again_and_never_looks_the_same() -> None:
    handle = Handle.of(SECRET, "session")
    first, second = handle.seal(b"tokens"), handle.seal(b"tokens")
    assert first != second
    assert handle.open(first) == handle.open(second) == b"tokens"
    assert b"tokens" not in first


@given(st.integers(min_value=0), st.integers(min_value=1, max_value=255))
def test_a_byte_that_changed_keeps_it_shut(place: int, mask: int) -> None:
    handle = Handle.of(SECRET, "session")
    sealed = bytearray(handle.seal(b"tokens"))
    sealed[place % len(sealed)] ^= mask
    with pytest.raises(DoesNotOpen):
        handle.open(bytes(sealed))


def test_another_secret_or_another_purpose_does_not_open_it() -> None:
    sealed = Handle.of(SECRET, "session").seal(b"tokens")
    for other in (Handle.of(secrets.token_bytes(32), "session"), Handle.of(SECRET, "login")):
        assert other.id != Handle.of(SECRET, "session").id
        with pytest.raises(DoesNotOpen):
            other.open(sealed)


def test_a_row_in_the_place_of_another_does_not_open() -> None:
    # The same key with another name: what whoever writes to the database could make.
    handle = Handle.of(SECRET, "session")
    moved = Handle(bytes(32), handle._key)
    with pytest.raises(DoesNotOpen):
        moved.open(handle.seal(b"tokens"))


@pytest.mark.parametrize("sealed", [b"", b"\x01", b"\x02" + bytes(40), bytes(13)])
def test_what_is_no_row_of_ours_does_not_open(sealed: bytes) -> None:
    with pytest.raises(DoesNotOpen):
        Handle.of(SECRET, "session").open(sealed)


def test_a_short_secret_is_none_and_no_secret_is_shown() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Handle.of(b"short", "session")
    handle = Handle.of(SECRET, "session")
    assert handle._key.hex() not in repr(handle)
    assert repr(handle._key) not in repr(handle)
