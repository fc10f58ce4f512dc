"""What an opening is at an instant, and who may say what about it. Pure.

opening ─ account enabled ─▶ open ─ end │ closed by hand ─▶ closing ─ sealed anew ─▶ closed ─ reviewed ─▶ reviewed
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class Stage(StrEnum):
    """Where an opening stands."""

    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"
    REVIEWED = "reviewed"


class Verdict(StrEnum):
    """What a review found."""

    JUSTIFIED = "justified"
    MISUSED = "misused"


@dataclass(frozen=True, slots=True)
class Review:
    """What somebody who had no part in an opening found. `by` as the roster knows them."""

    by: str
    verdict: Verdict
    findings: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """One opening of one account in one environment. Times are aware, in UTC.

    opener:   the one who asked, as the roster knows them; approvers likewise
    until:    when it ends by itself
    due:      when it has to be reviewed at the latest
    """

    number: int
    environment: str
    account: str
    opener: str
    approvers: tuple[str, ...]
    reason: str
    opened_at: datetime
    until: datetime
    due: datetime
    close_asked_at: datetime | None = None
    close_asked_by: str | None = None
    closed_at: datetime | None = None
    reviewed_at: datetime | None = None
    reviewed_by: str | None = None
    verdict: str | None = None
    findings: str | None = None
    escalated_at: datetime | None = None

    def stage(self, now: datetime) -> Stage:
        """Where it stands."""
        if self.reviewed_at is not None:
            return Stage.REVIEWED
        if self.closed_at is not None:
            return Stage.CLOSED
        return Stage.CLOSING if self.over(now) else Stage.OPEN

    def over(self, now: datetime) -> bool:
        """Whether nobody may use it any more, closed or not."""
        return self.close_asked_at is not None or now >= self.until

    def red(self) -> bool:
        """Whether somebody still has to look at it."""
        return self.reviewed_at is None

    def overdue(self, now: datetime) -> bool:
        """Whether it should have been reviewed."""
        return self.reviewed_at is None and now >= self.due

    def to_escalate(self, now: datetime, every: timedelta) -> bool:
        """Whether it has to be said again that nobody reviewed it."""
        return self.overdue(now) and (self.escalated_at is None or now >= self.escalated_at + every)

    def may_review(self, person: str) -> bool:
        """Whether somebody had no part in it. `person` as the roster knows them."""
        return person != self.opener and person not in self.approvers


def next_event(openings: Iterable[Opening], now: datetime) -> datetime | None:
    """When something is to be done by itself the next time; None if nothing is ahead."""
    ahead = [one.until for one in openings if one.closed_at is None and one.until > now]
    ahead += [one.due for one in openings if one.reviewed_at is None and one.due > now]
    return min(ahead, default=None)
