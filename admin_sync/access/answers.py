"""What a person is told who cannot have what they wanted: one problem with a stable type and the next step."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from admin_sync.access.chain import Need
from admin_sync.access.refusal import Refusal
from admin_sync.access.request import Record
from admin_sync.access.speakers import Speakers
from identity.principal import Principal
from identity.problem import Problem

_CONFLICTS = frozenset({"segregation-of-duties", "already-asked", "expired", "barred"})
"""Reasons that lie in how things are and not in what was sent."""


def refused(found: Sequence[Refusal]) -> Problem:
    """The rules say no: every reason with its code."""
    codes = sorted({one.code for one in found})
    status = 409 if _CONFLICTS.intersection(codes) else 422
    return Problem(
        status,
        "request-refused",
        "The rules do not allow this request",
        "; ".join(one.message for one in found)[:2000],
        extra={"reasons": [{"code": one.code, "detail": one.message} for one in found]},
        reason=",".join(codes),
    )


def too_many(most: int) -> Problem:
    """The person has as many requests waiting as anybody may."""
    return Problem(
        409,
        "too-many-requests-open",
        "Too many of your requests are waiting",
        f"At most {most} requests by one person wait at a time; cancel what is not needed any more.",
        reason="too_many_open",
    )


def no_responder() -> Problem:
    """The vault would give this person no credential, whoever agreed."""
    return Problem(
        403,
        "not-a-responder",
        "You could not open an emergency account",
        "Somebody has to ask who holds a role with `emergency:open`; `admin-sync who-can emergency:open` names them.",
        reason="not_a_responder",
    )


def not_open(record: Record) -> Problem:
    """The request is decided, over, or with the reconciler."""
    state = "taken" if record.taken_at is not None else record.state.value
    return Problem(
        409,
        "request-not-open",
        "The request cannot be changed any more",
        f"It is {state}; look at it again, and ask anew if it is still needed.",
        extra={"state": record.state.value},
        reason=f"not_open:{state}",
    )


def another_text() -> Problem:
    """The approval is of another text than the request has."""
    return Problem(
        409,
        "another-request",
        "This is not the request that you were shown",
        "Read the request again, and approve with the hash that is shown there.",
        reason="hash_mismatch",
    )


def already_spoken() -> Problem:
    """One person, one voice."""
    return Problem(
        409,
        "already-spoken",
        "You have approved this request already",
        "Each approval needs another person; to take a yes back, deny the request.",
        reason="already_spoken",
    )


def no_say(speakers: Speakers, principal: Principal, record: Record) -> Problem:
    """The person has no say, or it is their own."""
    me, request = speakers.person(principal.email or ""), record.request
    own = me in (speakers.person(request.requester), speakers.person(request.subject))
    own = own or principal.subject == request.requester_account
    return Problem(
        403,
        "own-request" if own else "no-say",
        "Nobody decides about what is their own" if own else "You have no say about this request",
        "Somebody else has to decide." if own else "See who can in `waiting_for`.",
        reason="self_approval" if own else "no_say",
    )


def not_needed(lacking: Iterable[Need]) -> Problem:
    """The person has a say, but not one that is missing."""
    return Problem(
        409,
        "approval-not-needed",
        "Nobody waits for your approval in this capacity",
        f"Missing: {', '.join(map(str, lacking))}.",
        reason="not_needed",
    )
