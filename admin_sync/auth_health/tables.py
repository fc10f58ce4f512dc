"""A report as tables, from which both its forms are made, so that they say the same. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from admin_sync.auth_health.report import Report
from admin_sync.auth_health.summary import Times, Totals
from admin_sync.auth_health.targets import duration, share

FACTORS: Final[Mapping[str, str]] = {
    "hwk": "security key or passkey on hardware",
    "swk": "passkey",
    "otp": "code of an authenticator app",
    "recovery": "recovery code",
    "mfa": "second factor at the identity provider",
    "mfa_bypass": "emergency code",
    "pwd": "password alone",
    "other": "something else",
}
"""What the strongest method of a login is called."""

_LEVELS: Final[Sequence[tuple[str, str, Callable[[float], str]]]] = (
    ("credentials", "Broker tokens kept", lambda value: f"{value:.0f}"),
    ("credentials.expired", "of them expired", lambda value: f"{value:.0f}"),
    ("token_age.mean", "Age of broker tokens, mean", duration),
    ("token_age.oldest", "Age of the oldest", duration),
    ("refresh.failing", "Connections whose last renewal failed", lambda value: f"{value:.0f}"),
    ("refresh.overdue", "Longest that a renewal is late", duration),
    ("circuits.open", "Brokers that do not answer", lambda value: f"{value:.0f}"),
    ("keys", "Keys of partners in use", lambda value: f"{value:.0f}"),
    ("keys.overdue", "of them past their rotation", lambda value: f"{value:.0f}"),
    ("key_age.oldest", "Age of the oldest", duration),
    ("keys.allowed", "Age at which a key is to be rotated", duration),
    ("emergencies.open", "Emergency accounts open", lambda value: f"{value:.0f}"),
    ("emergencies.unreviewed", "Openings not reviewed yet", lambda value: f"{value:.0f}"),
    ("emergencies.overdue", "of them past their day", lambda value: f"{value:.0f}"),
)


@dataclass(frozen=True, slots=True)
class Table:
    """What it is, its columns, its rows. Every cell is text."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def tables(report: Report) -> Sequence[Table]:
    """Every table of a report that has rows."""
    found = (
        Table(
            "What was promised",
            ("", "now", "promised", "state"),
            tuple((one.title, one.value, one.target, one.state.value) for one in report.standings),
        ),
        _figures(report),
        _named("How people proved who they are", "strongest factor", report.whole.factors, FACTORS),
        _named("Why logins failed", "reason", report.whole.fault_reasons),
        _named("Where the way between applications broke", "reason", report.whole.redirect_reasons),
        _named("Why the policy said no", "reason", report.whole.denied_reasons),
        _times(report),
        Table("What is held", ("", "at the end of the day"), level_rows(report.levels)),
        _pulse(report),
    )
    return [one for one in found if one.rows]


def level_rows(levels: Mapping[str, float]) -> tuple[tuple[str, ...], ...]:
    """What is so now, in words; what nobody measured is left out."""
    return tuple((words, said(levels[name])) for name, words, said in _LEVELS if name in levels)


def _figures(report: Report) -> Table:
    columns = [("all", report.whole), *report.environments.items(), ("the day before", report.before)]
    lines: list[tuple[str, Callable[[Totals], str]]] = [
        ("Logins", lambda one: str(one.logins)),
        ("Success rate", lambda one: _share(one.success_rate)),
        ("Faults of ours", lambda one: str(one.faults)),
        ("Mistakes of people", lambda one: str(one.mistakes)),
        ("Turned away by policy", lambda one: str(one.turned_away)),
        ("Redirect failures", lambda one: str(one.redirect_failures)),
        (
            "With a second factor",
            lambda one: _share(one.second_factor_share),
        ),
        ("With a hardware factor", lambda one: _share(one.hardware_share)),
        ("Decisions of the policy", lambda one: str(one.decisions)),
        ("Decisions refused", lambda one: str(one.denied)),
    ]
    return Table(
        "The day in figures",
        ("", *(name for name, _ in columns)),
        tuple((title, *(said(one) for _, one in columns)) for title, said in lines),
    )


def _named(title: str, column: str, counted: Mapping[str, int], words: Mapping[str, str] | None = None) -> Table:
    known = words or {}
    return Table(title, (column, "how often"), tuple((known.get(name, name), str(n)) for name, n in counted.items()))


def _times(report: Report) -> Table:
    found: list[tuple[str, Times]] = [
        ("Back from the login page to the workspace", report.whole.callback),
        ("Keycloak's own pages and tokens", report.whole.realm),
        ("Exchange of an external token", report.whole.exchange),
    ]
    rows = tuple(
        (
            title,
            str(one.count),
            "-" if one.mean is None else duration(one.mean),
            "-" if one.p95 is None else duration(one.p95),
        )
        for title, one in found
        if one.count
    )
    return Table("How long it took", ("", "how often", "mean", "95 of 100 within"), rows)


def _pulse(report: Report) -> Table:
    if not report.answers.count:
        return Table("How easy people found it", (), ())
    rows = tuple((str(score), str(count)) for score, count in enumerate(report.answers.scores, 1))
    return Table("How easy people found it, over the last 90 days (5 is best)", ("score", "answers"), rows)


def _share(value: float | None) -> str:
    return "-" if value is None else share(value)
