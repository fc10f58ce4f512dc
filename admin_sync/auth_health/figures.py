"""A count, a level, and the steps of time that they are kept by. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

STEP: Final = 300
"""Seconds of a step."""
KEPT_DAYS: Final = 40
"""How long steps are kept: a month, and what it takes to write a report about it."""

OTHER: Final = "other"
_LABEL: Final = re.compile(r"[a-z0-9][a-z0-9_.:+-]{0,63}\Z")
_ENVIRONMENT: Final = re.compile(r"[a-z][a-z0-9-]{0,31}\Z")
_MOST_LABELS: Final = 60
"""Labels of one series; what comes beyond them in one turn is counted together."""


@dataclass(frozen=True, slots=True)
class Key:
    """What is counted: when (the start of a step, in unix seconds), where, what, and why or how."""

    step: int
    environment: str
    series: str
    label: str


@dataclass(frozen=True, slots=True)
class Count:
    """How often, and how many seconds that took altogether where it was timed."""

    count: int
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Level:
    """What was so at a time: `series` in an environment."""

    step: int
    environment: str
    series: str
    value: float


def step_of(moment: datetime | float) -> int:
    """The start of the step that a time is in, in unix seconds."""
    seconds = moment.timestamp() if isinstance(moment, datetime) else moment
    return int(seconds // STEP) * STEP


def at(step: int) -> datetime:
    """The start of a step as a time."""
    return datetime.fromtimestamp(step, UTC)


def label(text: str | None) -> str:
    """A word that may stand as a label: what others wrote is `other`, so that nobody fills the table with names."""
    return text if text is not None and _LABEL.match(text) else OTHER


def environment_of(text: str) -> str:
    """The name of an environment, or `other` for what cannot be one."""
    return text if _ENVIRONMENT.match(text) else OTHER


def summed(found: Iterable[tuple[Key, Count]]) -> Mapping[Key, Count]:
    """Counts of the same added up; beyond some labels of a series the rest counts as `other`."""
    counted: dict[Key, Count] = {}
    labels: Counter[tuple[int, str, str]] = Counter()
    for named, count in found:
        key = named
        series = (named.step, named.environment, named.series)
        if named not in counted and labels[series] >= _MOST_LABELS:
            key = Key(*series, OTHER)
        before = counted.get(key)
        if before is None:
            labels[series] += 1
            counted[key] = count
        else:
            counted[key] = Count(before.count + count.count, before.seconds + count.seconds)
    return counted
