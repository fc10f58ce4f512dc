"""A plan as plain data, which every renderer and every saved plan is made of. No secret gets this far."""

from __future__ import annotations

from collections.abc import Sequence

from admin_sync.diff import Action, Change, Difference
from admin_sync.impact import Effect
from admin_sync.model import Json, Position
from admin_sync.sync import Planned

_WORDS = {Action.CREATE: "create", Action.UPDATE: "update", Action.DELETE: "delete"}


def view(planned: Planned) -> dict[str, Json]:
    """One environment's plan."""
    plan = planned.plan
    return {
        "environment": plan.environment,
        "realm": plan.realm,
        "changes": [_change(change) for change in plan.changes],
        "effects": [_effect(effect) for effect in planned.effects],
        "pending": [
            {"kind": one.ref.kind, "name": one.ref.name, "reason": one.reason, "at": _at(one.origin)}
            for one in plan.pending
        ],
        "warnings": list(plan.warnings),
        "summary": {
            "add": plan.count(Action.CREATE),
            "change": plan.count(Action.UPDATE),
            "destroy": plan.count(Action.DELETE),
        },
        "requests": planned.requests,
    }


def document(views: Sequence[Json]) -> dict[str, Json]:
    """All environments in one document, with their sum."""
    total = {key: sum(one["summary"][key] for one in views) for key in ("add", "change", "destroy")}
    return {"version": 1, "summary": total, "environments": list(views)}


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
        "subject": effect.subject,
        "permission": effect.permission,
        "effect": "gains" if effect.gained else "loses",
        "way": list(effect.way),
    }


def _at(position: Position | None) -> Json:
    return None if position is None else str(position)
