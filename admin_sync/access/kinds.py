"""The kinds of requests: what each carries, needs, gives and may last. One line in `KINDS` for each.

    grant        a role or a group, until an instant
    exception    the same although a rule of segregation speaks against it
    break_glass  an emergency account, for the person who asks
    mfa_bypass   one login without the second factor, for one person

The engine (states, hash, voices, transaction, audit) is the same for all. What a kind needs is read from the
policies at each decision and never stored: a policy that became stricter holds for what is still open.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, model_validator

from admin_sync.access.chain import Need
from admin_sync.access.refusal import Refusal
from admin_sync.access.speakers import Speakers
from admin_sync.bypass.carried import HANDING, marked
from admin_sync.bypass.code import Verifier
from admin_sync.holdings import Way, ancestry, closure, group_roles, groups, holdings
from admin_sync.load.document import Document
from admin_sync.load.scalars import GroupPath, Name
from admin_sync.load.schema import RequestClass

_NOBODY: Final = ("nobody at all",)
"""Owners that no group can be called, so that the need is never answered."""


class Payload(BaseModel):
    """What a kind carries besides what all requests have. Plain JSON, no fractions: it is hashed."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class GrantPayload(Payload):
    """A role or a group, by its name in `roles.yaml`."""

    role: Name | None = None
    group: GroupPath | None = None

    @model_validator(mode="after")
    def _one(self) -> GrantPayload:
        if (self.role is None) == (self.group is None):
            raise ValueError("name exactly one of role and group")
        return self

    @property
    def target(self) -> str:
        """What is given, as a person would say it."""
        return f"role {self.role}" if self.role is not None else f"group {self.group}"


class ExceptionPayload(GrantPayload):
    """A grant, and the rules of segregation that it sets aside."""

    rules: tuple[Name, ...] = Field(min_length=1, max_length=16, strict=False)


class BreakGlassPayload(Payload):
    """An account of `policies.break_glass.accounts`."""

    account: Name


class BypassPayload(Payload):
    """What recognises the half of the code that the person keeps (`admin_sync/bypass`)."""

    half: Verifier


@dataclass(frozen=True, slots=True)
class Asked:
    """What a kind is asked about: the payload, and for whom and where it is to be."""

    payload: Payload
    subject: str
    environments: tuple[str, ...]
    speakers: Speakers


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of request.

    needs:    the approvals that the policies ask for
    longest:  how long it may last, from its start or from the moment it is asked for
    gives:    the platform's roles that the subject would hold, each with the way to it
    refuses:  what is wrong with the payload for these policies; `rules.py` has what all kinds keep
    own_only: only for whoever asks
    voiced:   what is wrong with a yes in some capacity and its comment
    """

    name: str
    payload: type[Payload]
    needs: Callable[[Document, Asked], tuple[Need, ...]]
    longest: Callable[[Document, Asked], timedelta]
    gives: Callable[[Document, Asked], Mapping[str, Way]]
    refuses: Callable[[Document, Asked], Iterator[Refusal]]
    own_only: bool = False
    voiced: Callable[[str, str | None], Iterator[Refusal]] = field(default=lambda capacity, comment: iter(()))


def read_payload(kind: str, payload: Mapping[str, Any]) -> Payload:
    """The payload of a stored request. Raises KeyError for an unknown kind, and pydantic's ValidationError."""
    return KINDS[kind].payload.model_validate(payload)


def class_of(document: Document, given: Mapping[str, Way]) -> RequestClass:
    """Which class of the policies some roles are of: elevated if any of them is."""
    classes = document.policies.access_requests
    return classes.elevated if given.keys() & set(classes.elevated.roles) else classes.default


def _grant(asked: Asked) -> GrantPayload:
    if not isinstance(asked.payload, GrantPayload):
        raise TypeError(f"{type(asked.payload).__name__} is no grant")
    return asked.payload


def _grant_gives(document: Document, asked: Asked) -> Mapping[str, Way]:
    payload = _grant(asked)
    if payload.role is not None:
        return closure(document, payload.role)
    return group_roles(document, payload.group or "")


def _owner_needs(document: Document, asked: Asked) -> Iterator[Need]:
    """A need for the owners of each role that is named by the request or by the group: what those include is theirs."""
    payload = _grant(asked)
    known = groups(document)
    named = (
        [payload.role]
        if payload.role is not None
        else [role for level in ancestry(payload.group or "") if level in known for role in known[level].roles]
    )
    sets = {tuple(sorted(document.roles.roles[role].owners)) for role in named if role in document.roles.roles}
    for owners in sorted(sets):
        yield Need("", owners)


def _needs(document: Document, asked: Asked, approvals: list[str]) -> tuple[Need, ...]:
    sources = document.policies.access_requests.approvers
    found: list[Need] = []
    for capacity in approvals:
        if capacity in sources and sources[capacity].source == "role_owners":
            owned = list(_owner_needs(document, asked))
            # A role without an owner, or a group that gives none, has nobody who could be asked; a need without
            # owners would be answered by the owner of anything.
            found += [Need(capacity, one.owners or _NOBODY) for one in owned] or [Need(capacity, _NOBODY)]
        else:
            found.append(Need(capacity))
    return tuple(found)


def _grant_needs(document: Document, asked: Asked) -> tuple[Need, ...]:
    return _needs(document, asked, class_of(document, _grant_gives(document, asked)).approvals)


def _grant_longest(document: Document, asked: Asked) -> timedelta:
    return class_of(document, _grant_gives(document, asked)).max_duration


def _grant_refuses(document: Document, asked: Asked) -> Iterator[Refusal]:
    payload = _grant(asked)
    if payload.role is not None and payload.role not in document.roles.roles:
        yield Refusal("unknown-role", f"there is no role {payload.role}; see `admin-sync who-can` or roles.yaml")
    if payload.group is not None and payload.group not in groups(document):
        yield Refusal("unknown-group", f"there is no group {payload.group}; see roles.yaml")


def _exception_needs(document: Document, asked: Asked) -> tuple[Need, ...]:
    needs = list(_grant_needs(document, asked))
    if isinstance(asked.payload, ExceptionPayload):
        for rule in document.policies.segregation_of_duties:
            if rule.name in asked.payload.rules and rule.exception is not None:
                needs.append(Need(rule.exception.approver))
    return tuple(needs)


def _exception_longest(document: Document, asked: Asked) -> timedelta:
    rules = asked.payload.rules if isinstance(asked.payload, ExceptionPayload) else ()
    limits = [
        rule.exception.max_duration
        for rule in document.policies.segregation_of_duties
        if rule.name in rules and rule.exception is not None
    ]
    return min([_grant_longest(document, asked), *limits])


def _exception_refuses(document: Document, asked: Asked) -> Iterator[Refusal]:
    yield from _grant_refuses(document, asked)
    known = {rule.name: rule for rule in document.policies.segregation_of_duties}
    for name in asked.payload.rules if isinstance(asked.payload, ExceptionPayload) else ():
        if name not in known:
            yield Refusal("unknown-rule", f"there is no rule {name}; there are {', '.join(sorted(known)) or 'none'}")
        elif known[name].exception is None:
            yield Refusal("no-exception", f"the policies allow no exception to {name}")


def _break_glass_needs(document: Document, asked: Asked) -> tuple[Need, ...]:
    return tuple(Need(capacity) for capacity in document.policies.break_glass.approvals)


def _break_glass_refuses(document: Document, asked: Asked) -> Iterator[Refusal]:
    accounts = document.policies.break_glass.accounts
    if isinstance(asked.payload, BreakGlassPayload) and asked.payload.account not in accounts:
        yield Refusal("unknown-account", f"there is no such account; there are {', '.join(accounts) or 'none'}")
    if len(asked.environments) != 1:
        yield Refusal("one-environment", "an emergency account is opened in one environment; ask for each by itself")


def _bypass_needs(document: Document, asked: Asked) -> tuple[Need, ...]:
    """The owners of any role that the subject holds there may speak: it is their roles that a weaker login reaches."""
    person = asked.speakers.person(asked.subject)
    held = {
        one.role
        for environment in asked.environments
        for email, ways in holdings(document, environment, document.now).items()
        if asked.speakers.person(email) == person
        for one in ways
    }
    owners = {owner for role in held if role in document.roles.roles for owner in document.roles.roles[role].owners}
    sources = document.policies.access_requests.approvers
    return tuple(
        Need(capacity, tuple(sorted(owners)) or _NOBODY)
        if capacity in sources and sources[capacity].source == "role_owners"
        else Need(capacity)
        for capacity in document.policies.break_glass.mfa_bypass.approvals
    )


def _bypass_refuses(document: Document, asked: Asked) -> Iterator[Refusal]:
    if len(asked.environments) != 1:
        yield Refusal("one-environment", "a bypass is one login, in one environment; ask for each by itself")


def _bypass_voiced(capacity: str, comment: str | None) -> Iterator[Refusal]:
    if capacity == HANDING and marked(comment) is None:
        yield Refusal("no-half", f"{HANDING} hands a half of the code over: `admin-sync mfa-bypass approve`")


def _nothing(document: Document, asked: Asked) -> Mapping[str, Way]:
    return {}


KINDS: Final[Mapping[str, Kind]] = {
    one.name: one
    for one in (
        Kind(
            name="grant",
            payload=GrantPayload,
            needs=_grant_needs,
            longest=_grant_longest,
            gives=_grant_gives,
            refuses=_grant_refuses,
        ),
        Kind(
            name="exception",
            payload=ExceptionPayload,
            needs=_exception_needs,
            longest=_exception_longest,
            gives=_grant_gives,
            refuses=_exception_refuses,
        ),
        Kind(
            name="break_glass",
            payload=BreakGlassPayload,
            needs=_break_glass_needs,
            longest=lambda document, asked: document.policies.break_glass.max_duration,
            gives=_nothing,
            refuses=_break_glass_refuses,
            own_only=True,
        ),
        Kind(
            name="mfa_bypass",
            payload=BypassPayload,
            needs=_bypass_needs,
            longest=lambda document, asked: document.policies.break_glass.mfa_bypass.max_duration,
            gives=_nothing,
            refuses=_bypass_refuses,
            voiced=_bypass_voiced,
        ),
    )
}
