"""What a request would change, before anybody asks: permissions by environment, conflicts, who could agree. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from admin_sync.access.chain import Need
from admin_sync.access.refusal import Refusal
from admin_sync.access.request import Request
from admin_sync.access.rules import Facts, matter_of, needs_of, refusals
from admin_sync.access.separation import with_requests
from admin_sync.holdings import Way, holdings
from admin_sync.load.document import Document


@dataclass(frozen=True, slots=True, order=True)
class Gain:
    """A permission that the subject would have and has not, with the way to it."""

    environment: str
    permission: str
    way: Way
    sensitive: bool


@dataclass(frozen=True, slots=True)
class Asked:
    """An approval that is needed, and who could give it."""

    need: Need
    who: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Preview:
    """The whole answer. `refusals` is empty if the request could be made now."""

    gains: tuple[Gain, ...]
    needs: tuple[Asked, ...]
    refusals: tuple[Refusal, ...]


def preview(
    facts: Facts, request: Request, others: Sequence[Request], also: Mapping[str, Collection[str]] | None = None
) -> Preview:
    """What would come of a request. Nothing is gained by one whose target does not exist."""
    found = refusals(facts, request, others, also)
    try:
        needs = needs_of(facts, request)
    except (KeyError, ValueError):
        return Preview((), (), tuple(found))
    asked = tuple(Asked(need, facts.speakers.who(need, matter_of(request))) for need in needs)
    return Preview(gains(facts, request), asked, tuple(found))


def gains(facts: Facts, request: Request) -> tuple[Gain, ...]:
    """Every permission that a grant would add to what its subject holds by bindings, in each environment."""
    person = facts.speakers.person(request.subject)
    if request.kind not in ("grant", "exception"):
        return ()
    before = with_requests(facts.document, facts.speakers, person, (), facts.now)
    after = with_requests(facts.document, facts.speakers, person, (request,), facts.now)
    found = []
    for environment in request.environments:
        had, has = _permissions(before, environment, person), _permissions(after, environment, person)
        for name in sorted(has.keys() - had.keys()):
            declared = facts.document.roles.permissions.get(name)
            found.append(Gain(environment, name, has[name], declared is not None and declared.sensitive))
    return tuple(found)


def _permissions(document: Document, environment: str, person: str) -> dict[str, Way]:
    ways: dict[str, Way] = {}
    for holding in holdings(document, environment, document.now).get(person, ()):
        # What a role includes is a holding of its own; its permissions come with that one's way.
        for permission in document.roles.roles[holding.role].permissions:
            if permission not in ways or len(holding.way) < len(ways[permission]):
                ways[permission] = holding.way
    return ways
