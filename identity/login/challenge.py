"""A service's demand for a stronger or fresher login, read from its answer (RFC 9470, section 3; RFC 9110)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from identity.login.registration import Wanted
from identity.principal import AssuranceLevel

_MAX_HEADER: Final = 4096
_LONGEST_AGE: Final = 10 * 365 * 86_400

# A scheme, or one parameter of the scheme before it; the quantifiers never give back, so no header is slow to read.
_PIECE: Final = re.compile(
    r"""[\s,]*+(?:(?P<name>[A-Za-z0-9!#$%&'*+.^_`|~-]++)\s*+=\s*+
            (?:"(?P<quoted>(?:[^"\\]|\\.)*+)"|(?P<token>[A-Za-z0-9!#$%&'*+.^_`|~-]++))
        |(?P<scheme>[A-Za-z0-9-]++)(?=[\s,]|\Z))""",
    re.VERBOSE,
)


def parameters(header: str) -> Mapping[str, str]:
    """The parameters of the Bearer challenge in a WWW-Authenticate header; empty where there is none to be read.

    A parameter that comes twice, or anything that is no challenge, makes all of it unreadable.
    """
    found: dict[str, str] = {}
    scheme = ""
    position = 0
    text = header.strip()
    if len(text) > _MAX_HEADER:
        return {}
    while position < len(text):
        piece = _PIECE.match(text, position)
        if piece is None or piece.end() == position:
            return {}
        position = piece.end()
        if piece["scheme"] is not None:
            scheme = piece["scheme"].lower()
        elif scheme == "bearer":
            name = piece["name"].lower()
            quoted = piece["quoted"]
            if name in found:
                return {}
            found[name] = piece["token"] if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
    return found


def demand(header: str) -> Wanted | None:
    """What a challenge wants proved, None if it is not such a challenge or names no level that there is."""
    said = parameters(header)
    if said.get("error") != "insufficient_user_authentication":
        return None
    return wanted(said.get("acr_values", ""), said.get("max_age"))


def wanted(acr_values: str, max_age: str | int | None) -> Wanted | None:
    """The first level that we know among those that a service would take, and the age it allows.

    None where neither says anything: there is nothing to ask of a person then.
    """
    known = {level.value: level for level in AssuranceLevel}
    level = next((known[one] for one in acr_values.split() if one in known), None)
    text = "" if max_age is None else str(max_age)
    age = int(text) if text.isascii() and text.isdigit() and len(text) < 12 and int(text) <= _LONGEST_AGE else None
    return None if level is None and age is None else Wanted(level, age)
