"""What is good: the figures that were promised, and how each of them stands. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from admin_sync.auth_health.summary import Totals

SUCCESS: Final = 0.995
ROUND_TRIP_SECONDS: Final = 2.0
REFRESH_LATE_SECONDS: Final = 600.0
SATISFIED: Final = 0.95


class State(StrEnum):
    """How a figure stands: as promised, not as promised, or nobody knows."""

    GOOD = "good"
    BAD = "bad"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Standing:
    """One promise: its stable name, what it is for people, the figure and the target as text, and how it stands."""

    name: str
    title: str
    value: str
    target: str
    state: State


def standings(totals: Totals, levels: Mapping[str, float], satisfied: float | None) -> Sequence[Standing]:
    """Every promise, in the order in which they matter."""
    return (
        _least("success_rate", "Logins that succeed", totals.success_rate, SUCCESS),
        _most("round_trip", "Back from the login page, 95 of 100", totals.callback.p95, ROUND_TRIP_SECONDS),
        _none("keys_overdue", "Keys past their rotation", levels.get("keys.overdue")),
        _most("refresh_overdue", "Broker tokens late for renewal", levels.get("refresh.overdue"),
              REFRESH_LATE_SECONDS),
        _none("emergencies_overdue", "Emergency reviews past their day", levels.get("emergencies.overdue")),
        _least("satisfied", "People content with logging in", satisfied, SATISFIED),
    )  # fmt: skip


def share(value: float) -> str:
    """A share for people, never rounded up to a hundred."""
    hundredths = int(value * 10_000 + 1e-6)
    return f"{hundredths / 100:.2f} %".replace(".00 %", " %")


def duration(seconds: float) -> str:
    """A time for people, by the unit that fits: `120 ms`, `1.8 s`, `5 min`, `3 h`, `12 d`."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.1f} s"


def _least(name: str, title: str, value: float | None, target: float) -> Standing:
    wanted = f"at least {share(target)}"
    if value is None:
        return Standing(name, title, "-", wanted, State.UNKNOWN)
    return Standing(name, title, share(value), wanted, State.GOOD if value >= target else State.BAD)


def _most(name: str, title: str, value: float | None, target: float) -> Standing:
    wanted = f"at most {duration(target)}"
    if value is None:
        return Standing(name, title, "-", wanted, State.UNKNOWN)
    said = duration(value) if value else "none"
    return Standing(name, title, said, wanted, State.GOOD if value <= target else State.BAD)


def _none(name: str, title: str, value: float | None) -> Standing:
    if value is None:
        return Standing(name, title, "-", "none", State.UNKNOWN)
    return Standing(name, title, f"{value:.0f}", "none", State.GOOD if value == 0 else State.BAD)
