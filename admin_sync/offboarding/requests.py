"""What the person asked for, or was to be given, and what waits for them to decide.

Read and written in the database, as the reconciler does: an offboarding must not need a service that may be
away. An approval is owed by a capacity and not by a person, so what they cannot give any more somebody else of the
same capacity can; who that is now is noted in the trail of each request, and a request that nobody is left for is said.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from admin_sync import roster
from admin_sync.access.chain import Need, Voice, missing
from admin_sync.access.request import Record
from admin_sync.access.rules import Facts, matter_of, needs_of
from admin_sync.access.settings import DatabaseSettings
from admin_sync.access.speakers import Matter, Speakers
from admin_sync.access.store.database import DatabaseUnavailable
from admin_sync.access.store.handover import Handover
from admin_sync.errors import Misconfigured
from admin_sync.load.document import Document
from admin_sync.model import Json
from admin_sync.offboarding.case import EVERYWHERE, Case, Item, NotDone
from admin_sync.repository import Repository, Selector, repository_settings
from identity.audit.event import AuditEvent
from identity.secret import SecretUnreadable

Result = TypeVar("Result")


class Requests:
    """Cancels what is open or approved and was asked by them or for them."""

    code = "requests"
    says = "open requests cancelled"

    def places(self, case: Case) -> Sequence[str]:
        """One database for all environments."""
        return (EVERYWHERE,)

    def look(self, case: Case, place: str) -> Sequence[Item]:
        """Each request by its id."""
        return [
            Item(one.request.id, {"number": one.request.number, "kind": one.request.kind, "state": one.state.value})
            for one in _ask(case, lambda handover: self._pending(case, handover))
        ]

    async def _pending(self, case: Case, handover: Handover) -> list[Record]:
        speakers = _speakers(case, case.document, await handover.now())
        found: dict[int, Record] = {}
        for person in {*(speakers.person(one) for one in case.addresses), *case.addresses}:
            for one in (*await handover.of_person(person), *await handover.by_person(person)):
                found[one.request.number] = one
        return [found[number] for number in sorted(found)]

    def take(self, case: Case, place: str, item: Item) -> Mapping[str, Json]:
        """Cancel one, and take out the grant that the reconciler may just have committed for it.

        It looks again under the repository's lock before it commits, so whichever of the two is first, none is left.
        """
        number = int(item.detail["number"])
        if not _ask(case, lambda handover: handover.cancelled(number, "offboarding")):
            raise NotDone(f"{item.name} came to another end meanwhile; run this again, which takes what it granted")
        repository = Repository(repository_settings(case.settings.environ))
        with repository.change(case.author, f"Take {item.name} back, cancelled", reason=case.reason) as change:
            change.remove(Selector(request=item.name))
        done = change.committed
        if done is not None and done.pull_request is not None:
            raise NotDone(f"{item.name} is cancelled, and its grant goes with {done.pull_request}; merge that")
        return {} if done is None else {"commit": done.commit}

    def left(self, case: Case, place: str) -> Sequence[Item]:
        """The same, asked anew."""
        return self.look(case, place)


class Approvals:
    """Says of every open request that waited for them who can answer in their place."""

    code = "approvals"
    says = "approvals they owed, and who can give them now"

    def places(self, case: Case) -> Sequence[str]:
        """One database for all environments."""
        return (EVERYWHERE,)

    def look(self, case: Case, place: str) -> Sequence[Item]:
        """Open requests with a need that they could have answered before they were barred."""
        return [
            Item(
                f"{one.request.id} needs {need}",
                {"number": one.request.number, "capacity": need.capacity, "now": list(now)},
            )
            for one, need, now in _ask(case, lambda handover: self._owed(case, handover))
        ]

    async def _owed(self, case: Case, handover: Handover) -> list[tuple[Record, Need, tuple[str, ...]]]:
        now = await handover.now()
        document = _as_it_was(case)
        before = _speakers(case, document, now)
        after = _speakers(case, Repository(repository_settings(case.settings.environ)).document(), now)
        theirs = {before.person(one) for one in case.addresses}
        owed = []
        for record in await handover.open_requests():
            matter = matter_of(record.request)
            facts = Facts(document, before, now)
            heard = _heard(before, record, matter)
            for need in sorted(set(missing(needs_of(facts, record.request), heard))):
                if theirs.intersection(before.who(need, matter)):
                    owed.append((record, need, tuple(one for one in after.who(need, matter) if one not in theirs)))
        return owed

    def take(self, case: Case, place: str, item: Item) -> Mapping[str, Json]:
        """Note it in the trail of the request. Where nobody is left it fails, because only people can mend that."""
        others = [str(one) for one in item.detail["now"]]
        number = int(item.detail["number"])
        event = AuditEvent(
            event="request.reassigned",
            outcome="success" if others else "failure",
            actor=f"offboarding:{case.author}",
            action="request:approve",
            resource=item.name,
            reason=f"{case.email} left; now: {', '.join(others) or 'nobody'}",
        )
        _ask(case, lambda handover: handover.noted(event, number))
        if not others:
            raise NotDone(f"{item.name}, and nobody is left who could give it; name another in the roster or the group")
        return {"now": list(others)}

    def left(self, case: Case, place: str) -> Sequence[Item]:
        """A note stays a note: nothing of this is ever gone before somebody else has decided."""
        return ()


def _heard(speakers: Speakers, record: Record, matter: Matter) -> list[Voice]:
    voices = (speakers.voice(one.by, one.capacity, matter) for one in record.approvals)
    return [one for one in voices if one is not None]


def _as_it_was(case: Case) -> Document:
    """The configuration as if they had not left: also a run that goes on after a crash knows what they could decide."""
    others = [one for one in case.document.bindings.bindings if one.subject.user.lower() not in case.addresses]
    bindings = case.document.bindings.model_copy(update={"bindings": [*others, *case.held], "barred": []})
    return replace(case.document, bindings=bindings)


def _speakers(case: Case, document: Document, now: datetime) -> Speakers:
    path = case.settings.environ.get("ACCESS_ROSTER_FILE")
    return Speakers(document, roster.read(Path(path)) if path else None, now)


def _ask(case: Case, work: Callable[[Handover], Awaitable[Result]]) -> Result:
    environ: Mapping[str, Any] = case.settings.environ
    url, password = (
        environ.get("ACCESS_RECONCILER_DATABASE_URL"),
        environ.get("ACCESS_RECONCILER_DATABASE_PASSWORD_FILE"),
    )
    if not url or not password:
        raise Misconfigured(
            "set ACCESS_RECONCILER_DATABASE_URL and ACCESS_RECONCILER_DATABASE_PASSWORD_FILE to reach the requests"
        )

    async def asked() -> Result:
        made = DatabaseSettings(database_url=url, database_password_file=password)
        handover = await Handover.open(made, node=case.settings.node, actor=f"offboarding:{case.author}")
        try:
            return await work(handover)
        finally:
            await handover.close()

    try:
        return asyncio.run(asked())
    except (DatabaseUnavailable, SecretUnreadable) as problem:
        raise NotDone(f"the requests cannot be reached: {problem}") from None
