"""Plans for a pull request: tables, with what is long folded away."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from admin_sync.model import Json, printable
from admin_sync.render.text import described

_SIGNS = {"create": "`+`", "update": "`~`", "delete": "`-`"}


def markdown(views: Sequence[Json], _colour: bool = False) -> str:
    """The plans of several environments as GitHub-flavoured Markdown."""
    total = {key: sum(one["summary"][key] for one in views) for key in ("add", "change", "destroy")}
    lines = ["## Plan", ""]
    lines += [f"**Plan: {total['add']} to add, {total['change']} to change, {total['destroy']} to destroy.**", ""]
    for one in views:
        lines += _environment(one)
    return "\n".join(lines).rstrip() + "\n"


def _environment(one: Json) -> Iterator[str]:
    yield from (f"### {one['realm']}", "")
    if not one["changes"]:
        yield from ("Nothing to change.", "")
    else:
        yield from ("| | object | what |", "| --- | --- | --- |")
        for change in one["changes"]:
            created = change["action"] == "create"
            what = "<br>".join(
                f"{_cell(item['path'])}: {_cell(described(item, created=created))}" for item in change["differences"]
            )
            name = f"{change['kind']} {_cell(change['name'])}"
            yield f"| {_SIGNS[change['action']]} | {name} | {what} |"
        yield ""
    if one["effects"]:
        yield from ("**Who gains and loses**", "", "| person | | permission | by |", "| --- | --- | --- | --- |")
        for effect in one["effects"]:
            way = " → ".join(effect["way"])
            yield f"| {_cell(effect['subject'])} | {effect['effect']} | {_cell(effect['permission'])} | {_cell(way)} |"
        yield ""
    notes = [f"{item['kind']} {item['name']}: {item['reason']}" for item in one["pending"]]
    if notes or one["warnings"]:
        yield from ("<details><summary>Waiting and warnings</summary>", "")
        yield from (f"- {_cell(note)}" for note in (*notes, *one["warnings"]))
        yield from ("", "</details>", "")


def _cell(value: str) -> str:
    """Text that cannot leave its cell or become markup."""
    safe = printable(value).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "".join(f"\\{sign}" if sign in "\\`*_[]|#@" else sign for sign in safe)
