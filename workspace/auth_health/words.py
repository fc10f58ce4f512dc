"""Shares, times and codes for people. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

PERIODS: Final = ((1, "the last hour"), (24, "a day"), (24 * 7, "a week"), (24 * 30, "30 days"))
"""Periods that can be looked at, in hours."""

FACTORS: Final[Mapping[str, str]] = {
    "hwk": "Security key or passkey on hardware",
    "swk": "Passkey",
    "otp": "Code of an authenticator app",
    "recovery": "Recovery code",
    "mfa": "Second factor at the identity provider",
    "mfa_bypass": "Emergency code",
    "pwd": "Password alone",
    "other": "Something else",
}
"""What the strongest method of a login is called."""


def share(value: float | None) -> str:
    """A share between 0 and 1, never rounded up to a hundred."""
    if value is None:
        return "-"
    hundredths = int(value * 10_000 + 1e-6)
    return f"{hundredths / 100:.2f} %".replace(".00 %", " %")


def duration(seconds: float | None) -> str:
    """A time in seconds by the unit that fits: `120 ms`, `1.8 s`, `5 min`, `3 h`, `12 d`."""
    if seconds is None:
        return "-"
    if seconds == 0:
        return "none"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.1f} s"


def number(value: float) -> str:
    """A whole number."""
    return f"{value:.0f}"


_LEVELS: Final[Sequence[tuple[str, Sequence[tuple[str, str, Callable[[float], str]]]]]] = (
    (
        "Broker tokens",
        (
            ("credentials", "Kept", number),
            ("credentials.expired", "Expired", number),
            ("token_age.mean", "Age, mean", duration),
            ("token_age.oldest", "Age of the oldest", duration),
            ("refresh.failing", "Last renewal failed", number),
            ("refresh.overdue", "Renewal late by", duration),
            ("circuits.open", "Brokers that do not answer", number),
        ),
    ),
    (
        "Keys of partners",
        (
            ("keys", "In use", number),
            ("keys.allowed", "To be rotated after", duration),
            ("key_age.oldest", "Age of the oldest", duration),
            ("keys.overdue", "Past their rotation", number),
        ),
    ),
    (
        "Emergency accounts",
        (
            ("emergencies.open", "Open", number),
            ("emergencies.unreviewed", "Not reviewed yet", number),
            ("emergencies.overdue", "Past their day", number),
        ),
    ),
)


def held(levels: Mapping[str, float]) -> Sequence[tuple[str, Sequence[tuple[str, str]]]]:
    """What is so now, in groups; what nobody measured is `-`."""
    return [
        (title, [(words, said(levels[name]) if name in levels else "-") for name, words, said in group])
        for title, group in _LEVELS
    ]


def times(totals: Mapping[str, Any]) -> Sequence[tuple[str, str, str, str]]:
    """How long each part of a login took: what, how often, mean, 95 of 100."""
    found = (
        ("Back from the login page, until the next page", totals["callback"]),
        ("Keycloak's own pages and tokens", totals["realm"]),
        ("Exchange of a token from outside", totals["exchange"]),
    )
    return [(title, number(one["count"]), duration(one["mean"]), duration(one["p95"])) for title, one in found]


def named(counted: Mapping[str, int], words: Mapping[str, str] | None = None) -> Sequence[tuple[str, int]]:
    """Counts by their codes, or by what those are called."""
    known = words or {}
    return [(known.get(name, name), count) for name, count in counted.items()]
