"""Segregation of duties, with everything that is asked for at the same time. Pure.

The question is put to the one check that the whole program has (`check.separation_in_people`), about a
configuration in which the person holds what they hold, what was approved, what is still open, and what they ask
for, under one address. So groups, included roles, several accounts and exceptions are read here as everywhere.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from admin_sync.access.kinds import ExceptionPayload, GrantPayload, read_payload
from admin_sync.access.refusal import Refusal
from admin_sync.access.request import Request, written
from admin_sync.access.speakers import Speakers
from admin_sync.check.separation import separation_in_people
from admin_sync.holdings import holdings
from admin_sync.load.document import Document
from admin_sync.load.schema import Binding
from admin_sync.load.schema.bindings import BindingsFile, Subject

_GRANTS = ("grant", "exception")


def with_requests(
    document: Document, speakers: Speakers, person: str, requests: Iterable[Request], now: datetime
) -> Document:
    """The configuration as it would be for one person if these requests were granted; of nobody else it says anything.

    A binding that a request has already become is not counted twice.
    """
    known = {binding.request for binding in document.bindings.bindings if binding.request is not None}
    held = [
        binding.model_copy(update={"subject": Subject(user=person)})
        for binding in document.bindings.bindings
        if speakers.person(binding.subject.user) == person
    ]
    asked = [as_binding(document, person, one, now) for one in requests if one.kind in _GRANTS and one.id not in known]
    return replace(document, bindings=BindingsFile(version=1, bindings=[*held, *asked]), now=now)


def with_roles(document: Document, person: str, also: Mapping[str, Collection[str]]) -> Document:
    """The configuration with roles that somebody holds besides, unless some binding gives them already."""
    more = []
    for environment, roles in also.items():
        declared = {one.role for one in holdings(document, environment, document.now).get(person, ())}
        more += [
            Binding(subject=Subject(user=person), role=role, environments=[environment])
            for role in roles
            if role in document.roles.roles and role not in declared
        ]
    if not more:
        return document
    return replace(document, bindings=BindingsFile(version=1, bindings=[*document.bindings.bindings, *more]))


def as_binding(document: Document, person: str, request: Request, now: datetime) -> Binding:
    """The binding that a request would become; an exception as if it had been agreed to now."""
    payload = read_payload(request.kind, request.payload)
    if not isinstance(payload, GrantPayload):
        raise TypeError(f"{request.kind} is no grant")
    rules = payload.rules if isinstance(payload, ExceptionPayload) else ()
    voices = [
        {"by": f"approver-{number}@approver.invalid", "as": rule.exception.approver, "at": written(now)}
        for number, rule in enumerate(document.policies.segregation_of_duties)
        if rule.name in rules and rule.exception is not None
    ]
    return Binding.model_validate(
        {
            "subject": {"user": person},
            **({"role": payload.role} if payload.role is not None else {"group": payload.group}),
            "environments": list(request.environments),
            "expires": written(request.expires),
            "request": request.id,
            "justification": request.justification,
            "approvals": voices,
        }
    )


def conflicts_of(
    document: Document,
    speakers: Speakers,
    request: Request,
    others: Iterable[Request],
    *,
    now: datetime,
    also: Mapping[str, Collection[str]] | None = None,
) -> Iterator[Refusal]:
    """The rules that a request would break, together with what its subject has and with `others`: open or approved.

    `also`: roles that the subject is known to hold in an environment although no binding says so, such as by a
    mapping of their identity provider.
    """
    if request.kind not in _GRANTS:
        return
    person = speakers.person(request.subject)
    before = {finding.message for finding in separation_in_people(with_requests(document, speakers, person, (), now))}
    whole = with_roles(with_requests(document, speakers, person, [*others, request], now), person, also or {})
    for finding in separation_in_people(whole):
        # What is wrong already without this request is for `validate` to say.
        if finding.message not in before:
            yield Refusal(
                "segregation-of-duties", f"{finding.message}; withdraw the other one, or ask for an exception"
            )
