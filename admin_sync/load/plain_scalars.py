"""What a plain YAML scalar is to every reader, and which ones are not the same to all of them."""

from __future__ import annotations

import re
from typing import Final

from admin_sync.model import Json

_NULL: Final = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEAN: Final = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER: Final = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT: Final = re.compile(r"[-+]?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
# What YAML 1.1 (https://yaml.org/type/) turns into a boolean or a number although it does not look like one here.
_AMBIGUOUS: Final = re.compile(
    r"""(?ix:
      y | n | yes | no | on | off                      # booleans
    | [-+]?0[0-9_]+ | [-+]?0o[0-7_]+ | [-+]?0b[01_]+ | [-+]?0x[0-9a-f_]+    # octal, binary, hexadecimal
    | [-+]?[0-9][0-9_]*_[0-9_]*                        # 1_000
    | [-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?     # sexagesimal
    | [-+]?[0-9][0-9_]*\.[0-9_]*([e][-+]?[0-9]+)?      # 1. and 1_0.5
    | [-+]?\.[0-9][0-9_]*([e][-+]?[0-9]+)?             # .5
    | [-+]?\.inf | \.nan | = | <<
    )"""
)
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?![0-9]).*")


def plain_value(text: str) -> tuple[Json, tuple[str, str] | None]:
    """The value of a scalar without quotes, and the code and message of the finding if it must be refused."""
    if text in _NULL:
        return None, None
    if text in _BOOLEAN:
        return _BOOLEAN[text], None
    if _INTEGER.fullmatch(text) and len(text) <= 18:
        return int(text), None
    if _FLOAT.fullmatch(text):
        number = float(text)
        too_large = _INTEGER.fullmatch(text) or number in (float("inf"), float("-inf"))
        return number, ("number", "the number is too large; put it in quotes if it is a name") if too_large else None
    if _AMBIGUOUS.fullmatch(text):
        message = f"{short(text)} is a boolean or a number to some readers; put it in quotes, or write true or false"
        return text, ("ambiguous", message)
    return text, None


def looks_like_a_date(text: str) -> bool:
    """Whether some readers would make a date of this text."""
    return _DATE.fullmatch(text) is not None


def short(text: str) -> str:
    """A text as a message shows it."""
    return repr(text if len(text) <= 40 else f"{text[:40]}…")
