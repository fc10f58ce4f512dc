"""Plans and findings as annotations of a workflow run, at the lines that cause them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from admin_sync.errors import Finding
from admin_sync.model import Json
from admin_sync.render.text import described, effect_line

CONFIGURATION = "configs/iam"


def github(views: Sequence[Json], _colour: bool = False) -> str:
    """One annotation for each change, deletions as warnings, and the sum."""
    lines = []
    for one in views:
        for change in one["changes"]:
            level = "warning" if change["action"] == "delete" else "notice"
            created = change["action"] == "create"
            what = "\n".join(f"{item['path']}: {described(item, created=created)}" for item in change["differences"])
            title = f"{one['realm']}: {change['action']} {change['kind']} {change['name']}"
            lines.append(_annotation(level, change["at"], title, what or change["action"]))
        if one["effects"]:
            what = "\n".join(effect_line(effect) for effect in one["effects"])
            lines.append(_annotation("notice", None, f"{one['realm']}: who gains and loses", what))
        lines += [_annotation("warning", None, one["realm"], warning) for warning in one["warnings"]]
    total = {key: sum(one["summary"][key] for one in views) for key in ("add", "change", "destroy")}
    lines.append(f"Plan: {total['add']} to add, {total['change']} to change, {total['destroy']} to destroy.")
    return "\n".join(lines) + "\n"


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
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
