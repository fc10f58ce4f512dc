"""What a store must say about the present state, so that nobody overwrites what they have not seen.

RFC 9110 section 13: `If-None-Match: *` for the first token set of a connection, `If-Match: "7"` to
replace version 7. `Idempotency-Key` makes a repetition of the same store answer what the first one
did; it is remembered as long as the version it made is the present one.
"""

from __future__ import annotations

import hashlib
import re

from starlette.datastructures import Headers

from identity.problem import Problem
from vault_api.sealing.canonical import canonical

_VERSION = re.compile(r'"([1-9][0-9]{0,17})"\Z')
_KEY = re.compile(r"[\x21-\x7e]{1,255}\Z")


def etag(version: int) -> str:
    """The entity tag of a version."""
    return f'"{version}"'


def expected_version(headers: Headers) -> int:
    """The version a store may replace; 0 when there must be none yet.

    Raises Problem 428 without a condition, 400 for a condition that is none of ours.
    """
    match, none_match = headers.getlist("if-match"), headers.getlist("if-none-match")
    if not match and not none_match:
        raise Problem(
            428,
            "precondition-required",
            "Say which version is to be replaced",
            'Send If-None-Match: * for the first token set, or If-Match: "<version>" as GET shows it in ETag.',
        )
    if none_match == ["*"] and not match:
        return 0
    version = _VERSION.match(match[0]) if len(match) == 1 and not none_match else None
    if version is None:
        raise Problem(
            400,
            "precondition-malformed",
            "The condition cannot be used",
            'Send exactly one of If-None-Match: * and If-Match: "<version>", with one strong entity tag.',
        )
    return int(version[1])


def idempotency_key(headers: Headers, subject: str) -> bytes | None:
    """Thirty-two bytes that stand for this caller's Idempotency-Key, None without one.

    The caller is part of them, so nobody can hit upon somebody else's; and the key itself, which
    could hold anything, is not kept. Raises Problem 400 for one that is not 1 to 255 visible characters.
    """
    given = headers.getlist("idempotency-key")
    if not given:
        return None
    if len(given) != 1 or not _KEY.match(given[0]):
        raise Problem(
            400,
            "idempotency-key-malformed",
            "The Idempotency-Key cannot be used",
            "Send one Idempotency-Key of 1 to 255 visible ASCII characters, for instance a UUID.",
        )
    return hashlib.sha256(canonical(subject.encode(), given[0].encode())).digest()
