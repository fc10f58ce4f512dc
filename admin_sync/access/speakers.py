"""Who is one person, and in which capacity they may speak about a request. Pure.

Capacities are what `policies.yaml` calls them (`access_requests.approvers`): people whom the roster names as a
manager, members of the groups that own a role, members of a group. Membership counts by live bindings, in every
environment of the request, and never by what a token claims. Without a roster nobody is employed, so nobody speaks.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from admin_sync.access.chain import Need, Voice
from admin_sync.load.document import Document
from admin_sync.roster import Roster, canonical


@dataclass(frozen=True, slots=True)
class Matter:
    """What somebody speaks about: where it holds, and who has no say in it."""

    environments: tuple[str, ...]
    requester: str
    subject: str


class Speakers:
    """The people of one configuration and one roster, at one instant.

    `when` is the instant at which memberships and employment are judged.
    """

    def __init__(self, document: Document, roster: Roster | None, when: datetime) -> None:
        self._document = document
        self._roster = roster
        self._when = when
        self._today = when.astimezone(UTC).date()
        self._members: dict[tuple[str, frozenset[str]], frozenset[str]] = {}

    def at(self, when: datetime) -> Speakers:
        """The same people at another instant."""
        return Speakers(self._document, self._roster, when)

    def person(self, email: str) -> str:
        """The one address by which a person is known, whichever of theirs is given."""
        found = self._roster.find(email) if self._roster is not None else None
        return canonical(found.email if found is not None else email)

    def employed(self, email: str) -> bool:
        """Whether the roster has somebody of this address who works here now."""
        return self._roster is not None and self._roster.employed(email, self._today)

    def leads(self, email: str, other: str) -> bool:
        """Whether somebody is above another, however far."""
        return self.person(email) in self._above(other)

    def members(self, group: str, environments: Collection[str]) -> frozenset[str]:
        """The people who are in a group, or in a subgroup of it, in every one of some environments."""
        question = (group, frozenset(environments))
        if question not in self._members:
            self._members[question] = self._find_members(group, question[1])
        return self._members[question]

    def named(self, person: str, capacity: str) -> str:
        """The address by which the configuration has somebody who speaks in a capacity: the person's own, unless the
        bindings of its group know them by another one only."""
        approver = self._document.policies.access_requests.approvers.get(capacity)
        group = None if approver is None else approver.group
        known = [
            binding.subject.user.lower()
            for binding in self._document.bindings.bindings
            if group is not None
            and f"{binding.group or ''}/".startswith(f"{group}/")
            and self.person(binding.subject.user) == person
        ]
        return known[0] if known and person not in known else person

    def _find_members(self, group: str, environments: frozenset[str]) -> frozenset[str]:
        standing: dict[str, set[str]] = {}
        for binding in self._document.bindings.bindings:
            path = binding.group or ""
            if path != group and not path.startswith(f"{group}/"):
                continue
            if binding.expires is None or binding.expires > self._when:
                standing.setdefault(self.person(binding.subject.user), set()).update(binding.environments)
        return frozenset(person for person, where in standing.items() if where >= environments)

    def voice(self, email: str, capacity: str, matter: Matter) -> Voice | None:
        """What somebody says yes as, None if they have no say in this capacity."""
        person = self.person(email)
        approver = self._document.policies.access_requests.approvers.get(capacity)
        if approver is None or person in self._concerned(matter) or not self._counts(email, person):
            return None
        if self._document.barred(email) or self._document.barred(person):
            return None
        if approver.source == "hr_roster":
            return Voice(person, capacity) if person == self._manager(matter) else None
        if approver.source == "role_owners":
            owned = self._owned_by(person, matter.environments)
            return Voice(person, capacity, owned) if owned else None
        if approver.group is not None and person in self.members(approver.group, matter.environments):
            return Voice(person, capacity)
        return None

    def who(self, need: Need, matter: Matter) -> tuple[str, ...]:
        """Everybody who could answer a need, sorted."""
        found = []
        for person in self._candidates(need, matter):
            voice = self.voice(person, need.capacity, matter)
            if voice is not None and voice.answers(need):
                found.append(person)
        return tuple(sorted(found))

    def _counts(self, email: str, person: str) -> bool:
        """Whether somebody works here and has not been barred, by any of their addresses."""
        return self.employed(email) and not self._document.barred(email) and not self._document.barred(person)

    def _candidates(self, need: Need, matter: Matter) -> Iterable[str]:
        approver = self._document.policies.access_requests.approvers.get(need.capacity)
        if approver is None:
            return ()
        if approver.source == "hr_roster":
            manager = self._manager(matter)
            return () if manager is None else (manager,)
        groups = need.owners if approver.source == "role_owners" else (approver.group,)
        return {one for group in groups if group for one in self.members(group, matter.environments)}

    def _owned_by(self, person: str, environments: Collection[str]) -> frozenset[str]:
        names = {owner for role in self._document.roles.roles.values() for owner in role.owners}
        return frozenset(name for name in names if person in self.members(name, environments))

    def _concerned(self, matter: Matter) -> frozenset[str]:
        return frozenset({self.person(matter.requester), self.person(matter.subject)})

    def _manager(self, matter: Matter) -> str | None:
        """The subject's manager; where that is who asked, the next one above."""
        concerned = self._concerned(matter)
        return next((one for one in self._above(matter.subject) if one not in concerned), None)

    def _above(self, email: str) -> list[str]:
        """Whoever leads somebody, the nearest first. It ends where a manager has left: HR has to name another."""
        line: list[str] = []
        here = email
        while self._roster is not None and (leader := self._roster.manager_of(here, self._today)) is not None:
            person = canonical(leader.email)
            if person in line:
                break
            line.append(person)
            here = leader.email
        return line
