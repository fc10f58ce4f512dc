"""Who is barred, in the text of `role_bindings.yaml`: one line for each person, everything else byte for byte."""

from __future__ import annotations

from typing import cast

import yaml

from admin_sync.load.schema import Barred
from admin_sync.repository.parting import Parts, part
from admin_sync.repository.writing import harmless, instant, scalar

_KEY = "barred"


def with_barred(text: str, one: Barred, newline: str) -> str:
    """The file with one more person barred. Raises InvalidInput where the list cannot be edited line by line."""
    if not _has_list(text):
        whole = text if text.endswith("\n") else text + newline
        return f"{whole}{_KEY}:{newline}{_line(one, 2)}{newline}"
    parts = part(text, _KEY)
    items = [chunk + gap for chunk, gap in parts.items]
    if items and not items[-1].endswith("\n"):
        items[-1] += newline
    return _together(parts, [*items, f"{_line(one, parts.indent)}{newline}"], newline)


def without_barred(text: str, email: str, newline: str) -> str:
    """The file with nobody of that address barred. Raises InvalidInput as `with_barred` does."""
    if not _has_list(text):
        return text
    parts = part(text, _KEY)
    named = [str(one["user"]).lower() for one in yaml.safe_load(text)[_KEY]]
    kept = [chunk + gap for name, (chunk, gap) in zip(named, parts.items, strict=True) if name != email.lower()]
    if len(kept) == len(parts.items):
        return text
    return _together(parts, kept, newline)


def _has_list(text: str) -> bool:
    root = cast(yaml.MappingNode, yaml.compose(text, Loader=yaml.SafeLoader))
    return any(key.value == _KEY for key, _ in root.value)


def _together(parts: Parts, items: list[str], newline: str) -> str:
    if not items:
        return f"{parts.before} []{parts.after_colon if not parts.items else newline}{parts.rest}"
    colon = parts.after_colon if parts.after_colon.endswith("\n") else parts.after_colon + newline
    return f"{parts.before}{colon}{''.join(items)}{parts.rest}"


def _line(one: Barred, indent: int) -> str:
    reason = "" if one.reason is None else f", reason: {scalar(harmless(one.reason))}"
    return f"{' ' * indent}- {{user: {scalar(one.user)}, since: {instant(one.since)}{reason}}}"
