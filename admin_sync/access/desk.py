"""The desk: a person asks, agrees, says no, or takes it back. Each is one transaction that decides.

    lock the person it is about ─▶ read what is asked for them ─▶ judge (rules.py) ─▶ write ─▶ audit line ─▶ commit

Two decisions about one person are never made at the same time, so none is made without knowing the other. What is
refused leaves a line as well.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from admin_sync.access import answers
from admin_sync.access.configured import Configured, Known
from admin_sync.access.gate import Gate, Trail
from admin_sync.access.preview import Preview, preview
from admin_sync.access.request import Record, Request, number_of
from admin_sync.access.rules import MOST, elsewhere, refusals
from admin_sync.access.state import State
from admin_sync.access.store.database import Database
from admin_sync.access.store.ledger import Ledger
from admin_sync.policy import OPENING_PERMISSION
from identity.audit.event import event_by
from identity.principal import Principal
from identity.problem import Problem, forbidden, not_found


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What somebody asks for, before it is a request. `subject` is None for themselves."""

    kind: str
    payload: Mapping[str, Any]
    environments: tuple[str, ...]
    justification: str
    expires: datetime
    starts: datetime | None = None
    subject: str | None = None


class Desk:
    """What people do with requests. `node` is this host's name, `appended` is told of each audit line.

    Every method raises Problem for a no (recorded before it is answered), NotConfigured, DatabaseUnavailable,
    PolicyUnavailable and AuditUnavailable for what nobody knows.
    """

    def __init__(
        self,
        database: Database,
        configured: Configured,
        gate: Gate,
        trail: Trail,
        *,
        node: str,
        appended: Callable[[str], object],
    ) -> None:
        self.database = database
        self.configured = configured
        self.gate = gate
        self._trail = trail
        self._node = node
        self._appended = appended

    async def submit(self, principal: Principal, wish: Wish) -> Record:
        """Makes a request. It is open afterwards, and waits for people."""
        async with self.recorded(principal, "request.submit", wish.kind):
            known = await self.configured.known()
            await self._may_ask_for(principal, known, wish)
            async with self.database.transaction() as connection:
                ledger = Ledger(connection, self._node)
                person = known.facts(await ledger.now()).speakers.person(_subject(principal, wish))
                await ledger.lock_people([person])
                facts = known.facts(await ledger.now())
                number = await ledger.next_number(_highest(known))
                request = _request(principal, wish, number, facts.now)
                others = [one.request for one in await ledger.pending_of(person)]
                found = elsewhere(known.document, principal.environment, request.environments)
                found += refusals(facts, request, others, _seen(principal, request))
                if found:
                    raise answers.refused(found)
                asker = facts.speakers.person(request.requester)
                if await ledger.pending_by(asker) >= MOST:
                    raise answers.too_many(MOST)
                await ledger.insert(request, requester_person=asker, subject_person=person)
                event = event_by(principal, "request.submitted", "success", **_told(request))
                await ledger.append(event, number=number)
                made = await ledger.find(number)
        self.told()
        if made is None:
            raise LookupError("a request that was just made is not there")
        return made

    async def preview(self, principal: Principal, wish: Wish) -> Preview:
        """What a request would change and who could agree, without making it."""
        known = await self.configured.known()
        await self._may_ask_for(principal, known, wish)
        async with self.database.transaction() as connection:
            ledger = Ledger(connection, self._node)
            facts = known.facts(await ledger.now())
            # A number that no file can know: `0` is no request's.
            request = _request(principal, wish, 0, facts.now)
            others = [one.request for one in await ledger.pending_of(facts.speakers.person(request.subject))]
        found = preview(facts, request, others, _seen(principal, request))
        away = elsewhere(known.document, principal.environment, request.environments)
        return replace(found, refusals=(*away, *found.refusals))

    async def cancel(self, principal: Principal, name: str, comment: str | None) -> Record:
        """Takes a request back: whoever asked or would be given something, or who may assign roles."""
        async with self.recorded(principal, "request.cancel", name):
            known = await self.configured.known()
            async with self.deciding(name) as (ledger, record):
                speakers = known.facts(await ledger.now()).speakers
                me = speakers.person(principal.email or "")
                request = record.request
                own = me in (speakers.person(request.requester), speakers.person(request.subject))
                if not own and not await self.gate.allowed(principal, "role:assign"):
                    raise not_found()
                if record.state not in (State.OPEN, State.APPROVED) or record.taken_at is not None:
                    raise answers.not_open(record)
                by = principal.email or principal.subject
                await ledger.move(request.number, State.CANCELLED, at=await ledger.now(), by=by, reason=comment)
                event = event_by(principal, "request.cancelled", "success", reason=comment, **_told(request))
                await ledger.append(event, number=request.number)
                done = await ledger.find(request.number)
        self.told()
        return done or record

    @asynccontextmanager
    async def deciding(self, name: str) -> AsyncIterator[tuple[Ledger, Record]]:
        """A transaction in which nobody else decides about the request, or about anything for the same person.

        Raises Problem (404) for a request that is not there.
        """
        number = number_of(name)
        if number is None:
            raise not_found()
        async with self.database.transaction() as connection:
            ledger = Ledger(connection, self._node)
            person = await ledger.subject_of(number)
            if person is None:
                raise not_found()
            await ledger.lock_people([person])
            record = await ledger.find(number, lock=True)
            if record is None:
                raise not_found()
            yield ledger, record

    @asynccontextmanager
    async def recorded(self, principal: Principal, event: str, resource: str) -> AsyncIterator[None]:
        """Records a Problem that is raised inside as a denial, before it goes on its way."""
        try:
            yield
        except Problem as problem:
            reason = problem.reason or problem.slug.replace("-", "_")
            # What could be no name of ours is not repeated.
            named = resource if number_of(resource) is not None or resource.isidentifier() else "?"
            await self._trail.record(event_by(principal, event, "denied", resource=named, reason=reason))
            raise

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Ledger]:
        """A transaction without any lock: for reading, or for work of other kinds of requests."""
        async with self.database.transaction() as connection:
            yield Ledger(connection, self._node)

    def told(self) -> None:
        """Says that there are lines to ship."""
        self._appended("-")

    async def _may_ask_for(self, principal: Principal, known: Known, wish: Wish) -> None:
        """Everybody who works here asks for themselves; for others their managers do, and who may assign roles.

        A member of a partner is given roles inside it, and is told nothing of ours: neither roles nor names.
        """
        async with self.transaction() as ledger:
            speakers = known.facts(await ledger.now()).speakers
        subject, asker = _subject(principal, wish), principal.email or ""
        if principal.organizations and not speakers.employed(asker):
            raise forbidden()
        if wish.kind == "break_glass" and not await self.gate.could(principal, OPENING_PERMISSION):
            # Found out after two people agreed, it would cost the minutes that matter.
            raise answers.no_responder()
        if speakers.person(subject) == speakers.person(asker) or speakers.leads(asker, subject):
            return
        if not await self.gate.allowed(principal, "role:assign"):
            raise forbidden()


def _subject(principal: Principal, wish: Wish) -> str:
    return (wish.subject or principal.email or "").lower()


def _request(principal: Principal, wish: Wish, number: int, now: datetime) -> Request:
    return Request(
        number=number,
        kind=wish.kind,
        requester=(principal.email or "").lower(),
        requester_account=principal.subject,
        subject=_subject(principal, wish),
        payload=wish.payload,
        environments=wish.environments,
        justification=wish.justification.strip(),
        asked_at=now,
        starts=None if wish.starts is None else wish.starts.replace(microsecond=0),
        expires=wish.expires.replace(microsecond=0),
    )


def _told(request: Request) -> dict[str, str]:
    """What an audit line says about a request; who reads it finds the rest by the name."""
    return {"action": f"request:{request.kind}", "resource": f"{request.id} for {request.subject}"}


def _seen(principal: Principal, request: Request) -> dict[str, frozenset[str]]:
    """Roles that the asker's own token shows: perhaps by a mapping that no binding knows of."""
    if (principal.email or "").lower() != request.subject or principal.environment not in request.environments:
        return {}
    return {principal.environment: principal.groups}


def _highest(known: Known) -> int:
    """The highest number of a request that the configuration knows: of another database, or of before this one."""
    names = (binding.request for binding in known.document.bindings.bindings)
    return max((number_of(name) or 0 for name in names if name is not None), default=0)
