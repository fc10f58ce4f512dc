"""A yes or a no about a request, in one transaction: open still, the same text, a person who has a say.

An approval is of a text and not of a number: it names the hash that the approver was shown.
"""

from __future__ import annotations

from dataclasses import dataclass

from admin_sync.access import answers
from admin_sync.access.chain import Voice, missing
from admin_sync.access.desk import Desk
from admin_sync.access.request import Approval, Record
from admin_sync.access.rules import Facts, elsewhere, kind_of, matter_of, needs_of, still_refused
from admin_sync.access.state import State
from admin_sync.access.store.ledger import Ledger
from admin_sync.access.views import may_see, voices
from identity.audit.event import AuditEvent, event_by
from identity.principal import Principal
from identity.problem import not_found


@dataclass(frozen=True, slots=True)
class Case:
    """One person in front of one open request, in the transaction that decides."""

    ledger: Ledger
    facts: Facts
    principal: Principal
    record: Record


async def approve(
    desk: Desk, principal: Principal, name: str, *, named_hash: str, comment: str | None, capacity: str | None
) -> Record:
    """One person's yes. With the last one that is needed the request is approved.

    `capacity` is None for the first that is missing and that the person has. Raises what `Desk` raises.
    """
    async with desk.recorded(principal, "request.approve", name):
        known = await desk.configured.known()
        desk.gate.stepped_up(principal, known.document)
        async with desk.deciding(name) as (ledger, found):
            facts = known.facts(await ledger.now())
            _known_to(facts, principal, found)
            done, ended = found, await _over(ledger, found, facts)
            if ended is None:
                _at_home(facts, principal, found)
                case = Case(ledger, facts, principal, found)
                await _say_yes(case, await _judged(case, named_hash, capacity, comment), comment)
                done = (await ledger.find(found.request.number)) or found
        desk.told()
        # Said only now, because that it has expired was written in that transaction.
        if ended is not None:
            raise answers.not_open(ended)
    return done


async def deny(desk: Desk, principal: Principal, name: str, *, comment: str) -> Record:
    """One person's no; it ends the request. Whoever could say yes can say no."""
    async with desk.recorded(principal, "request.deny", name):
        known = await desk.configured.known()
        desk.gate.stepped_up(principal, known.document)
        async with desk.deciding(name) as (ledger, found):
            facts = known.facts(await ledger.now())
            _known_to(facts, principal, found)
            done, ended = found, await _over(ledger, found, facts)
            if ended is None:
                _at_home(facts, principal, found)
                if not _voices(facts, principal, found):
                    raise answers.no_say(facts.speakers, principal, found)
                request, by = found.request, principal.email or principal.subject
                await ledger.move(request.number, State.DENIED, at=facts.now, by=by, reason=comment)
                await ledger.append(_line(principal, "request.denied", found, comment), number=request.number)
                done = (await ledger.find(request.number)) or found
        desk.told()
        if ended is not None:
            raise answers.not_open(ended)
    return done


async def _over(ledger: Ledger, record: Record, facts: Facts) -> Record | None:
    """The request if it is not open any more; one whose end has passed becomes expired here and now."""
    if record.state is State.OPEN and record.request.expires <= facts.now:
        number = record.request.number
        await ledger.move(number, State.EXPIRED, at=facts.now, by="access")
        await ledger.append(
            AuditEvent(event="request.expired", outcome="success", actor="access", resource=record.request.id),
            number=number,
        )
        return await ledger.find(number)
    return None if record.state is State.OPEN else record


async def _judged(case: Case, named_hash: str, capacity: str | None, comment: str | None) -> Voice:
    """The voice that the person adds. Raises Problem for every reason why they cannot."""
    facts, principal, record = case.facts, case.principal, case.record
    request = record.request
    if request.hash != record.stored_hash or named_hash != record.stored_hash:
        raise answers.another_text()
    me = facts.speakers.person(principal.email or "")
    if any(me == one.person or principal.subject == one.account for one in record.approvals):
        raise answers.already_spoken()
    able = _voices(facts, principal, record)
    if not able:
        raise answers.no_say(facts.speakers, principal, record)
    others = [
        one.request
        for one in await case.ledger.pending_of(facts.speakers.person(request.subject))
        if one.request.number != request.number
    ]
    found = still_refused(facts, request, others)
    if found:
        raise answers.refused(found)
    needs = needs_of(facts, request)
    lacking = missing(needs, voices(facts, record)) or needs
    for voice in able:
        if capacity in (None, voice.capacity) and any(voice.answers(need) for need in lacking):
            found = list(kind_of(request).voiced(voice.capacity, comment))
            if found:
                raise answers.refused(found)
            return voice
    raise answers.not_needed(lacking)


def _voices(facts: Facts, principal: Principal, record: Record) -> list[Voice]:
    """Everything that somebody could say yes as, in the order of the chain."""
    capacities = dict.fromkeys(need.capacity for need in needs_of(facts, record.request))
    if principal.subject == record.request.requester_account:
        return []
    found = [facts.speakers.voice(principal.email or "", one, matter_of(record.request)) for one in capacities]
    wanted = needs_of(facts, record.request)
    return [one for one in found if one is not None and any(one.answers(need) for need in wanted)]


async def _say_yes(case: Case, voice: Voice, comment: str | None) -> None:
    ledger, facts, principal, record = case.ledger, case.facts, case.principal, case.record
    request, at = record.request, facts.now
    await ledger.approve(
        request.number,
        Approval(
            person=voice.person,
            by=(principal.email or "").lower(),
            account=principal.subject,
            capacity=voice.capacity,
            hash=record.stored_hash,
            at=at,
            acr=principal.assurance_level.value,
            auth_time=principal.auth_time or 0,
            session=principal.session or "",
            realm=principal.environment,
            comment=comment,
        ),
    )
    complete = not missing(needs_of(facts, request), [*voices(facts, record), voice])
    if complete:
        await ledger.move(request.number, State.APPROVED, at=at, by=principal.email or principal.subject)
    event = "request.approved" if complete else "request.endorsed"
    await ledger.append(_line(principal, event, record, f"as {voice.capacity}"), number=request.number)


def _known_to(facts: Facts, principal: Principal, record: Record) -> None:
    """Raises Problem (404) for a request that the person has nothing to do with; reading the trail gives no say."""
    if not may_see(facts, principal, record):
        raise not_found()


def _at_home(facts: Facts, principal: Principal, record: Record) -> None:
    """Raises Problem where a login in this service's realm counts for nothing in an environment of the request."""
    found = elsewhere(facts.document, principal.environment, record.request.environments)
    if found:
        raise answers.refused(found)


def _line(principal: Principal, event: str, record: Record, reason: str | None) -> AuditEvent:
    request = record.request
    told = {"action": f"request:{request.kind}", "resource": f"{request.id} for {request.subject}"}
    return event_by(principal, event, "success", reason=reason, **told)
