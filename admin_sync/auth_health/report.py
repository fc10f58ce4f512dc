"""The auth health report: what one day was like, against the day before it and against what was promised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from admin_sync.auth_health.figures import STEP
from admin_sync.auth_health.pulse import Answers, Pulse
from admin_sync.auth_health.store import Figures, Source
from admin_sync.auth_health.summary import ALL, Point, Totals, history, latest, totals
from admin_sync.auth_health.targets import Standing, standings

PULSE_DAYS: Final = 90
"""Answers to the pulse are counted over a quarter: those of one day would be few, and say who gave them."""
_HOUR: Final = timedelta(hours=1)
_STEP: Final = timedelta(seconds=STEP)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A day in UTC. `environments` has the figures of each by name, `whole` of all of them together."""

    day: date
    made_at: datetime
    complete: bool
    """Whether the day is over."""
    whole: Totals
    before: Totals
    environments: Mapping[str, Totals]
    hours: Sequence[Point]
    levels: Mapping[str, float]
    standings: Sequence[Standing]
    answers: Answers
    sources: Sequence[Source]


async def report_of(figures: Figures, pulse: Pulse, day: date, *, environment: str, now: datetime) -> Report:
    """The report of a day; `environment` is the one that the services are of. Raises DatabaseUnavailable."""
    since = datetime.combine(day, time(), UTC)
    until = since + timedelta(days=1)
    rows = await figures.counts(since, until, _HOUR)
    before = await figures.counts(since - timedelta(days=1), since, timedelta(days=1))
    levels = latest(await figures.levels(since, until, timedelta(days=1)), environment)
    answers = await pulse.answers(day - timedelta(days=PULSE_DAYS - 1), day + timedelta(days=1))
    whole = totals(rows)
    return Report(
        day=day,
        made_at=now,
        complete=now >= until + _STEP,
        whole=whole,
        before=totals(before),
        environments={name: totals(rows, name) for name in sorted({row.environment for row in rows})},
        hours=history(rows, since=since, until=until, span=_HOUR, environment=ALL),
        levels=levels,
        standings=standings(whole, levels, answers.content),
        answers=answers,
        sources=await figures.sources(),
    )
