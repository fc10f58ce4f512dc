"""What became of requests: grants that are in force, kinds with an effect of their own, and duties."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from admin_sync.access.request import Record
from admin_sync.access.verified import problems
from admin_sync.bundle.errors import BundleError
from admin_sync.errors import AdminSyncError
from admin_sync.keycloak.connection import KeycloakProblem
from admin_sync.load.document import Document
from admin_sync.load.schema import Binding
from admin_sync.reconciler import duties
from admin_sync.reconciler.duties import Hand, Unfulfillable
from admin_sync.reconciler.granting import Granted, others, roster_of
from admin_sync.reconciler.report import Report, Standing
from admin_sync.reconciler.requests import Requests


@dataclass(frozen=True, slots=True)
class InForce:
    """What holds at the end of a turn: the configuration of the head, and where it was brought to."""

    document: Document
    standing: Standing
    head: str
    waiting: Mapping[str, Mapping[str, str]]
    """By environment: grants that wait for their person, with the reason."""

    def everywhere(self, binding: Binding) -> bool:
        """Whether every realm of a grant is at the head, and so is what OPA serves."""
        applied = self.standing.applied
        return self.standing.published == self.head and all(
            applied.get(name) == self.head for name in binding.environments
        )

    def pending(self, binding: Binding) -> dict[str, str]:
        """Why a grant waits, by environment; empty where it does not."""
        who = f"{binding.subject.user.lower()} {binding.target}"
        return {name: self.waiting[name][who] for name in binding.environments if who in self.waiting.get(name, {})}


def settle(requests: Requests, committed: Sequence[Granted], force: InForce, report: Report) -> None:
    """Say of each committed request what came of it.

    A request is fulfilled when its grant is in force everywhere. What waits for its person (a first login, a
    factor) is fulfilled as well, and says so: nothing is left to be done but by that person.
    """
    bindings = {one.request: one for one in force.document.bindings.bindings if one.request is not None}
    for one in committed:
        request = one.record.request
        binding = bindings.get(request.id)
        if binding is None or request.expires <= force.document.now:
            # One that ended before it came into force anywhere stays in the file until every realm is well again.
            _gone(requests, one, force.document.now)
            continue
        if not force.everywhere(binding):
            continue
        result: dict[str, object] = {"commit": one.commit, "environments": list(binding.environments)}
        pending = force.pending(binding)
        if pending:
            result["pending"] = pending
        if requests.fulfilled(request.number, result):
            report.fulfilled.append(request.id)
            since = max([*(approval.at for approval in one.record.approvals), request.starts or request.asked_at])
            report.usable_after.append(max(0.0, (requests.now() - since).total_seconds()))


def fulfil_others(hand: Hand, requests: Requests | None, roster_file: Path | None, report: Report) -> None:
    """Bring about the approved requests whose kind has an effect of its own, each after it was verified again."""
    kinds = tuple(duties.FULFILMENTS)
    if requests is None or not kinds:
        return
    roster = roster_of(roster_file)
    for due in requests.due(*kinds):
        number = due.request.number
        if requests.now() >= due.request.expires:
            requests.expired(number)
            continue
        taken = requests.take(number)
        if taken is None:
            continue
        rest = others(requests, hand.document, roster, taken.request)
        found = problems(hand.document, roster, taken, rest, requests.now())
        if found:
            requests.failed(number, "; ".join(map(str, found)))
            continue
        try:
            result = duties.FULFILMENTS[taken.request.kind](hand, taken)
        except Unfulfillable as problem:
            requests.failed(number, str(problem))
        except (AdminSyncError, KeycloakProblem, BundleError) as problem:
            report.problems.append(f"{taken.request.id}: {problem}")
        else:
            if requests.fulfilled(number, result):
                report.fulfilled.append(taken.request.id)
            else:
                _retracted(hand, taken, report)


def _retracted(hand: Hand, taken: Record, report: Report) -> None:
    """Take back what a request brought about that somebody cancelled meanwhile."""
    retraction = duties.RETRACTIONS.get(taken.request.kind)
    report.problems.append(f"{taken.request.id}: cancelled while it was carried out")
    if retraction is None:
        return
    try:
        retraction(hand, taken)
    except (AdminSyncError, KeycloakProblem) as problem:
        report.problems.append(f"{taken.request.id}: not taken back: {problem}")


def others_due(requests: Requests | None, standing: Standing, now: datetime) -> bool:
    """Whether there is work for `fulfil_others` or `run_duties`."""
    if any(standing.duties.get(duty.name, now) <= now for duty in duties.DUTIES):
        return True
    return requests is not None and bool(duties.FULFILMENTS) and bool(requests.due(*duties.FULFILMENTS))


def run_duties(hand: Hand, standing: Standing, report: Report) -> None:
    """Do what is due; whatever fails is due again with the next turn."""
    for duty in duties.DUTIES:
        if standing.duties.get(duty.name, hand.now) > hand.now:
            continue
        try:
            earlier = duty.work(hand)
        except (AdminSyncError, KeycloakProblem, BundleError) as problem:
            report.problems.append(f"{duty.name}: {problem}")
        else:
            usual = hand.now + duty.every
            standing.duties[duty.name] = usual if earlier is None else min(usual, earlier)


def _gone(requests: Requests, one: Granted, now: datetime) -> None:
    """The commit is in the history and the binding is not in the file: it ended, or somebody took it back."""
    request = one.record.request
    if request.expires <= now:
        requests.expired(request.number)
    else:
        requests.failed(
            request.number, f"taken back after commit {one.commit[:12]}, before it was reported as in force"
        )
