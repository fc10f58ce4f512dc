"""Why a request cannot be made, or cannot be agreed to any more. Pure; every reason of a request at once.

The same rules are asked when a request is made, at every approval inside its transaction, and by the reconciler
before anything takes effect. Times are judged by the instant that the caller gives, which is the database's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from pydantic import ValidationError

from admin_sync.access.chain import Need
from admin_sync.access.kinds import KINDS, Asked, Kind, read_payload
from admin_sync.access.refusal import Refusal
from admin_sync.access.request import Request
from admin_sync.access.separation import conflicts_of
from admin_sync.access.speakers import Matter, Speakers
from admin_sync.check.escalation import across
from admin_sync.load.document import Document

SHORTEST_REASON: Final = 10
"""Characters that a justification has at least."""
MOST: Final = 100
"""Requests that one person may have open or approved at a time: each is read by whoever might decide about it."""
_BESIDE: Final = frozenset({"half", "rules"})
_SKEW: Final = timedelta(minutes=2)
"""How far the clock of whoever wrote `starts` and `expires` may be from ours."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a request is judged by: configuration, people and time."""

    document: Document
    speakers: Speakers
    now: datetime


def asked_of(facts: Facts, request: Request) -> Asked:
    """The request as its kind wants to be asked about it. Raises KeyError and ValidationError for no such kind."""
    payload = read_payload(request.kind, request.payload)
    return Asked(payload, request.subject, request.environments, facts.speakers)


def matter_of(request: Request) -> Matter:
    """The request as far as it matters for who may speak."""
    return Matter(request.environments, request.requester, request.subject)


def needs_of(facts: Facts, request: Request) -> tuple[Need, ...]:
    """The approvals that today's policies ask for."""
    return KINDS[request.kind].needs(facts.document, asked_of(facts, request))


def refusals(
    facts: Facts,
    request: Request,
    others: Sequence[Request],
    also: Mapping[str, Collection[str]] | None = None,
) -> list[Refusal]:
    """Every reason why a request cannot be made now. `others` are the open and approved ones of the same person.

    `also` is what `conflicts_of` says.
    """
    found = list(_of_shape(facts, request))
    if found:
        # Roles, environments or a kind that do not exist answer no further question.
        return found
    found += _of_times(facts, request, facts.now)
    if request.starts is not None and request.starts < facts.now - _SKEW:
        found.append(Refusal("starts-in-the-past", "leave starts out for as soon as it is approved"))
    found += _repeated(facts, request, others)
    found += conflicts_of(facts.document, facts.speakers, request, others, now=facts.now, also=also)
    found += _nobody(facts, request)
    return found


def elsewhere(document: Document, realm: str | None, environments: Iterable[str]) -> list[Refusal]:
    """The environments for which a login in the realm of another one counts for nothing.

    `environments.<name>.deny_roles_from` keeps roles of a realm out; a say there would bring them in after all. A realm
    that nobody noted (None) could be any of those that are kept out.
    """
    kept_out = {name: one.deny_roles_from for name, one in document.policies.environments.items()}
    denying = [
        name for name in environments if (realm in kept_out.get(name, ()) if realm is not None else kept_out.get(name))
    ]
    return [
        Refusal(
            "another-realm",
            f"who logs in to {realm or 'a realm that nobody noted'} has no say about {name} "
            f"(environments.{name}.deny_roles_from); use the access service that people log in to with the realm of "
            f"{name}",
        )
        for name in denying
    ]


def still_refused(facts: Facts, request: Request, others: Iterable[Request]) -> list[Refusal]:
    """Every reason why a request that was made cannot be agreed to, or take effect, now."""
    found = list(_of_shape(facts, request))
    if found:
        return found
    if request.expires <= facts.now:
        return [Refusal("expired", "its end has passed; ask again")]
    return [
        *_of_times(facts, request, request.asked_at),
        *conflicts_of(facts.document, facts.speakers, request, others, now=facts.now),
    ]


def _of_shape(facts: Facts, request: Request) -> Iterator[Refusal]:
    """What does not exist, or is not of the right form."""
    document = facts.document
    if request.kind not in KINDS:
        yield Refusal("unknown-kind", f"there is no such kind; there are {', '.join(KINDS)}")
        return
    kind = KINDS[request.kind]
    for name in request.environments:
        if name not in document.environments:
            yield Refusal(
                "unknown-environment", f"there is no such environment; there are {', '.join(document.environments)}"
            )
    if not request.environments or len(set(request.environments)) != len(request.environments):
        yield Refusal("environments", "name each environment that it is for once")
    crossed = across(document, request.environments)
    if crossed is not None:
        yield Refusal(
            "crosses-environments", f"what is for {crossed[0]} does not reach {crossed[1]}; ask for each by itself"
        )
    if len(request.justification.strip()) < SHORTEST_REASON or not request.justification.isprintable():
        yield Refusal(
            "justification", f"say in one line of at least {SHORTEST_REASON} characters what it is needed for"
        )
    if facts.document.barred(request.subject) or document.barred(facts.speakers.person(request.subject)):
        yield Refusal("barred", "this person holds nothing any more (role_bindings.yaml: barred)")
    if kind.own_only and facts.speakers.person(request.requester) != facts.speakers.person(request.subject):
        yield Refusal("own-only", "this is only for whoever asks; ask as the person who needs it")
    try:
        yield from kind.refuses(document, asked_of(facts, request))
    except ValidationError:
        yield Refusal("payload", f"this is no payload of the kind {kind.name}")


def _of_times(facts: Facts, request: Request, asked_at: datetime) -> Iterator[Refusal]:
    begin = request.starts or asked_at
    if request.expires <= begin:
        yield Refusal("end-before-start", "it would end before it starts; give a later end")
        return
    kind = KINDS[request.kind]
    longest = kind.longest(facts.document, asked_of(facts, request))
    # Differences, because a sum could leave the calendar.
    if request.expires - begin > longest + _SKEW:
        yield Refusal("too-long", f"at most {shown(longest)}; it can be asked for again")
    # A file of bindings says when something was approved and not when it starts: no grant may end later after its
    # approval than any may last (`check.grants`, `holdings.excepted`), and it is approved after it was asked for.
    # Only what is planned is asked for weeks ahead: an exception, an emergency and a lost factor are now.
    reach = (
        max(longest, facts.document.policies.access_requests.default.max_duration) if kind.name == "grant" else longest
    )
    if request.expires - asked_at > reach + _SKEW:
        yield Refusal("too-far", f"it would end more than {shown(reach)} from now; ask when it is nearer")


def _repeated(facts: Facts, request: Request, others: Iterable[Request]) -> Iterator[Refusal]:
    for other in others:
        same = (other.kind, _wanted(other)) == (request.kind, _wanted(request))
        if same and set(other.environments) & set(request.environments):
            yield Refusal("already-asked", f"{other.id} asks for the same and is not decided or carried out yet")


def _wanted(request: Request) -> dict[str, Any]:
    """What is asked for, whatever else is said about it: another half of a code makes no other bypass."""
    return {name: value for name, value in request.payload.items() if name not in _BESIDE}


def _nobody(facts: Facts, request: Request) -> Iterator[Refusal]:
    """A request that nobody could approve is better refused than left lying."""
    needs = needs_of(facts, request)
    for need in sorted(set(needs)):
        able = facts.speakers.who(need, matter_of(request))
        if len(able) < needs.count(need):
            yield Refusal("no-approver", f"{need}: {needs.count(need)} needed, {len(able)} could; see `--preview`")


def shown(span: timedelta) -> str:
    """A duration as policies write it."""
    seconds = int(span.total_seconds())
    for unit, name in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds and seconds % unit == 0:
            return f"{seconds // unit}{name}"
    return f"{seconds}s"


def kind_of(request: Request) -> Kind:
    """The kind of a request. Raises KeyError for one that no longer exists."""
    return KINDS[request.kind]
