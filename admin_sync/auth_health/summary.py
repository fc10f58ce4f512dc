"""Rows made the figures of a period and their history. Pure.

A share is between 0 and 1 and None where there was nothing; a time is in seconds. What nobody measured is None and
never zero.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from admin_sync.auth_health import lines, scraped
from admin_sync.auth_health.figures import STEP
from admin_sync.auth_health.store import Measured, Summed

ALL: Final = "all"
"""What stands for all environments together."""

SECOND: Final = frozenset({"hwk", "swk", "otp", "recovery", "mfa"})
_POINTS: Final = 96
"""Points of a history, at most."""
_TOP: Final = 8


@dataclass(frozen=True, slots=True)
class Times:
    """How long something took: how often it was timed, the mean, and what 95 of 100 stayed under."""

    count: int
    mean: float | None
    p95: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """The figures of a span in an environment.

    logins          people who came in, by the strongest method that they proved (`factors`)
    mistakes        tries that failed for a wrong password or code, or because somebody turned back
    turned_away     tries that the policy refused
    faults          tries that failed for any other reason: what the success rate counts against us
    """

    logins: int
    mistakes: int
    turned_away: int
    faults: int
    success_rate: float | None
    fault_reasons: Mapping[str, int]
    redirect_failures: int
    redirect_reasons: Mapping[str, int]
    returned: int
    returned_failed: int
    factors: Mapping[str, int]
    hardware_share: float | None
    second_factor_share: float | None
    decisions: int
    denied: int
    denied_reasons: Mapping[str, int]
    callback: Times
    realm: Times
    exchange: Times


@dataclass(frozen=True, slots=True)
class Point:
    """A span of the history."""

    since: datetime
    totals: Totals


def span_of(period: timedelta) -> timedelta:
    """How long the spans of a history are: whole steps, and not more of them than a chart can show."""
    steps = max(1, math.ceil(period.total_seconds() / STEP / _POINTS))
    return timedelta(seconds=steps * STEP)


def begin(until: datetime, period: timedelta) -> datetime:
    """Where a period begins that ends now: at the start of a span, so that its history is whole but for the last."""
    span = span_of(period).total_seconds()
    return datetime.fromtimestamp(math.floor((until - period).timestamp() / span) * span, UTC)


def totals(rows: Iterable[Summed], environment: str = ALL) -> Totals:
    """The figures over some rows, of one environment or of all."""
    counted: dict[str, Counter[str]] = {}
    seconds: Counter[str] = Counter()
    for row in rows:
        if environment in (ALL, row.environment):
            counted.setdefault(row.series, Counter())[row.label] += row.count
            seconds[row.series] += row.seconds  # type: ignore[assignment]
    of = _Of(counted, seconds)
    factors, refused = of.labels(lines.LOGIN), of.labels(lines.REFUSED)
    logins = factors.total()
    mistakes = sum(count for reason, count in refused.items() if reason in lines.MISTAKES)
    away = sum(count for reason, count in refused.items() if reason in lines.RIGHTLY)
    faults = Counter({name: n for name, n in refused.items() if name not in lines.MISTAKES | lines.RIGHTLY})
    faults.update(of.labels(lines.TOKEN_REFUSED))
    redirects, returned, decided = of.labels(lines.REDIRECT), of.labels(scraped.RETURNED), of.labels(lines.DECISION)
    return Totals(
        logins=logins,
        mistakes=mistakes,
        turned_away=away,
        faults=faults.total(),
        success_rate=_share(logins, logins + faults.total()),
        fault_reasons=_top(faults),
        redirect_failures=redirects.total(),
        redirect_reasons=_top(redirects),
        returned=returned.total(),
        returned_failed=returned["failure"],
        factors=dict(factors.most_common()),
        hardware_share=_share(factors["hwk"], logins),
        second_factor_share=_share(sum(factors[one] for one in SECOND), logins),
        decisions=decided.total(),
        denied=decided["denied"],
        denied_reasons=_top(of.labels(lines.DENIED)),
        callback=of.times(scraped.CALLBACK),
        realm=of.times(scraped.REALM),
        exchange=of.times(scraped.EXCHANGE),
    )


def history(
    rows: Sequence[Summed], *, since: datetime, until: datetime, span: timedelta, environment: str = ALL
) -> list[Point]:
    """Every span of a period, those in which nothing happened too."""
    by_span: dict[datetime, list[Summed]] = {}
    for row in rows:
        by_span.setdefault(row.since, []).append(row)
    found = []
    while since < until:
        found.append(Point(since, totals(by_span.get(since, ()), environment)))
        since += span
    return found


def latest(rows: Iterable[Measured], environment: str) -> dict[str, float]:
    """The last level of each series in an environment."""
    found: dict[str, float] = {}
    for row in rows:
        if row.environment == environment:
            found[row.series] = row.value
    return found


def quantile(share: float, total: int, below: Mapping[float, int]) -> float | None:
    """The time that a share of all stayed under, from how many stayed under each bound; within one it is even.

    Above the last bound nobody knows, and the answer is that bound.
    """
    if total <= 0 or not below:
        return None
    wanted, low, under = share * total, 0.0, 0
    for bound in sorted(below):
        if below[bound] >= wanted:
            inside = below[bound] - under
            return round(low + (bound - low) * ((wanted - under) / inside if inside else 1.0), 4)
        low, under = bound, below[bound]
    return max(below)


class _Of:
    def __init__(self, counted: Mapping[str, Counter[str]], seconds: Mapping[str, float]) -> None:
        self._counted = counted
        self._seconds = seconds

    def labels(self, series: str) -> Counter[str]:
        return self._counted.get(series, Counter())

    def times(self, series: str) -> Times:
        found = self.labels(series)
        count = found[scraped.SUM]
        below: dict[float, int] = {}
        if any(name.startswith("le:") for name in found):
            # A bound that nothing new came under has no row.
            under = 0
            for bound in scraped.BOUNDS:
                under = below[bound] = max(under, found[f"le:{bound:g}"])
        mean = round(self._seconds.get(series, 0.0) / count, 4) if count else None
        return Times(count, mean, quantile(0.95, count, below))


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 5) if whole else None


def _top(counted: Counter[str]) -> dict[str, int]:
    """The most frequent ones, and the rest together."""
    found = dict(counted.most_common(_TOP))
    rest = counted.total() - sum(found.values())
    return {**found, "other": found.get("other", 0) + rest} if rest else found
