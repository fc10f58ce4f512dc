"""Plans for a pull request: a table of counts, who gains and loses, and everything else folded away.

Names come from a realm in which other people work, and the comment is read by people who decide. So
a cell is code of its own whose every sign of markup is written as a character reference: it ends no
row, mentions nobody and links nowhere. A comment has a longest length; rows are left out and counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from admin_sync.model import Json, printable
from admin_sync.render.text import described, end_of, thing
from admin_sync.render.view import summed

LONGEST: Final = 60_000
"""Bytes, since who posts a comment cuts by bytes; GitHub takes 65,536 characters and GitLab a million."""

_ROWS: Final = (200, 80, 30, 10, 3, 0)
_SIGNS: Final = {"create": "`+`", "update": "`~`", "delete": "`-`"}
_MARKUP: Final = re.compile(r"[^\w ,/=+→…-]|_", re.ASCII)
_LINK: Final = re.compile(r"(?i)(?<=www)\.")


def markdown(views: Sequence[Json], _colour: bool = False, _directory: str = "") -> str:
    """The plans of several environments as GitHub-flavoured Markdown."""
    for rows in _ROWS:
        out = _document(views, rows)
        if len(out.encode()) <= LONGEST:
            break
    return out


def _document(views: Sequence[Json], rows: int) -> str:
    total = summed(views)
    lines = ["## Plan", ""]
    lines += [f"**Plan: {total['add']} to add, {total['change']} to change, {total['destroy']} to destroy.**", ""]
    lines += ["| realm | add | change | destroy | gains | losses | undeclared |", "| --- |" + " --- |" * 6]
    for one in views:
        counts = {**one["summary"], **one["access"]}
        shown = ("add", "change", "destroy", "gains", "losses", "undeclared")
        lines.append(f"| {_cell(one['realm'])} | " + " | ".join(str(counts[name]) for name in shown) + " |")
    lines.append("")
    for one in views:
        lines += _environment(one, rows)
    return "\n".join(lines).rstrip() + "\n"


def _environment(one: Json, rows: int) -> Iterator[str]:
    yield from (f"### {_cell(one['realm'])}", "")
    if not one["changes"]:
        yield from ("Nothing to change.", "")
    if one["effects"]:
        yield from ("**Who gains and loses**", "", "| who | | what | by | until |", "| --- | --- | --- | --- | --- |")
        yield from _some([_effect(effect) for effect in one["effects"]], rows, 5)
        yield ""
    if one["rules_changed"]:
        yield from ("**Decided otherwise**", "", "| what | before | after |", "| --- | --- | --- |")
        listed = [(rule["what"], rule["before"], rule["after"]) for rule in one["rules_changed"]]
        yield from _some(["| " + " | ".join(map(_cell, row)) + " |" for row in listed], rows, 3)
        yield ""
    if one["changes"]:
        yield from (f"<details><summary>{len(one['changes'])} changes</summary>", "")
        yield from ("| | object | what |", "| --- | --- | --- |")
        yield from _some([_change(change) for change in one["changes"]], rows, 3)
        yield from ("", "</details>", "")
    if one["undeclared"]:
        yield from (f"<details><summary>{len(one['undeclared'])} undeclared</summary>", "")
        yield from ("| who | has | what becomes of it |", "| --- | --- | --- |")
        listed = [
            (held["holder"], held["grant"], "removed" if held["removed"] else "stays") for held in one["undeclared"]
        ]
        yield from _some(["| " + " | ".join(map(_cell, row)) + " |" for row in listed], rows, 3)
        yield from ("", "</details>", "")
    notes = [f"{item['kind']} {item['name']}: {item['reason']}" for item in one["pending"]] + list(one["warnings"])
    if notes:
        yield from (f"<details><summary>{len(notes)} waiting and warnings</summary>", "")
        yield from (f"- {_cell(note)}" for note in notes[:rows])
        if len(notes) > rows:
            yield f"- and {len(notes) - rows} more"
        yield from ("", "</details>", "")


def _some(lines: Sequence[str], rows: int, columns: int) -> Iterator[str]:
    yield from lines[:rows]
    if len(lines) > rows:
        yield f"| and {len(lines) - rows} more, see the plan in JSON |" + " |" * (columns - 1)


def _change(change: Json) -> str:
    created = change["action"] == "create"
    listed = change["differences"]
    what = [f"{_cell(item['path'])}: {_cell(described(item, created=created))}" for item in listed[:8]]
    what += [f"and {len(listed) - 8} more"] if len(listed) > 8 else []
    name = _cell(f"{change['kind']} {change['name']}")
    return f"| {_SIGNS[change['action']]} | {name} | {'<br>'.join(what)} |"


def _effect(effect: Json) -> str:
    way = " → ".join(effect["way"]) + (f" {effect['at']}" if effect["at"] else "")
    cells = (effect["subject"], effect["effect"], thing(effect), way, end_of(effect))
    return "| " + " | ".join(map(_cell, cells)) + " |"


def _undeclared(held: Json) -> str:
    cells = (held["holder"], held["grant"], "removed" if held["removed"] else "stays")
    return "| " + " | ".join(map(_cell, cells)) + " |"


def _cell(value: str) -> str:
    """Text that cannot leave its cell, become markup, mention anybody or turn into a link."""
    if not value:
        return ""
    shown = _MARKUP.sub(_escaped, printable(value))
    return f"<code>{_LINK.sub('&#46;', shown)}</code>"


def _escaped(match: re.Match[str]) -> str:
    sign = match[0]
    # A dot and letters of other alphabets are no markup; a dot that would make a link is dealt with last.
    return sign if sign == "." or (not sign.isascii() and sign.isalnum()) else f"&#{ord(sign)};"
