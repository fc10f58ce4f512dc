"""A binding as YAML in the style of the sample, which the strict loader reads back as the same binding.

What people wrote (a justification) is untrusted: it becomes one double-quoted scalar in which everything
that is not plainly visible is escaped, so it can neither add a line nor look like something else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Final

from admin_sync.load.schema import Binding

_PLAIN: Final = re.compile(r"[A-Za-z][A-Za-z0-9_./+@-]{2,}")
"""Names, addresses and request ids that no reader of YAML takes for anything but text."""

_WORDS: Final = frozenset({"true", "false", "null", "yes", "off"})


def lines(binding: Binding, indent: int) -> list[str]:
    """The lines of a binding as an item of a block list whose dashes stand in column `indent` (from 0)."""
    before = " " * indent
    inner = list(_fields(binding))
    return [f"{before}- {inner[0]}", *(f"{before}  {line}" for line in inner[1:])]


def scalar(text: str) -> str:
    """Text as one YAML scalar."""
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    return "".join(char if char == " " or char.isprintable() else _escaped(char) for char in _quoted(text))


def instant(when: datetime) -> str:
    """An instant in UTC, to the microsecond where it has any."""
    text = when.astimezone(UTC).isoformat()
    return text.replace("+00:00", "Z")


def names(listed: Iterable[str]) -> str:
    """Names as a flow list."""
    return f"[{', '.join(map(scalar, listed))}]"


def harmless(text: str) -> str:
    """What a person wrote, as text that the configuration takes literally.

    `${NAME}` would be filled in from the environment of whoever reads the file, and there is no way to
    escape it, so the two characters are kept apart.
    """
    return " ".join(text.replace("${", "$ {").split())


def _fields(binding: Binding) -> Iterator[str]:
    yield f"subject: {{user: {scalar(binding.subject.user)}}}"
    for name in ("role", "group", "client_role"):
        value = getattr(binding, name)
        if value is not None:
            yield f"{name}: {scalar(value)}"
    yield f"environments: {names(binding.environments)}"
    if binding.expires is not None:
        yield f"expires: {instant(binding.expires)}"
    if binding.request is not None:
        yield f"request: {scalar(binding.request)}"
    if binding.justification is not None:
        yield f"justification: {scalar(binding.justification)}"
    if binding.approvals:
        yield "approvals:"
        for one in binding.approvals:
            yield f"  - {{by: {scalar(one.by)}, as: {scalar(one.capacity)}, at: {instant(one.at)}}}"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _escaped(char: str) -> str:
    code = ord(char)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
