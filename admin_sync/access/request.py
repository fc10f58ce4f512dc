"""A request, the text of it that every approval names by hash, and what happened to it. Values only.

The hash is SHA-256 over the request in RFC 8785 form, its number among the members. So an approval is of this
request, word for word, and of no other that reads alike.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import rfc8785

from admin_sync.access.state import State

_ID: Final = re.compile(r"REQ-([0-9]{1,15})")
_FORM: Final = 1
"""The version of the text that is hashed."""


class MalformedRequest(ValueError):
    """A stored text that is no request of ours; never shown to a caller."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What somebody asks for. It never changes.

    `requester` and `subject` are e-mail addresses in lower case; the subject is who is given something.
    `payload` is the kind's own (`kinds.py`), plain JSON without fractions. Times are aware, in UTC.
    """

    number: int
    kind: str
    requester: str
    requester_account: str
    """The `sub` of the account that asked."""
    subject: str
    payload: Mapping[str, Any]
    environments: tuple[str, ...]
    justification: str
    asked_at: datetime
    expires: datetime
    starts: datetime | None = None
    """None for as soon as it is approved."""

    @property
    def id(self) -> str:
        """How people and files call it: `REQ-000042`."""
        return request_id(self.number)

    @property
    def content(self) -> str:
        """The text that is hashed (RFC 8785)."""
        return rfc8785.dumps(
            {
                "form": _FORM,
                "id": self.id,
                "kind": self.kind,
                "requester": self.requester,
                "requester_account": self.requester_account,
                "subject": self.subject,
                "payload": dict(self.payload),
                "environments": list(self.environments),
                "justification": self.justification,
                "asked_at": written(self.asked_at),
                "starts": None if self.starts is None else written(self.starts),
                "expires": written(self.expires),
            }
        ).decode()

    @property
    def hash(self) -> str:
        """What approvals name: 64 hexadecimal digits."""
        return hash_of(self.content)


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """One person's yes, and how sure we were of who it was.

    `by` is the address of the account, `person` the person's one address (`Speakers.person`). `auth_time` is when
    the level `acr` was proved, in unix seconds; `session` is the login session's id; `realm` is the environment whose
    realm they had logged in to, None for an approval of before that was noted.
    """

    person: str
    by: str
    account: str
    capacity: str
    hash: str
    at: datetime
    acr: str
    auth_time: int
    session: str
    realm: str | None = None
    comment: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A request with everything that happened to it."""

    request: Request
    stored_hash: str
    """As the row says; `verified.py` holds it against the text."""
    state: State
    changed_at: datetime
    changed_by: str
    """Who brought it into its state: an address, or the name of a service."""
    reason: str | None = None
    approvals: tuple[Approval, ...] = ()
    taken_at: datetime | None = None
    """Since when the reconciler has it; from then on it cannot be cancelled."""
    result: Mapping[str, Any] = field(default_factory=dict)
    """What the reconciler reported: of a grant for instance the commit."""


def request_id(number: int) -> str:
    """The name of a request."""
    return f"REQ-{number:06d}"


def number_of(text: str) -> int | None:
    """The number in a request's name, None if it is no such name."""
    match = _ID.fullmatch(text)
    return int(match[1]) if match else None


def hash_of(content: str) -> str:
    """The SHA-256 of a request's text in hexadecimal."""
    return hashlib.sha256(content.encode()).hexdigest()


def written(at: datetime) -> str:
    """An instant as it is hashed and stored: UTC, with microseconds only where there are any."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def read_content(content: str) -> Request:
    """The request that a stored text says. Raises MalformedRequest, also for a text that is not in its one form."""
    try:
        told = json.loads(content)
        number = number_of(told["id"])
        if told.pop("form") != _FORM or number is None:
            raise MalformedRequest("a form or a number that this program does not know")
        made = Request(
            number=number,
            kind=told["kind"],
            requester=told["requester"],
            requester_account=told["requester_account"],
            subject=told["subject"],
            payload=told["payload"],
            environments=tuple(told["environments"]),
            justification=told["justification"],
            asked_at=datetime.fromisoformat(told["asked_at"]),
            starts=None if told["starts"] is None else datetime.fromisoformat(told["starts"]),
            expires=datetime.fromisoformat(told["expires"]),
        )
        same = made.content == content
    except (KeyError, TypeError, AttributeError, ValueError) as problem:
        raise MalformedRequest(f"not a request: {type(problem).__name__}") from None
    if not same:
        raise MalformedRequest("the text is not in its one form")
    return made
