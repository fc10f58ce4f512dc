"""A plan as plain data, which every renderer and every saved plan is made of. No secret gets this far."""

from __future__ import annotations

from collections.abc import Sequence

from admin_sync.diff import Action, Change, Difference
from admin_sync.impact import Effect
from admin_sync.model import Json, Position
from admin_sync.rules import RuleChange
from admin_sync.sync import Planned

COUNTS = {"summary": ("add", "change", "destroy"), "access": ("gains", "losses", "rules", "undeclared")}

_WORDS = {Action.CREATE: "create", Action.UPDATE: "update", Action.DELETE: "delete"}


def view(
    planned: Planned, rules: Sequence[RuleChange] = (), fingerprint: str = "", warnings: Sequence[str] = ()
) -> dict[str, Json]:
    """One environment's plan, with `warnings` beside its own. `fingerprint` tells what OPA will decide by."""
    plan = planned.plan
    return {
        "environment": plan.environment,
        "realm": plan.realm,
        "changes": [_change(change) for change in plan.changes],
        "effects": [_effect(effect) for effect in planned.effects],
        "rules": fingerprint,
        "rules_changed": [
            {"what": one.what, "before": one.before, "after": one.after, "permissions": list(one.permissions)}
            for one in rules
        ],
        "undeclared": [
            {"holder": one.holder, "grant": one.grant, "removed": one.removed} for one in planned.undeclared
        ],
        "pending": [
            {"kind": one.ref.kind, "name": one.ref.name, "reason": one.reason, "at": _at(one.origin)}
            for one in plan.pending
        ],
        "warnings": [*plan.warnings, *warnings],
        "summary": {
            "add": plan.count(Action.CREATE),
            "change": plan.count(Action.UPDATE),
            "destroy": plan.count(Action.DELETE),
        },
        "access": {
            "gains": sum(1 for effect in planned.effects if effect.gained),
            "losses": sum(1 for effect in planned.effects if not effect.gained),
            "undeclared": len(planned.undeclared),
            "rules": len(rules),
        },
        "requests": planned.requests,
    }


def document(views: Sequence[Json]) -> dict[str, Json]:
    """All environments in one document, with their sum."""
    return {"version": 1, "summary": summed(views), "access": summed(views, "access"), "environments": list(views)}


def summed(views: Sequence[Json], section: str = "summary") -> dict[str, int]:
    """The counts of all environments together: of objects (`summary`), or of who may do what (`access`)."""
    return {key: sum(one[section][key] for one in views) for key in COUNTS[section]}


def _change(change: Change) -> dict[str, Json]:
    origin = change.after.origin if change.after else None
    return {
        "action": _WORDS[change.action],
        "kind": change.ref.kind,
        "name": change.ref.name,
        "at": _at(origin),
        "differences": [_difference(one) for one in change.differences],
    }


def _difference(difference: Difference) -> dict[str, Json]:
    if difference.secret:
        return {"path": difference.path, "secret": True}
    return {"path": difference.path, "before": difference.before, "after": difference.after}


def _effect(effect: Effect) -> dict[str, Json]:
    return {
        "subject": effect.subject.name,
        "subject_kind": effect.subject.sort,
        "permission": effect.thing.name,
        "kind": effect.thing.sort,
        "partner": effect.thing.partner or None,
        "effect": "gains" if effect.gained else "loses",
        "way": list(effect.way),
        "at": _at(effect.at),
        "until": None if effect.until is None else effect.until.isoformat(),
    }


def _at(position: Position | None) -> Json:
    return None if position is None else str(position)
