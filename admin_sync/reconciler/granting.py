"""Approved requests become bindings, each in a commit of its own in the name of who asked.

    due ─▶ committed already? ─ no ─▶ take ─▶ verify on the head, under the repository's lock ─▶ commit

Killed before the commit, the request is still approved and taken, and is verified again. Killed after it, the
commit says by its trailer that it was done. So nothing is granted twice, and nothing that was taken back in the
meantime (an offboarding, an operator) comes back.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from admin_sync.access.kinds import GrantPayload, read_payload
from admin_sync.access.request import Record, Request
from admin_sync.access.speakers import Speakers
from admin_sync.access.state import State
from admin_sync.access.verified import problems
from admin_sync.errors import AdminSyncError, InvalidInput
from admin_sync.load.document import Document
from admin_sync.load.schema import Binding
from admin_sync.reconciler.requests import Requests
from admin_sync.repository import Repository
from admin_sync.roster import Roster, read

KINDS: Final = ("grant", "exception")
"""The kinds whose effect is a binding."""


@dataclass(frozen=True, slots=True)
class Granted:
    """A request whose binding is committed."""

    record: Record
    commit: str


@dataclass(frozen=True, slots=True)
class Proposed:
    """A request whose binding waits in a pull request."""

    record: Record
    pull_request: str


class Unfit(AdminSyncError):
    """A request must not take effect."""


def grant(
    repository: Repository, requests: Requests, record: Record, roster: Roster | None
) -> Granted | Proposed | None:
    """Commit what a request gives; None where it will never take effect, which is then reported.

    Raises RequestsUnavailable, RepositoryBusy, Refused, GitFailed, and InvalidInput where the configuration itself
    is not valid. After all of these the request is as it was.
    """
    request = record.request
    done = repository.granted_by(request.id)
    if done is not None:
        return Granted(record, done)
    now = requests.now()
    if now >= request.expires:
        requests.expired(request.number)
        return None
    taken = requests.take(request.number)
    if taken is None:
        return None
    try:
        return _committed(repository, requests, taken, roster, now)
    except Unfit as problem:
        requests.failed(request.number, str(problem))
        return None


def binding_of(record: Record, speakers: Speakers) -> Binding:
    """The binding that a request of one of `KINDS` gives. Raises Unfit for one that has no such form."""
    request = record.request
    try:
        payload = read_payload(request.kind, request.payload)
        if not isinstance(payload, GrantPayload):
            raise Unfit(f"{request.id} is no grant")
        target = {"role": payload.role} if payload.role is not None else {"group": payload.group}
        return Binding.model_validate(
            {
                "subject": {"user": request.subject},
                **target,
                "environments": list(request.environments),
                "expires": _instant(request.expires),
                "request": request.id,
                "justification": request.justification,
                "approvals": approvals_of(record, speakers),
            }
        )
    except (KeyError, ValueError) as problem:
        raise Unfit(f"{request.id} cannot be written as a grant ({type(problem).__name__})") from None


def approvals_of(record: Record, speakers: Speakers) -> list[dict[str, str]]:
    """The approvals as a binding has them: people approve with whichever account, the file names the person."""
    return [
        {"by": speakers.named(one.person, one.capacity), "as": one.capacity, "at": _instant(one.at)}
        for one in record.approvals
    ]


def roster_of(path: Path | None) -> Roster | None:
    """The HR roster as it is now; None where none is configured, and then nobody has a manager. Raises InvalidInput."""
    return None if path is None else read(path)


def _committed(
    repository: Repository, requests: Requests, record: Record, roster: Roster | None, now: datetime
) -> Granted | Proposed | None:
    request = record.request
    opened = False
    try:
        with repository.change(
            request.requester,
            f"Grant {_target(request)} to {request.subject} in {', '.join(request.environments)}",
            reason=request.justification,
            branch=f"access-{request.id}",
        ) as change:
            opened = True
            done = repository.granted_by(request.id)
            if done is None and any(one.request == request.id for one in change.document.bindings.bindings):
                # A forge may merge with another message than ours.
                done = repository.git.text("rev-parse", "HEAD")
            if done is not None:
                # Another reconciler had the lock before us.
                return Granted(record, done)
            if requests.take(request.number) is None:
                # Cancelled since, by whoever offboards somebody: they look for its grant after that, and find none.
                return None
            found = problems(change.document, roster, record, others(requests, change.document, roster, request), now)
            if found:
                raise Unfit("; ".join(map(str, found)))
            change.add(binding_of(record, Speakers(change.document, roster, now)))
    except InvalidInput as problem:
        if not opened:
            raise
        # Somebody may have committed a broken configuration meanwhile, which says nothing about the grant.
        repository.document()
        raise Unfit("; ".join(f"{one.code}: {one.message}" for one in problem.findings)) from None
    if change.committed is None:
        raise Unfit(f"{request.id} changes nothing: the grant is there already")
    if change.committed.pull_request is not None:
        return Proposed(record, change.committed.pull_request)
    return Granted(record, change.committed.commit)


def others(requests: Requests, document: Document, roster: Roster | None, request: Request) -> Sequence[Request]:
    """What else was approved for the same person and may not be in the file yet; of grants those that can be any."""
    speakers = Speakers(document, roster, document.now)
    found = []
    for one in requests.of_person(speakers.person(request.subject)):
        if one.state is not State.APPROVED or one.request.number == request.number:
            continue
        with suppress(Unfit):
            if one.request.kind in KINDS:
                binding_of(one, speakers)
            found.append(one.request)
    return found


def _target(request: Request) -> str:
    try:
        payload = read_payload(request.kind, request.payload)
    except (KeyError, ValueError):
        payload = None
    if not isinstance(payload, GrantPayload):
        raise Unfit(f"{request.id} is no grant")
    return payload.target


def _instant(when: datetime) -> str:
    return when.isoformat()
