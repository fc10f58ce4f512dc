"""Who is barred and who was an approver, in the text of `role_bindings.yaml`: a line each, the rest byte for byte."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

import yaml

from admin_sync.load.schema import Barred, FormerApprover
from admin_sync.repository.parting import Parts, part
from admin_sync.repository.writing import harmless, instant, names, scalar

_BARRED = "barred"
_FORMER = "former_approvers"


def with_barred(text: str, one: Barred, newline: str) -> str:
    """The file with one more person barred. Raises InvalidInput where the list cannot be edited line by line."""
    reason = "" if one.reason is None else f", reason: {scalar(harmless(one.reason))}"
    return _with(text, _BARRED, f"{{user: {scalar(one.user)}, since: {instant(one.since)}{reason}}}", newline)


def without_barred(text: str, email: str, newline: str) -> str:
    """The file with nobody of that address barred. Raises InvalidInput as `with_barred` does."""
    return _without(text, _BARRED, lambda told: str(told["user"]).lower() == email.lower(), newline)


def with_former(text: str, one: FormerApprover, newline: str) -> str:
    """The file with one more former approver. Raises InvalidInput as `with_barred` does."""
    told = f"user: {scalar(one.user)}, group: {scalar(one.group)}, environments: {names(one.environments)}"
    return _with(text, _FORMER, f"{{{told}, until: {instant(one.until)}}}", newline)


def without_former(text: str, number: int, newline: str) -> str:
    """The file without one former approver, by the place in the list. Raises InvalidInput as `with_barred` does."""
    places = iter(range(number + 1))
    return _without(text, _FORMER, lambda _: next(places, None) == number, newline)


def _with(text: str, key: str, item: str, newline: str) -> str:
    if not _has_list(text, key):
        whole = text if text.endswith("\n") else text + newline
        return f"{whole}{key}:{newline}  - {item}{newline}"
    parts = part(text, key)
    items = [chunk + gap for chunk, gap in parts.items]
    if items and not items[-1].endswith("\n"):
        items[-1] += newline
    return _together(parts, [*items, f"{' ' * parts.indent}- {item}{newline}"], newline)


def _without(text: str, key: str, meant: Callable[[Mapping[str, Any]], bool], newline: str) -> str:
    if not _has_list(text, key):
        return text
    parts = part(text, key)
    told = yaml.safe_load(text)[key]
    kept = [chunk + gap for one, (chunk, gap) in zip(told, parts.items, strict=True) if not meant(one)]
    if len(kept) == len(parts.items):
        return text
    return _together(parts, kept, newline)


def _has_list(text: str, key: str) -> bool:
    root = cast(yaml.MappingNode, yaml.compose(text, Loader=yaml.SafeLoader))
    return any(node.value == key for node, _ in root.value)


def _together(parts: Parts, items: list[str], newline: str) -> str:
    if not items:
        return f"{parts.before} []{parts.after_colon if not parts.items else newline}{parts.rest}"
    colon = parts.after_colon if parts.after_colon.endswith("\n") else parts.after_colon + newline
    return f"{parts.before}{colon}{''.join(items)}{parts.rest}"
