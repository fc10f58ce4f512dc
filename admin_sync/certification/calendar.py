"""Quarters, and when the next certification is due."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from admin_sync.errors import Misconfigured

_QUARTER: Final = re.compile(r"(20[0-9]{2})Q([1-4])")


def quarter_of(now: datetime) -> str:
    """The quarter that a moment lies in (UTC), such as 2026Q4."""
    here = now.astimezone(UTC)
    return f"{here.year}Q{(here.month - 1) // 3 + 1}"


def checked_quarter(text: str, now: datetime) -> str:
    """A quarter that somebody named. Raises Misconfigured for no quarter, and for one that has not begun."""
    match = _QUARTER.fullmatch(text)
    if match is None:
        raise Misconfigured(f"--quarter {text}: write a year and a quarter, such as {quarter_of(now)}")
    begins = datetime(int(match[1]), 3 * int(match[2]) - 2, 1, tzinfo=UTC)
    if begins > now:
        raise Misconfigured(f"--quarter {text}: it begins on {begins:%Y-%m-%d}; there is nothing to certify yet")
    return text


def overdue(last_closed: datetime | None, every: timedelta, now: datetime) -> bool:
    """Whether the last certification was closed longer ago than policy allows; one that never was is overdue."""
    return last_closed is None or last_closed + every <= now
