"""The order of things: the most dangerous first, everything looked at before and after, nothing left unsaid.

A step that fails is written down, and the next ones are done all the same. At the end every step looks once more,
because what others did meanwhile (a request that was just being fulfilled, a login that had begun) counts as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from admin_sync.bundle.errors import BundleError
from admin_sync.errors import AdminSyncError, Interrupted
from admin_sync.keycloak.connection import KeycloakProblem, NotReachable
from admin_sync.load.schema import Binding
from admin_sync.model import Json
from admin_sync.offboarding.accounts import Accounts
from admin_sync.offboarding.bindings import Bindings, Decisions
from admin_sync.offboarding.case import EVERYWHERE, Case, Item, Step
from admin_sync.offboarding.journal import BEGUN, DONE, FAILED, FINISHED, RESUMED, STARTED, Journal
from admin_sync.offboarding.leases import Leases
from admin_sync.offboarding.possessions import Credentials, Memberships
from admin_sync.offboarding.requests import Approvals, Requests
from admin_sync.offboarding.sessions import OfflineAccess, Sessions
from admin_sync.trail import Trail

Note = Callable[[str], None]

_EXPECTED = (AdminSyncError, KeycloakProblem, BundleError, OSError)


def steps(trail: Trail | None, *, suspend: bool) -> Sequence[Step]:
    """The table, in its order. A suspension keeps what cannot be given back: credentials, memberships, requests.

    1. accounts: no way to a new token.      2. sessions: no way to keep an old one, and what lives on them.
    3. offline tokens.                       4. and 5. OPA denies what is already out.
    6. leases, which work without a token.   7. credentials, memberships.   8. what waits in the workflow.
    """
    urgent: Sequence[Step] = (Accounts(), Sessions(), OfflineAccess(), Bindings(), Decisions(trail), Leases())
    if suspend:
        return urgent
    return (*urgent, Credentials(), Memberships(), Requests(), Approvals())


def planned(case: Case) -> Iterator[tuple[Step, str, Item | None, str | None]]:
    """What a run would take, without taking any: step, place, and an item or why it cannot be seen."""
    for step in steps(None, suspend=case.keeps_grants):
        for place in step.places(case):
            try:
                for item in step.look(case, place):
                    yield step, place, item, None
            except _EXPECTED as problem:
                yield step, place, None, str(problem)


def carried_out(case: Case, journal: Journal, trail: Trail, note: Note) -> bool:
    """Take everything away; whether all of it is gone. Raises Interrupted when it can be written down nowhere."""
    if journal.resumes:
        journal.add(RESUMED)
        case.held = [Binding.model_validate(one) for one in journal.lines[0]["held"]]
    else:
        case.held = [one for one in case.document.bindings.bindings if one.subject.user.lower() in case.addresses]
        held = [one.model_dump(mode="json", by_alias=True, exclude_none=True) for one in case.held]
        journal.add(STARTED, email=case.email, addresses=list(case.addresses), held=held, by=case.author)
    trail.offboarding("started", case.email, case.author, case.reason)
    table = steps(trail, suspend=case.keeps_grants)
    run = _Run(case, journal, trail)
    troubled = False
    for step in table:
        for place in step.places(case):
            note(f"{step.says}{f' in {place}' if place else ''}")
            troubled |= not run.take(step, place)
        run.away.clear()
    remaining = list(_remaining(table, case))
    for step, place, reason in remaining:
        journal.add(FAILED, step=step.code, place=place, item=None, reason=reason)
    complete = not troubled and not remaining
    journal.add(FINISHED, complete=complete)
    trail.offboarding(
        "finished", case.email, case.author, None if complete else "something is left", failed=not complete
    )
    return complete


@dataclass(frozen=True, slots=True)
class _Run:
    """One run of a case: where it writes down what it does."""

    case: Case
    journal: Journal
    trail: Trail
    away: list[str] = field(default_factory=list)
    """Why Keycloak does not answer in this step: its other realms would only be waited for as long again."""

    def take(self, step: Step, place: str) -> bool:
        """Take away all that a step finds in a place; whether that went well. Raises Interrupted."""
        earlier = self.journal.begun(step.code, place)
        try:
            if self.away:
                raise NotReachable(self.away[0])
            items = list(step.look(self.case, place))
        except Interrupted:
            raise
        except _EXPECTED as problem:
            if isinstance(problem, NotReachable):
                self.away.append(str(problem))
                # It had its time; what does not need it comes first now.
                self.case.connection.budget = 0.0
            self.journal.add(FAILED, step=step.code, place=place, item=None, reason=str(problem))
            return False
        for name in earlier.keys() - {item.name for item in items}:
            # It was begun before a crash and is gone: it took effect, and its line was lost with the process.
            self._gone(step, place, name, {"after": "a run that was cut off"})
        well = True
        for item in items:
            well &= self._one(step, place, item)
        return well

    def _one(self, step: Step, place: str, item: Item) -> bool:
        self.journal.add(BEGUN, step=step.code, place=place, item=item.name, detail=dict(item.detail))
        try:
            said = step.take(self.case, place, item)
        except Interrupted:
            raise
        except _EXPECTED as problem:
            self.journal.add(FAILED, step=step.code, place=place, item=item.name, reason=str(problem))
            return False
        self._gone(step, place, item.name, {**item.detail, **said})
        return True

    def _gone(self, step: Step, place: str, name: str, detail: Mapping[str, Json]) -> None:
        self.trail.revoked(step.code, f"{place}/{name}" if place != EVERYWHERE else name, self.case.email)
        self.journal.add(DONE, step=step.code, place=place, item=name, detail=detail)


def _remaining(table: Sequence[Step], case: Case) -> Iterator[tuple[Step, str, str]]:
    for step in table:
        for place in step.places(case):
            try:
                left = step.left(case, place)
            except _EXPECTED as problem:
                yield step, place, f"whether anything is left cannot be seen: {problem}"
                if isinstance(problem, NotReachable):
                    break
                continue
            if left:
                yield step, place, f"still there: {', '.join(item.name for item in left)}"
