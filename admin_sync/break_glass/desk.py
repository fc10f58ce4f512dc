"""What people do with openings: fetch the proof, close early, review. Each is one transaction with its audit line.

Who reviews is who could have approved and did not, or an owner of the role that an opening gives: neither the opener
nor one of those who agreed, whichever account they use.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from admin_sync.access import answers
from admin_sync.access.desk import Desk
from admin_sync.access.request import Record, number_of
from admin_sync.access.rules import Facts, elsewhere
from admin_sync.access.speakers import Matter
from admin_sync.access.state import State
from admin_sync.break_glass.accounts import address, role
from admin_sync.break_glass.proof import Approved, Proof, Signer
from admin_sync.break_glass.stage import Opening, Review, Verdict
from admin_sync.break_glass.store import Openings
from identity.audit.event import AuditEvent, event_by
from identity.principal import Principal
from identity.problem import Problem, not_found, unavailable


@dataclass(frozen=True, slots=True)
class Shown:
    """An opening as one person sees it, at an instant."""

    opening: Opening
    now: datetime
    may_close: bool
    may_review: bool


class EmergencyDesk:
    """Openings for people. `signer` is None where no key is configured; then nobody is given a proof.

    Every method raises Problem for a no (recorded before it is answered), NotConfigured, DatabaseUnavailable,
    PolicyUnavailable and AuditUnavailable for what nobody knows.
    """

    def __init__(self, desk: Desk, openings: Openings, signer: Signer | None) -> None:
        self._desk = desk
        self._openings = openings
        self._signer = signer

    async def listed(self, principal: Principal) -> Sequence[Shown]:
        """The openings that somebody may know of, newest first."""
        facts = await self._facts()
        watching = await self._desk.gate.allowed(principal, "audit:view")
        found = [_shown(facts, principal, one) for one in await self._openings.latest()]
        me = facts.speakers.person(principal.email or "")
        return [
            one
            for one in found
            if watching or one.may_close or one.may_review or me in (one.opening.opener, *one.opening.approvers)
        ]

    async def proof(self, principal: Principal, name: str) -> Proof:
        """The word to the vault that this very person's request was approved, and that it is open now."""
        async with self._desk.recorded(principal, "break_glass.prove", name):
            facts = await self._facts()
            self._desk.gate.stepped_up(principal, facts.document)
            if self._signer is None:
                raise unavailable(
                    "approval-key-missing",
                    "This service signs no proofs; set ACCESS_APPROVAL_KEY_FILE and start it again.",
                    retry_after=60,
                )
            opening, record = await self._found(name)
            request = record.request
            # The account that asked, not only the person: another account of theirs proved something else.
            if principal.subject != request.requester_account or (principal.email or "").lower() != request.requester:
                raise not_found()
            if opening is None:
                raise _not_yet(record)
            _at_home(facts, principal, opening)
            if record.state is not State.FULFILLED or opening.closed_at is not None or opening.over(facts.now):
                raise _over()
            approved = Approved(
                request=request.id,
                hash=record.stored_hash,
                subject=principal.subject,
                email=request.requester,
                environment=opening.environment,
                account=opening.account,
                until=opening.until,
            )
            async with self._desk.transaction() as ledger:
                event = event_by(principal, "break_glass.proved", "success", **_about(opening))
                await ledger.append(event, number=opening.number)
            self._desk.told()
            return Proof(self._signer.sign(approved, facts.now), opening.environment, opening.account)

    async def close(self, principal: Principal, name: str) -> Shown:
        """Asks the reconciler to close it now: who opened it, or who could have agreed. Twice is as good as once."""
        async with self._desk.recorded(principal, "break_glass.close", name):
            facts = await self._facts()
            opening, _ = await self._opened(name)
            shown = _shown(facts, principal, opening)
            if not shown.may_close:
                raise not_found()
            event = event_by(principal, "break_glass.close_asked", "success", **_about(opening))
            by = (principal.email or principal.subject).lower()
            await self._openings.ask_to_close(opening.number, by, facts.now, event)
            self._desk.told()
            return _shown(facts, principal, await self._again(opening))

    async def review(self, principal: Principal, name: str, verdict: Verdict, findings: str) -> Shown:
        """Says what an opening was used for, and whether it should have been."""
        async with self._desk.recorded(principal, "break_glass.review", name):
            facts = await self._facts()
            self._desk.gate.stepped_up(principal, facts.document)
            opening, _ = await self._opened(name)
            _at_home(facts, principal, opening)
            if not _shown(facts, principal, opening).may_review:
                raise _no_review(facts, principal, opening)
            me = facts.speakers.person(principal.email or "")
            event = self._reviewed(principal, opening, verdict)
            if not await self._openings.review(opening.number, Review(me, verdict, findings, facts.now), event):
                raise _not_to_review(await self._again(opening))
            self._desk.told()
            return _shown(facts, principal, await self._again(opening))

    async def figures(self) -> tuple[int, int, int]:
        """Openings that are not closed, that wait for a review, and whose review is overdue."""
        now = await self._openings.now()
        found = await self._openings.unfinished()
        return (
            sum(one.closed_at is None for one in found),
            sum(one.red() for one in found),
            sum(one.overdue(now) for one in found),
        )

    async def _facts(self) -> Facts:
        known = await self._desk.configured.known()
        return known.facts(await self._openings.now())

    async def _opened(self, name: str) -> tuple[Opening, Record]:
        opening, record = await self._found(name)
        if opening is None:
            raise not_found()
        return opening, record

    async def _found(self, name: str) -> tuple[Opening | None, Record]:
        number = number_of(name)
        if number is None:
            raise not_found()
        opening = await self._openings.one(number)
        async with self._desk.transaction() as ledger:
            record = await ledger.find(number)
        if record is None:
            raise not_found()
        return opening, record

    async def _again(self, opening: Opening) -> Opening:
        return await self._openings.one(opening.number) or opening

    @staticmethod
    def _reviewed(principal: Principal, opening: Opening, verdict: Verdict) -> AuditEvent:
        return event_by(principal, "break_glass.reviewed", "success", reason=verdict.value, **_about(opening))


def _shown(facts: Facts, principal: Principal, opening: Opening) -> Shown:
    me = facts.speakers.person(principal.email or "")
    # Not as the request has it: whoever agreed has a say about closing, and only a review is for others alone.
    has_say = _has_say(facts, principal.email or "", opening)
    return Shown(opening, facts.now, me == opening.opener or has_say, has_say and opening.may_review(me))


def _at_home(facts: Facts, principal: Principal, opening: Opening) -> None:
    """Raises Problem where a login in this service's realm counts for nothing in the opening's environment."""
    found = elsewhere(facts.document, principal.environment, [opening.environment])
    if found:
        raise answers.refused(found)


def _has_say(facts: Facts, email: str, opening: Opening) -> bool:
    """Whether somebody is of those who could have agreed, or owns the role that an opening gives."""
    matter = Matter((opening.environment,), opening.opener, opening.opener)
    document = facts.document
    if any(facts.speakers.voice(email, one, matter) for one in set(document.policies.break_glass.approvals)):
        return True
    given = role(document)
    owners = frozenset(document.roles.roles[given].owners if given is not None else ())
    voices = (
        facts.speakers.voice(email, name, matter)
        for name, one in document.policies.access_requests.approvers.items()
        if one.source == "role_owners"
    )
    return any(voice is not None and voice.owners & owners for voice in voices)


def _about(opening: Opening) -> dict[str, str]:
    return {
        "action": "break_glass",
        "resource": f"user={address(opening.account)} environment={opening.environment} opener={opening.opener}",
    }


def _over() -> Problem:
    return Problem(
        409,
        "not-open",
        "This opening is not open",
        "It waits for the reconciler, or its time is over; look at its state, and ask anew if it is still needed.",
        reason="not_open",
    )


def _not_yet(record: Record) -> Problem:
    """Of a request that is no opening: it waits for people or the reconciler, or it came to nothing."""
    state = record.state
    why = record.reason or "ask anew if it is still needed"
    waits = {State.OPEN: "It waits for approvals.", State.APPROVED: "It is approved; the reconciler opens it now."}
    said = waits.get(state, f"It is {state.value}: {why}.")
    if record.request.kind != "break_glass":
        said = "It asks for no emergency account."
    title, reason = "This opening is not open", f"not_open:{state.value}"
    return Problem(409, "not-open", title, said, extra={"state": state.value}, reason=reason)


def _no_review(facts: Facts, principal: Principal, opening: Opening) -> Problem:
    part = not opening.may_review(facts.speakers.person(principal.email or ""))
    return Problem(
        403,
        "own-opening" if part else "no-say",
        "Nobody reviews what they had a part in" if part else "You have no say about this opening",
        "Somebody else of the approvers' group, or an owner of the role, has to review it.",
        reason="self_review" if part else "no_say",
    )


def _not_to_review(opening: Opening) -> Problem:
    done = opening.reviewed_at is not None
    return Problem(
        409,
        "reviewed-already" if done else "not-closed",
        "This opening was reviewed already" if done else "This opening is not closed yet",
        "A review is not changed; write what came up since into a new record of yours."
        if done
        else "Close it first; it is reviewed as a whole.",
        reason="reviewed" if done else "not_closed",
    )
