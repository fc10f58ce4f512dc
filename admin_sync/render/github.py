"""Plans and findings as annotations of a workflow run, at the lines that cause them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from admin_sync.errors import Finding
from admin_sync.model import Json, printable
from admin_sync.render.text import described, effect_line, rule_line, undeclared_line
from admin_sync.render.view import summed

CONFIGURATION = "configs/iam"


def github(views: Sequence[Json], _colour: bool = False, directory: str = CONFIGURATION) -> str:
    """One annotation for each change at its origin, deletions and losses as warnings, and the sum."""
    lines = []
    for one in views:
        realm = one["realm"]
        for change in one["changes"]:
            level = "warning" if change["action"] == "delete" else "notice"
            created = change["action"] == "create"
            what = "\n".join(f"{item['path']}: {described(item, created=created)}" for item in change["differences"])
            title = f"{realm}: {change['action']} {change['kind']} {change['name']}"
            lines.append(_annotation(level, change["at"], title, what or change["action"], directory))
        for at, effects in _by_origin(one["effects"]):
            level = "warning" if any(effect["effect"] == "loses" for effect in effects) else "notice"
            what = "\n".join(effect_line(effect) for effect in effects)
            lines.append(_annotation(level, at, f"{realm}: who gains and loses", what, directory))
        if one["rules_changed"]:
            what = "\n".join(map(rule_line, one["rules_changed"]))
            lines.append(_annotation("notice", None, f"{realm}: decided otherwise", what))
        if one["undeclared"]:
            what = "\n".join(map(undeclared_line, one["undeclared"]))
            lines.append(_annotation("warning", None, f"{realm}: undeclared", what))
        lines += [_annotation("warning", None, realm, warning) for warning in one["warnings"]]
    total = summed(views)
    lines.append(f"Plan: {total['add']} to add, {total['change']} to change, {total['destroy']} to destroy.")
    return "\n".join(lines) + "\n"


def _by_origin(effects: Iterable[Json]) -> list[tuple[str | None, list[Json]]]:
    found: dict[str | None, list[Json]] = {}
    for effect in effects:
        found.setdefault(effect["at"], []).append(effect)
    return list(found.items())


def located(findings: Iterable[Finding], directory: str = CONFIGURATION) -> str:
    """Findings as errors at their places."""
    lines = [
        _annotation("error", f"{one.file}:{one.line}:{one.column}", one.code, one.message, directory)
        for one in findings
    ]
    return "".join(f"{line}\n" for line in lines)


def _annotation(level: str, at: str | None, title: str, message: str, directory: str = CONFIGURATION) -> str:
    place = ""
    if at is not None:
        file, line, column = at.rsplit(":", 2)
        place = f"file={_property(f'{directory}/{file}')},line={line},col={column},"
    return f"::{level} {place}title={_property(title)}::{_data(message)}"


def _data(text: str) -> str:
    # Line ends of other alphabets' making start no command, and still have no business in one.
    shown = "\n".join(printable(line) for line in text.split("\n"))
    return shown.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
