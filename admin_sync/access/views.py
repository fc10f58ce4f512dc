"""Who may see which request, and lists of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from admin_sync.access.chain import Voice, missing
from admin_sync.access.desk import Desk
from admin_sync.access.kinds import KINDS
from admin_sync.access.preview import Asked, Gain, gains
from admin_sync.access.request import Record, number_of
from admin_sync.access.rules import Facts, elsewhere, matter_of, needs_of
from admin_sync.access.state import State
from admin_sync.access.store.rows import APPROVALS, COLUMNS, record
from identity.principal import Principal
from identity.problem import not_found

MOST: Final = 200
"""Requests of one page at most."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A request as one person sees it: what would be gained, which approvals are missing, who could give them."""

    record: Record
    gains: tuple[Gain, ...] = ()
    waiting_for: tuple[Asked, ...] = ()
    may_decide: bool = False


def may_see(facts: Facts, principal: Principal, known: Record) -> bool:
    """Who asked, who would be given something, who has or had a say. Who may read the trail sees all (`one`)."""
    me, request = facts.speakers.person(principal.email or ""), known.request
    if me in (facts.speakers.person(request.requester), facts.speakers.person(request.subject)):
        return True
    return any(me == one.person for one in known.approvals) or _may_decide(facts, principal, known)


async def one(desk: Desk, principal: Principal, name: str) -> Seen:
    """A request. Raises Problem (404) also for one that the person may not know of."""
    number = number_of(name)
    if number is None:
        raise not_found()
    known = await desk.configured.known()
    async with desk.transaction() as ledger:
        facts = known.facts(await ledger.now())
        found = await ledger.find(number)
    if found is None:
        raise not_found()
    if not may_see(facts, principal, found) and not await desk.gate.allowed(principal, "audit:view"):
        raise not_found()
    return seen(facts, principal, found)


async def listed(
    desk: Desk, principal: Principal, view: str, *, state: State | None, after: int, limit: int
) -> tuple[list[Seen], int | None]:
    """A page of requests in the order of their numbers, and the number to go on after, None at the end.

    `mine`: asked by or for the person. `to_decide`: open, and the person has a say that is missing. `all`: needs
    audit:view. Raises Problem.
    """
    if view == "all":
        await desk.gate.require(principal, "audit:view")
    known = await desk.configured.known()
    async with desk.transaction() as ledger:
        facts = known.facts(await ledger.now())
    me = facts.speakers.person(principal.email or "")
    condition = {"mine": "(r.requester_person = $4 OR r.subject_person = $4)", "to_decide": "r.state = 'open'"}
    found: list[Seen] = []
    # Of open requests only some wait for this person, so pages are read until one is full.
    while True:
        page = await _page(desk, condition.get(view, "$4::text IS NOT NULL"), state, after=after, limit=limit, me=me)
        for one_record in page:
            after = one_record.request.number
            if view == "to_decide" and not _awaits(facts, principal, one_record):
                continue
            found.append(seen(facts, principal, one_record))
            if len(found) == limit:
                return found, after
        if len(page) < limit:
            return found, None


def seen(facts: Facts, principal: Principal, known: Record) -> Seen:
    """A request with what it means today. One whose kind or target no longer exists shows only itself."""
    request = known.request
    if known.state is not State.OPEN or not _judgeable(facts, known):
        return Seen(known)
    lacking = missing(needs_of(facts, request), voices(facts, known))
    waiting = tuple(Asked(need, facts.speakers.who(need, matter_of(request))) for need in lacking)
    return Seen(known, gains(facts, request), waiting, _awaits(facts, principal, known))


def voices(facts: Facts, known: Record) -> list[Voice]:
    """What was said so far, as far as it counts: each by who they were when they said it."""
    matter = matter_of(known.request)
    said = ((one, facts.speakers.at(one.at).voice(one.by, one.capacity, matter)) for one in known.approvals)
    return [voice for one, voice in said if voice is not None and one.hash == known.stored_hash]


def _may_decide(facts: Facts, principal: Principal, known: Record) -> bool:
    if not _judgeable(facts, known):
        return False
    matter = matter_of(known.request)
    for need in set(needs_of(facts, known.request)):
        voice = facts.speakers.voice(principal.email or "", need.capacity, matter)
        if voice is not None and voice.answers(need):
            return True
    return False


def _awaits(facts: Facts, principal: Principal, known: Record) -> bool:
    """Whether a yes of this person is one that is missing."""
    me, request = facts.speakers.person(principal.email or ""), known.request
    if not _judgeable(facts, known) or any(one.person == me for one in known.approvals):
        return False
    if request.expires <= facts.now or principal.subject == request.requester_account:
        return False
    if elsewhere(facts.document, principal.environment, request.environments):
        return False
    for need in missing(needs_of(facts, request), voices(facts, known)):
        voice = facts.speakers.voice(principal.email or "", need.capacity, matter_of(request))
        if voice is not None and voice.answers(need):
            return True
    return False


def _judgeable(facts: Facts, known: Record) -> bool:
    request = known.request
    if request.kind not in KINDS:
        return False
    try:
        needs_of(facts, request)
    except (KeyError, ValueError):
        return False
    return True


async def _page(
    desk: Desk, condition: str, state: State | None, *, after: int, limit: int, me: str
) -> Sequence[Record]:
    async with desk.database.transaction() as connection:
        rows = await connection.fetch(
            # The conditions are those of `listed`.
            f"SELECT {COLUMNS} FROM access.request r WHERE {condition} AND r.number > $1"  # noqa: S608
            " AND ($2::text IS NULL OR r.state = $2) AND $4::text IS NOT NULL ORDER BY r.number LIMIT $3",
            after,
            None if state is None else state.value,
            limit,
            me,
        )
        approvals = await connection.fetch(APPROVALS, [row["number"] for row in rows]) if rows else []
    return [record(row, approvals) for row in rows]
