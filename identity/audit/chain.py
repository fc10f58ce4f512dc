"""The hash chain of audit lines: `hash = SHA-256(prev ‖ RFC 8785(line without hash))`.

Several chains share one file. A line belongs to the chain of its writer, (source, node), or, for
sources that chain inside a database transaction, of its partner, (source, partner). Every chain
starts at seq 1 with `prev` = `GENESIS`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson
import rfc8785

GENESIS = "0" * 64
"""`prev` of the first line of every chain."""

DATABASE_SOURCES = frozenset({"vault-api", "access"})
"""Sources whose lines are chained per partner, in the transaction of their effect; those without partners have one."""

_HASH = re.compile(r"[0-9a-f]{64}\Z")


class Chain(NamedTuple):
    """Which chain a line belongs to; `key` is a node, or a partner ("" for lines without one)."""

    source: str
    key: str

    def __str__(self) -> str:
        return f"{self.source}/{self.key}"


class Head(NamedTuple):
    """Where a chain stands: the seq and hash of its last line."""

    seq: int
    hash: str


START = Head(0, GENESIS)


def chain_of(record: Mapping[str, Any]) -> Chain:
    """The chain of a line. Raises `ValueError` if the line does not say."""
    source = record.get("source")
    if not isinstance(source, str) or not source:
        raise ValueError("the line names no source")
    key = record.get("partner") or "" if source in DATABASE_SOURCES else record.get("node")
    if not isinstance(key, str) or (not key and source not in DATABASE_SOURCES):
        raise ValueError("the line names no node")
    return Chain(source, key)


def canonical(record: Mapping[str, Any]) -> bytes:
    """The bytes that are hashed: the line without its `hash`, in RFC 8785 form.

    Raises `ValueError` for a record that JSON cannot hold exactly.
    """
    rest = {name: value for name, value in record.items() if name != "hash"}
    if all(map(_is_plain, rest, rest.values())):
        # For ASCII names and no floats orjson's sorted output is RFC 8785, ten times as fast.
        try:
            return orjson.dumps(rest, option=orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER)
        except orjson.JSONEncodeError as error:
            raise ValueError(f"the record cannot be written as JSON: {error}") from None
    return rfc8785.dumps(rest)


def _is_plain(name: str, value: Any) -> bool:
    kind = type(value)
    if kind is list:
        return name.isascii() and all(type(item) is str for item in value)
    return name.isascii() and (value is None or kind is str or kind is int or kind is bool)


def link(prev: str, record: Mapping[str, Any]) -> str:
    """The hash of `record`, which follows the line whose hash is `prev`; 64 hex digits.

    The record carries the same `prev`; one that does not is a mistake of the caller (`ValueError`).
    """
    if record.get("prev") != prev or not _HASH.match(prev):
        raise ValueError("the record does not name the line before it")
    return hashlib.sha256(bytes.fromhex(prev) + canonical(record)).hexdigest()


def follow(head: Head, members: Mapping[str, Any]) -> dict[str, Any]:
    """The complete record of the line after `head`: `members` with seq, prev and hash."""
    record = {"seq": head.seq + 1, **members, "prev": head.hash}
    record["hash"] = link(head.hash, record)
    return record


def head_of(record: Mapping[str, Any]) -> Head:
    """The head that a line claims. Raises `ValueError` if its seq or hash has no proper form."""
    seq, digest = record.get("seq"), record.get("hash")
    if type(seq) is not int or seq < 1:
        raise ValueError("the line has no proper seq")
    if not isinstance(digest, str) or not _HASH.match(digest):
        raise ValueError("the line has no proper hash")
    return Head(seq, digest)
