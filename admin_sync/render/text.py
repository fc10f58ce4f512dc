"""Plans for a terminal: plain lines with `+ ~ -`, in colour only where that was asked for."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Final

from admin_sync.model import Json, printable
from admin_sync.render.view import summed

_SIGNS: Final = {"create": "+", "update": "~", "delete": "-"}
_COLOURS: Final = {"create": "\033[32m", "update": "\033[33m", "delete": "\033[31m"}
_RESET: Final = "\033[0m"
_LONGEST: Final = 100


def text(views: Sequence[Json], colour: bool = False, _directory: str = "") -> str:
    """The plans of several environments, and one line that sums them up."""
    lines = [line for one in views for line in _environment(one, colour)]
    total = summed(views)
    lines.append(f"Plan: {total['add']} to add, {total['change']} to change, {total['destroy']} to destroy.")
    access = summed(views, "access")
    if any(access.values()):
        lines.append(
            f"Access: {access['gains']} gained, {access['losses']} lost, {access['rules']} decided otherwise, "
            f"{access['undeclared']} undeclared."
        )
    return "\n".join(lines) + "\n"


def _environment(one: Json, colour: bool) -> Iterator[str]:
    yield f"{one['realm']} ({one['environment']}), read in {one['requests']} requests"
    if not one["changes"]:
        yield "  nothing to change"
    for change in one["changes"]:
        sign = _SIGNS[change["action"]]
        line = f"  {sign} {change['kind']} {printable(change['name'])}"
        where = f"  ({change['at']})" if change["at"] else ""
        yield f"{_COLOURS[change['action']]}{line}{_RESET}{where}" if colour else f"{line}{where}"
        for difference in change["differences"]:
            what = described(difference, created=change["action"] == "create")
            yield f"      {printable(difference['path'])}: {what}"
    yield from _section("who gains and loses", [effect_line(effect) for effect in one["effects"]])
    yield from _section("decided otherwise", [rule_line(rule) for rule in one["rules_changed"]])
    yield from _section("undeclared", [undeclared_line(held) for held in one["undeclared"]])
    waiting = [f"{item['kind']} {printable(item['name'])}: {item['reason']}" for item in one["pending"]]
    yield from _section("waiting", waiting)
    yield from _section("warnings", one["warnings"])
    yield ""


def _section(title: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield f"  {title}:"
        for line in lines:
            yield f"    {printable(line)}"


def effect_line(effect: Json) -> str:
    """`+ person gains permission by group x → role y (role_bindings.yaml:3:5), until …`."""
    sign = "+" if effect["effect"] == "gains" else "-"
    origin = f" ({effect['at']})" if effect["at"] else ""
    end = f", until {end_of(effect)}" if effect["until"] else ""
    return f"{sign} {effect['subject']} {effect['effect']} {thing(effect)} by {' → '.join(effect['way'])}{origin}{end}"


def rule_line(rule: Json) -> str:
    """`~ who or what: before → after`, of what OPA decides by and no realm shows."""
    return f"~ {rule['what']}: {rule['before']} → {rule['after']}"


def undeclared_line(held: Json) -> str:
    """`! holder has grant: stays`."""
    return f"! {held['holder']} has {held['grant']}: {'is removed' if held['removed'] else 'is reported and stays'}"


def end_of(effect: Json) -> str:
    """When a gain ends, or nothing."""
    return str(effect["until"]).replace("+00:00", "Z") if effect["until"] else ""


def thing(effect: Json) -> str:
    """What is gained or lost: a permission, one inside a partner, or a right."""
    if effect["kind"] == "right":
        return f"right {effect['permission']}"
    return f"{effect['permission']} in {effect['partner']}" if effect["partner"] else str(effect["permission"])


def described(difference: Json, *, created: bool) -> str:
    """What one attribute was and becomes, shortened; a secret is only said to change."""
    if difference.get("secret"):
        return "(secret) is set" if created else "(secret) changes"
    if created:
        return shown(difference["after"])
    return f"{shown(difference['before'])} → {shown(difference['after'])}"


def shown(value: Json) -> str:
    """A value on one line."""
    spelt = printable(json.dumps(value, ensure_ascii=False, sort_keys=True))
    return spelt if len(spelt) <= _LONGEST else f"{spelt[:_LONGEST]}…"
