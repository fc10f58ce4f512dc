"""What is sent to, and answered by, `/access/v1/campaigns`. Anything unknown or of the wrong type is refused."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from admin_sync.access.campaigns.deciding import Answered, Reviewable, Word
from admin_sync.access.campaigns.store import Campaign
from admin_sync.certification.outcome import Verdict

MOST_WORDS = 100
"""Decisions of one call. Whoever has more to say has more to read first."""

ItemKey = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
Hash = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=10, max_length=2000)]


class _Sent(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class DecisionBody(_Sent):
    """One item, the hash of what the reviewer was shown, and what they say."""

    item: ItemKey
    hash: Hash
    verdict: Annotated[Verdict, Field(strict=False)]
    reason: Reason

    def word(self) -> Word:
        """As the desk takes it."""
        return Word(self.item, self.hash, self.verdict, self.reason)


class DecisionsBody(_Sent):
    """Decisions about several items; each is judged by itself."""

    decisions: Annotated[list[DecisionBody], Field(min_length=1, max_length=MOST_WORDS)]


class AnswerBody(BaseModel):
    """What became of one decision: `taken`, or a stable code and why not."""

    item: str
    code: str
    why: str

    @classmethod
    def of(cls, answer: Answered) -> AnswerBody:
        """As it is sent."""
        return cls(item=answer.item, code=answer.code, why=answer.why)


class AnswersBody(BaseModel):
    """An answer for every decision, in their order."""

    answers: list[AnswerBody]


class CampaignBody(BaseModel):
    """One campaign."""

    quarter: str
    state: str
    opened_at: datetime
    due: datetime
    closed_at: datetime | None
    figures: dict[str, Any] | None
    evidence: str | None

    @classmethod
    def of(cls, campaign: Campaign) -> CampaignBody:
        """As it is sent."""
        return cls(**{name: getattr(campaign, name) for name in cls.model_fields})


class CampaignsBody(BaseModel):
    """All campaigns, the latest first."""

    campaigns: list[CampaignBody]


class ItemBody(BaseModel):
    """One item as its reviewer sees it. `hash` is what a decision names; `capacity` is empty where they have no say."""

    hash: str
    capacity: str | None
    item: dict[str, Any]
    decisions: list[dict[str, Any]]

    @classmethod
    def of(cls, one: Reviewable) -> ItemBody:
        """As it is sent: who decided and why, but not by which session of theirs."""
        shown = ("verdict", "reason", "reviewer", "capacity", "at")
        said = [{name: decision.record()[name] for name in shown} for decision in one.decisions]
        return cls(hash=one.item.hash, capacity=one.capacity, item=one.item.record(), decisions=said)


class ItemsBody(BaseModel):
    """A page of items. `next` is the `after` of the next page, nothing at the end."""

    items: list[ItemBody]
    total: int
    next: int | None
