"""JSON that means one thing: what two parsers could read differently is refused.

Python's own parser keeps the last of two equal keys, accepts `NaN`, turns `1e999` into infinity and
recurses as deep as its input asks. A token or a request that one part of a system reads differently
from another is an attack on the difference, so every untrusted document comes through here
(RFC 8259 section 4, RFC 7493 "I-JSON").
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn

MAX_BYTES = 65_536
MAX_DEPTH = 32

_MAX_SAFE_INTEGER = 2**53 - 1

# A string, closed or not, in one linear pass: the possessive quantifiers never give back, and an
# unclosed string is consumed to the end of the text, so no input makes this quadratic.
_STRING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
_BRACKET = re.compile(r"[\[\]{}]")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class StrictJsonError(ValueError):
    """The document is not JSON that means one thing. The text never repeats the document."""


def loads(data: bytes, *, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH) -> Any:
    """Parse `data` (UTF-8, no byte-order mark) into dict, list, str, int, float, bool or None.

    Raises `StrictJsonError` for more than `max_bytes` bytes, nesting beyond `max_depth`, invalid
    UTF-8, a lone surrogate, a duplicate key, `NaN` or infinity in any spelling, an integer that a
    double cannot hold exactly, and anything that is not JSON.
    """
    if len(data) > max_bytes:
        raise StrictJsonError(f"the document is longer than {max_bytes} bytes")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise StrictJsonError("the document is not valid UTF-8") from None
    _check_depth(text, max_depth)
    try:
        value = json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_constant,
            parse_float=_float,
            parse_int=_int,
        )
    except StrictJsonError:
        raise
    except (ValueError, RecursionError):
        # The library's message quotes nothing but a position, yet the chained exception holds the
        # whole document, which would reach a traceback; hence "from None".
        raise StrictJsonError("the document is not valid JSON") from None
    if _SURROGATE.search(text):
        _check_unicode(value)
    return value


def loads_object(data: bytes, *, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH) -> dict[str, Any]:
    """Like `loads`, for documents that must be one object."""
    value = loads(data, max_bytes=max_bytes, max_depth=max_depth)
    if not isinstance(value, dict):
        raise StrictJsonError("the document is not a JSON object")
    return value


def _check_depth(text: str, max_depth: int) -> None:
    """Count brackets outside strings before the parser sees them, so that it never recurses deep."""
    depth = 0
    for match in _BRACKET.finditer(_STRING.sub("", text)):
        if match.group() in "[{":
            depth += 1
            if depth > max_depth:
                raise StrictJsonError(f"the document is nested deeper than {max_depth} levels")
        else:
            depth -= 1


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise StrictJsonError("an object holds the same key twice")
    return value


def _constant(_: str) -> NoReturn:
    raise StrictJsonError("NaN and Infinity are not JSON")


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise StrictJsonError("a number is beyond the range of a double")
    return value


def _int(text: str) -> int:
    # The length is checked first: converting a million digits takes quadratic time.
    if len(text) > len(str(-_MAX_SAFE_INTEGER)) or abs(int(text)) > _MAX_SAFE_INTEGER:
        raise StrictJsonError("an integer is beyond what a double holds exactly")
    return int(text)


def _check_unicode(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise StrictJsonError("a string holds half of a surrogate pair") from None
