"""The question after a login: how easy was that? One to five, and words if somebody likes.

Nobody is asked twice within a month, whether they answered or not. What was answered has no name and no time but the
day; who was asked is in another table. So it is known that somebody was asked, and not what they said.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final, Literal

from admin_sync.access.store.database import Database

EVERY_DAYS: Final = 30
LONGEST: Final = 500
CONTENT: Final = 4
"""From this score on somebody is content."""
FEWEST: Final = 5
"""Words are shown only where so many answered: fewer would say who wrote them."""

Audience = Literal["staff", "partner"]

_ADDRESS: Final = re.compile(r"\S+@\S+")


@dataclass(frozen=True, slots=True)
class Answers:
    """What was answered in a period. `words` are in no order that says who wrote them when."""

    scores: tuple[int, int, int, int, int]
    """How many gave one, two, three, four, five."""
    by_audience: tuple[tuple[str, int], ...]
    words: tuple[str, ...]

    @property
    def count(self) -> int:
        """How many answered."""
        return sum(self.scores)

    @property
    def content(self) -> float | None:
        """The share of those who gave four or five."""
        return round(sum(self.scores[CONTENT - 1 :]) / self.count, 5) if self.count else None


class Pulse:
    """The two tables. All raise DatabaseUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def due(self, subject: str, now: datetime) -> bool:
        """Whether a person may be asked."""
        rows = await self._database.rows("SELECT asked_on FROM access.pulse_asked WHERE subject = $1", subject)
        return not rows or rows[0]["asked_on"] <= _again(now)

    async def answer(
        self, subject: str, audience: Audience, now: datetime, score: int | None, words: str | None
    ) -> bool:
        """Takes an answer, or that there is none (`score` None); False where the person was asked lately."""
        async with self._database.transaction() as connection:
            # One of two answers sent at once finds the other's row here.
            asked = await connection.fetchrow(
                "INSERT INTO access.pulse_asked AS p (subject, asked_on) VALUES ($1, $2) ON CONFLICT (subject)"
                " DO UPDATE SET asked_on = excluded.asked_on WHERE p.asked_on <= $3 RETURNING subject",
                subject, now.date(), _again(now),
            )  # fmt: skip
            if asked is None:
                return False
            if score is not None:
                await connection.execute(
                    "INSERT INTO access.pulse_answer (day, audience, score, words) VALUES ($1, $2, $3, $4)",
                    now.date(), audience, score, cleaned(words),
                )  # fmt: skip
        return True

    async def answers(self, since: date, until: date) -> Answers:
        """What was answered from a day on and before another."""
        rows = await self._database.rows(
            "SELECT audience, score, words FROM access.pulse_answer WHERE day >= $1 AND day < $2"
            # By a name that chance gave: neither the order of writing nor that of the people.
            " ORDER BY id LIMIT 10000",
            since, until,
        )  # fmt: skip
        return answers_of([(row["audience"], row["score"], row["words"]) for row in rows])


def answers_of(rows: Sequence[tuple[str, int, str | None]]) -> Answers:
    """Some answers counted. Pure."""
    scores = [sum(score == wanted for _, score, _ in rows) for wanted in range(1, 6)]
    audiences = tuple((name, sum(one == name for one, _, _ in rows)) for name in ("staff", "partner"))
    words = tuple(text for _, _, text in rows if text) if len(rows) >= FEWEST else ()
    return Answers((scores[0], scores[1], scores[2], scores[3], scores[4]), audiences, words)


def cleaned(words: str | None) -> str | None:
    """What is kept of somebody's words: one line, without addresses, which would be names."""
    if words is None:
        return None
    text = _ADDRESS.sub("(address)", " ".join("".join(one if one.isprintable() else " " for one in words).split()))
    return text[:LONGEST] or None


def _again(now: datetime) -> date:
    return (now - timedelta(days=EVERY_DAYS)).date()
