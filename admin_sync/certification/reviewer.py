"""Who may decide about a binding. Pure.

A reviewer has a say in it (they lead the holder, own what it gives, or belong to security) and no hand in it: they
are neither the holder nor anybody who asked for it, approved it or wrote it into the file, by whatever address.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from admin_sync.access.speakers import Speakers
from admin_sync.certification.item import Item

MANAGER, OWNER, SECURITY = "manager", "system_owner", "security"


@dataclass(frozen=True, slots=True)
class NotAReviewer:
    """Somebody may not decide about an item. `code` is stable; `why` says it to them."""

    code: str
    why: str


@dataclass(frozen=True, slots=True)
class Reviewers:
    """The people of one configuration and one roster, asked about many items."""

    speakers: Speakers
    security_group: str | None
    """The group of `access_requests.approvers.security`; without one, nobody speaks for security."""
    _known: dict[tuple[str, tuple[str, ...]], frozenset[str]] = field(default_factory=dict, repr=False, compare=False)

    def capacity(self, email: str, item: Item) -> str | NotAReviewer:
        """As what somebody may decide about an item, or why not."""
        person = self.speakers.person(email)
        if not self.speakers.employed(email):
            return NotAReviewer("not_employed", "the HR roster does not have you as employed; ask HR to correct it")
        if person == self.speakers.person(item.holder):
            return NotAReviewer("own_binding", "it is your own; somebody else decides about it")
        if person in {self.speakers.person(one) for one in item.provisioners}:
            why = "you asked for it, approved it or wrote it into the file; somebody who did not decides about it"
            return NotAReviewer("had_a_hand", why)
        return self._say(email, person, item) or NotAReviewer(
            "no_say", "you neither lead the holder nor own what it gives nor belong to security"
        )

    def _say(self, email: str, person: str, item: Item) -> str | None:
        if self.speakers.leads(email, item.holder):
            return MANAGER
        if any(person in self._members(owner, item.environments) for owner in item.owners):
            return OWNER
        group = self.security_group
        return SECURITY if group is not None and person in self._members(group, item.environments) else None

    def _members(self, group: str, environments: Collection[str]) -> frozenset[str]:
        # Thousands of items ask about the same few groups, and each answer reads every binding.
        key = (group, tuple(sorted(environments)))
        if key not in self._known:
            self._known[key] = self.speakers.members(group, environments)
        return self._known[key]
