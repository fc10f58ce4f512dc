"""The reviewer's side: decisions of one person, in one transaction with their audit lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from admin_sync.access.campaigns import store
from admin_sync.access.configured import Known
from admin_sync.access.store.database import Database
from admin_sync.access.store.ledger import Ledger
from admin_sync.certification.item import Item
from admin_sync.certification.outcome import Decision, Verdict
from admin_sync.certification.reviewer import NotAReviewer, Reviewers
from identity.audit.event import AuditEvent, event_by
from identity.principal import Principal


@dataclass(frozen=True, slots=True)
class Word:
    """What a reviewer sends about one item; `hash` is that of the text they were shown."""

    item: str
    hash: str
    verdict: Verdict
    reason: str


@dataclass(frozen=True, slots=True)
class Answered:
    """What became of one word: `taken`, or a stable code and why not."""

    item: str
    code: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class Reviewable:
    """An item as one person sees it."""

    item: Item
    decisions: tuple[Decision, ...]
    capacity: str | None
    """As what the person may decide about it; None where they may not."""


class NoCampaign(Exception):
    """There is no such campaign."""


class NotOpen(Exception):
    """The campaign takes no decisions any more."""


class Deciding:
    """Decisions over a database. `node` is this host's name in audit lines."""

    def __init__(self, database: Database, node: str) -> None:
        self._database = database
        self._node = node

    async def decide(self, person: Principal, known: Known, quarter: str, words: Sequence[Word]) -> list[Answered]:
        """Record what of it may be recorded, all in one transaction; an answer for every word, in their order.

        The caller has a stepped-up session: that is checked before. Raises NoCampaign, NotOpen, DatabaseUnavailable.
        """
        async with self._database.transaction() as connection:
            ledger = Ledger(connection, self._node)
            campaign = await store.find(connection, quarter, "FOR SHARE")
            if campaign is None:
                raise NoCampaign
            if campaign.state != store.OPEN:
                raise NotOpen
            now = await ledger.now()
            reviewers = _reviewers(known, now)
            items = {one.key: one for one in await store.items(connection, quarter, {one.item for one in words})}
            answers = []
            for word in words:
                answer, decision = _judged(word, items.get(word.item), reviewers, person, now)
                if decision is not None and not await store.decide(connection, quarter, decision):
                    answer, decision = Answered(word.item, "decided_already", "somebody said the same before"), None
                await ledger.append(_event(person, quarter, word, answer, decision))
                answers.append(answer)
        return answers

    async def campaigns(self) -> list[store.Campaign]:
        """All campaigns, the latest first."""
        async with self._database.transaction() as connection:
            return await store.campaigns(connection)

    async def review(self, email: str, known: Known, quarter: str) -> list[Reviewable]:
        """The items that a person may decide about, or decided about, or that are their own. Raises NoCampaign."""
        async with self._database.transaction() as connection:
            if await store.find(connection, quarter) is None:
                raise NoCampaign
            now = await Ledger(connection, self._node).now()
            items = await store.items(connection, quarter)
            decisions = await store.decisions(connection, quarter)
        reviewers = _reviewers(known, now)
        said: dict[str, list[Decision]] = {}
        for one in decisions:
            said.setdefault(one.item, []).append(one)
        me = reviewers.speakers.person(email)
        found = []
        for item in items:
            voices = tuple(said.get(item.key, ()))
            capacity = reviewers.capacity(email, item)
            mine = me == reviewers.speakers.person(item.holder) or any(one.reviewer == me for one in voices)
            if isinstance(capacity, str):
                found.append(Reviewable(item, voices, capacity))
            elif mine:
                found.append(Reviewable(item, voices, None))
        return found


def _reviewers(known: Known, now: datetime) -> Reviewers:
    security = known.document.policies.access_requests.approvers.get("security")
    return Reviewers(known.facts(now).speakers, None if security is None else security.group)


def _judged(
    word: Word, item: Item | None, reviewers: Reviewers, person: Principal, now: datetime
) -> tuple[Answered, Decision | None]:
    """What becomes of a word; an item that somebody has no say in answers like one that does not exist."""
    missing = Answered(word.item, "unknown_item", "the campaign has no such item that you have a say in")
    if item is None or person.email is None:
        return missing, None
    capacity = reviewers.capacity(person.email, item)
    if isinstance(capacity, NotAReviewer):
        own = capacity.code in ("own_binding", "had_a_hand", "not_employed")
        return (Answered(word.item, capacity.code, capacity.why) if own else missing), None
    if word.hash != item.hash:
        return Answered(word.item, "other_text", "this is not the text that was asked about; read the item again"), None
    decision = Decision(
        item=item.key,
        hash=item.hash,
        verdict=word.verdict,
        reason=word.reason,
        reviewer=reviewers.speakers.person(person.email),
        capacity=capacity,
        sub=person.subject,
        acr=person.acr or person.assurance_level.value,
        auth_time=person.auth_time or 0,
        session=person.session,
        at=now,
    )
    return Answered(word.item, "taken"), decision


def _event(person: Principal, quarter: str, word: Word, answer: Answered, decision: Decision | None) -> AuditEvent:
    return event_by(
        person,
        "certification.decided",
        "denied" if decision is None else "success",
        action=f"certify:{word.verdict.value}",
        resource=f"campaign {quarter} item {word.item}",
        reason=None if decision is not None else answer.code,
    )
