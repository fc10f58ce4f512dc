"""Requests, approvals and expiry of role bindings.

A binding without a request is standing access that a pull request reviewed. One with a request
carries its reason, its approvals and its end. Direct grants of an elevated role are always of the
second sort. A binding does not record when it starts (a shift in January is approved in November),
so the length of the grant itself is the workflow's to enforce when it writes the binding; what is
checked here is that no grant ends later after its last approval than any request may ever last.
An end that has passed is no error: the grant is simply not given any more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from admin_sync.break_glass.accounts import is_emergency, role
from admin_sync.check.approvers import absent, memberships
from admin_sync.errors import Finding
from admin_sync.holdings import closure, group_roles
from admin_sync.load.document import BINDINGS, Document
from admin_sync.load.schema import Binding, RequestClass

_SKEW: Final = timedelta(minutes=5)
"""How far the clock of whoever wrote an approval may be ahead of ours."""


def duplicates(document: Document) -> Iterator[Finding]:
    """The same grant, until the same instant, written twice."""
    seen: dict[tuple[object, ...], int] = {}
    for number, binding in enumerate(document.bindings.bindings):
        for environment in binding.environments:
            key = (binding.subject.user.lower(), binding.target, environment, binding.expires)
            first = seen.setdefault(key, number)
            if first != number:
                line = document.at(BINDINGS, "bindings", first).line
                place = document.at(BINDINGS, "bindings", number)
                yield Finding.at(
                    place, "duplicate-binding", f"line {line} already grants this in {environment}; remove one"
                )
                break


def barred(document: Document) -> Iterator[Finding]:
    """Whoever is barred is so once, and nobody gives them anything afterwards."""
    since: dict[str, datetime] = {}
    for number, one in enumerate(document.bindings.barred):
        if one.user.lower() in since:
            place = document.at(BINDINGS, "barred", number)
            yield Finding.at(place, "duplicate-binding", "this person is barred already; remove one of the two")
        since.setdefault(one.user.lower(), one.since)
    for number, binding in enumerate(document.bindings.bindings):
        moment = since.get(binding.subject.user.lower())
        if moment is not None and any(one.at > moment for one in binding.approvals):
            place = document.at(BINDINGS, "bindings", number)
            message = "this was approved after the person was barred; reinstate them first, or withdraw the grant"
            yield Finding.at(place, "barred", message)


def requests(document: Document) -> Iterator[Finding]:
    """Who carries a request, a reason or approvals carries all of them, and an end."""
    for number, binding in enumerate(document.bindings.bindings):
        parts = {
            "request": binding.request,
            "justification": binding.justification,
            "approvals": binding.approvals,
            "expires": binding.expires,
        }
        if not (binding.request or binding.justification or binding.approvals):
            continue
        lacking = [name for name, value in parts.items() if not value]
        if lacking:
            place = document.at(BINDINGS, "bindings", number)
            message = f"a grant by request needs {', '.join(lacking)} as well"
            yield Finding.at(place, "incomplete-request", message)


def approvals(document: Document) -> Iterator[Finding]:
    """Approvals are by different people, none of them the subject, in capacities that exist and that they have."""
    approvers = document.policies.access_requests.approvers
    members = memberships(document.bindings.bindings, document.bindings.former_approvers)
    for number, binding in enumerate(document.bindings.bindings):
        seen: set[str] = set()
        for position, approval in enumerate(binding.approvals):
            place = ("bindings", number, "approvals", position)
            who = approval.by.lower()
            if who == binding.subject.user.lower():
                at = document.at(BINDINGS, *place, "by")
                yield Finding.at(at, "self-approval", "nobody approves their own request; somebody else has to")
            elif who in seen:
                at = document.at(BINDINGS, *place, "by")
                yield Finding.at(at, "same-approver", "every approval needs another person")
            seen.add(who)
            if approval.at > document.now + _SKEW:
                at = document.at(BINDINGS, *place, "at")
                yield Finding.at(at, "future-approval", "nobody has approved this yet; an approval is dated when given")
            approver = approvers.get(approval.capacity)
            if approver is None:
                at = document.at(BINDINGS, *place, "as")
                known = ", ".join(sorted(approvers))
                yield Finding.at(
                    at, "unknown-approver", f"there is no approver {approval.capacity!r}; there are {known}"
                )
            elif approver.group is not None:
                lacking = absent(members.get((approver.group, who), ()), binding.environments, approval.at)
                if lacking:
                    at = document.at(BINDINGS, *place, "by")
                    message = (
                        f"only members of group {approver.group} approve as {approval.capacity}, each where they are "
                        f"one or were (former_approvers); not in {', '.join(lacking)}"
                    )
                    yield Finding.at(at, "not-an-approver", message)
        if binding.request and binding.approvals and binding.expires:
            yield from _sufficient(document, number, binding)


def _sufficient(document: Document, number: int, binding: Binding) -> Iterator[Finding]:
    wanted = _class_of(document, binding)
    given = Counter(approval.capacity for approval in binding.approvals)
    lacking = Counter(wanted.approvals) - given
    if lacking:
        place = document.at(BINDINGS, "bindings", number, "approvals", key=True)
        shown = ", ".join(sorted(lacking.elements()))
        yield Finding.at(place, "missing-approval", f"this grant needs further approvals by: {shown}")
    longest = max(wanted.max_duration, document.policies.access_requests.default.max_duration)
    if is_emergency(document, binding.subject.user):
        longest = wanted.max_duration + _SKEW
    if binding.expires and binding.expires > max(one.at for one in binding.approvals) + longest:
        place = document.at(BINDINGS, "bindings", number, "expires")
        message = f"the grant ends more than {_said(longest)} after its last approval; it has to be requested again"
        yield Finding.at(place, "too-long", message)


def elevated(document: Document) -> Iterator[Finding]:
    """A direct grant of an elevated role comes by request and ends."""
    for number, binding in enumerate(document.bindings.bindings):
        if binding.role is None or not _is_elevated(document, binding.role):
            continue
        if not (binding.request and binding.approvals and binding.expires):
            place = document.at(BINDINGS, "bindings", number, "role")
            needed = ", ".join(document.policies.access_requests.elevated.approvals)
            message = f"role {binding.role} is elevated: grant it by request, with expires and approvals by {needed}"
            yield Finding.at(place, "elevated", message)


def _said(span: timedelta) -> str:
    return f"{span.days} days" if span >= timedelta(days=1) else f"{span.total_seconds() / 60:.0f} minutes"


def _is_elevated(document: Document, role: str) -> bool:
    return bool(closure(document, role).keys() & set(document.policies.access_requests.elevated.roles))


def emergencies(document: Document) -> Iterator[Finding]:
    """An emergency account holds the one role of an opening, by a request and until its end, or nothing."""
    for number, binding in enumerate(document.bindings.bindings):
        if not is_emergency(document, binding.subject.user):
            continue
        given = role(document)
        if binding.role is None or binding.role != given or not binding.request or binding.expires is None:
            place = document.at(BINDINGS, "bindings", number)
            message = f"an emergency account holds role {given} while it is open and nothing else; open it by a request"
            yield Finding.at(place, "emergency-account", message)


def _class_of(document: Document, binding: Binding) -> RequestClass:
    if is_emergency(document, binding.subject.user):
        emergency = document.policies.break_glass
        # Both come out of the same schema, so there is nothing to validate.
        return RequestClass.model_construct(approvals=emergency.approvals, max_duration=emergency.max_duration)
    given = closure(document, binding.role) if binding.role else group_roles(document, binding.group or "")
    classes = document.policies.access_requests
    return classes.elevated if given.keys() & set(classes.elevated.roles) else classes.default
