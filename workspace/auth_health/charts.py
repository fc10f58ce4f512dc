"""Each chart of the dashboard, with the table that says the same. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from markupsafe import Markup

from identity import chart
from workspace.auth_health.words import duration, share

_DAY: Final = 86_400


@dataclass(frozen=True, slots=True)
class Shown:
    """A chart. `legend` has the class of each line and what it is, `rows` the same figures, newest first."""

    name: str
    title: str
    picture: Markup
    legend: Sequence[tuple[str, str]]
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    nothing: bool
    """Whether there is nothing to be seen in it."""


def charts(found: Mapping[str, Any]) -> Sequence[Shown]:
    """Every chart of the answer of `GET /auth-health`."""
    history = found["history"]
    days = len(history) * found["span_seconds"] > 2 * _DAY
    places = [f"{_at(one):%d %b}" if days else f"{_at(one):%H:%M}" for one in history]
    rows = [f"{_at(one):%d %b %H:%M}" for one in history]
    return (
        _logins(history, places, rows),
        _success(history, places, rows),
        _times(history, places, rows),
        _denied(history, places, rows),
    )


def _logins(history: Sequence[Mapping[str, Any]], places: Sequence[str], rows: Sequence[str]) -> Shown:
    parts = (("logins", "came in", "first"), ("mistakes", "mistaken", "third"), ("faults", "our fault", "second"))
    drawn = [chart.Line(name, [one[name] for one in history], kind) for name, _, kind in parts]
    return Shown(
        "logins",
        "Logins",
        Markup(chart.bars("Logins over time", places, drawn, largest=4.0)),  # noqa: S704 - it escapes every text
        [(kind, words) for _, words, kind in parts],
        ("From", "Came in", "Mistaken", "Turned away", "Our fault", "Redirect failures"),
        _table(rows, history, lambda one: (one["logins"], one["mistakes"], one["turned_away"], one["faults"],
                                           one["redirect_failures"])),
        not any(one["logins"] or one["faults"] or one["mistakes"] for one in history),
    )  # fmt: skip


def _success(history: Sequence[Mapping[str, Any]], places: Sequence[str], rows: Sequence[str]) -> Shown:
    values = [None if one["success_rate"] is None else one["success_rate"] * 100 for one in history]
    drawn = [chart.Line("success", values)]
    return Shown(
        "success",
        "Success rate",
        Markup(chart.lines("Success rate over time", places, drawn, unit=" %", largest=100.0)),  # noqa: S704
        [],
        ("From", "Success rate", "With a second factor", "With a hardware factor"),
        _table(rows, history, lambda one: (share(one["success_rate"]), share(one["second_factor_share"]),
                                           share(one["hardware_share"]))),
        all(value is None for value in values),
    )  # fmt: skip


def _times(history: Sequence[Mapping[str, Any]], places: Sequence[str], rows: Sequence[str]) -> Shown:
    parts = (
        ("callback", "p95", "back from the login page, 95 of 100", "first"),
        ("realm", "mean", "Keycloak's pages, mean", "third"),
    )
    drawn = [chart.Line(name, [one[name][which] for one in history], kind) for name, which, _, kind in parts]
    return Shown(
        "latency",
        "How long it takes",
        Markup(chart.lines("Latency over time in seconds", places, drawn, unit=" s", largest=0.5)),  # noqa: S704
        [(kind, words) for _, _, words, kind in parts],
        ("From", "Back from the login page, 95 of 100", "Keycloak's pages, mean", "Exchange, mean"),
        _table(rows, history, lambda one: (duration(one["callback"]["p95"]), duration(one["realm"]["mean"]),
                                           duration(one["exchange"]["mean"]))),
        all(value is None for line in drawn for value in line.values),
    )  # fmt: skip


def _denied(history: Sequence[Mapping[str, Any]], places: Sequence[str], rows: Sequence[str]) -> Shown:
    drawn = [
        chart.Line("denied", [one["denied"] for one in history], "second"),
        chart.Line("allowed", [one["decisions"] - one["denied"] for one in history], "first"),
    ]
    return Shown(
        "decisions",
        "Decisions of the policy",
        Markup(chart.bars("Decisions of the policy over time", places, drawn, largest=4.0)),  # noqa: S704
        [("second", "refused"), ("first", "allowed")],
        ("From", "Decisions", "Refused"),
        _table(rows, history, lambda one: (one["decisions"], one["denied"])),
        not any(one["decisions"] for one in history),
    )


def _table(
    rows: Sequence[str], history: Sequence[Mapping[str, Any]], told: Callable[[Mapping[str, Any]], Sequence[object]]
) -> Sequence[Sequence[str]]:
    both = zip(reversed(rows), reversed(history), strict=True)
    found = [(row, *(str(value) for value in told(one))) for row, one in both]
    return [row for row in found if any(cell not in ("0", "-") for cell in row[1:])]


def _at(one: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(one["since"])
