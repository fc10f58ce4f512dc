"""The bindings of one moment as items, or the reasons why nobody should be asked about them now. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from admin_sync.certification.item import Item, Sign, Standing, Use, key_of, plain
from admin_sync.certification.provenance import Origin
from admin_sync.certification.usage import Usage
from admin_sync.desired import realm_name
from admin_sync.holdings import Way, closure, group_roles, permissions_of
from admin_sync.load.document import Document
from admin_sync.load.schema.bindings import Binding
from admin_sync.roster import Employee, Roster, canonical

ORPHAN_SHARE: Final = 0.2
"""Of the holders. A roster that misses more of them is not theirs: half an export, another company's, last year's."""

ORPHANS_ALWAYS: Final = 3
"""So many may always be missing, so that a small firm is not asked each time."""


@dataclass(frozen=True, slots=True)
class Known:
    """Everything a snapshot is made from besides the configuration."""

    roster: Roster
    usage: Usage
    origins: Mapping[int, Origin]
    requesters: Mapping[str, str]
    """Who asked for each request that the access workflow knows, by its id."""
    now: datetime


def snapshot(document: Document, known: Known) -> list[Item]:
    """An item for every binding in force, in the order of the file.

    A binding that has ended is the reconciler's to remove and nobody's to keep.
    """
    given: dict[str, _Given] = {}
    return [
        _item(document, known, number, binding, given)
        for number, binding in enumerate(document.bindings.bindings)
        if binding.expires is None or binding.expires > known.now
    ]


def unbelievable(items: Sequence[Item], orphans_allowed: int | None = None) -> Iterator[str]:
    """Why a roster cannot be the one of these holders, whatever it looks like by itself.

    orphans_allowed: how many holders somebody has said are in no roster; the share above if None
    """
    holders = {one.holder for one in items}
    orphans = {one.holder for one in items if Sign.ORPHAN in one.signs}
    limit = max(ORPHANS_ALWAYS, int(ORPHAN_SHARE * len(holders))) if orphans_allowed is None else orphans_allowed
    if len(orphans) > limit:
        yield f"{len(orphans)} of {len(holders)} people with a grant are not employed by it, and at most {limit} may be"


@dataclass(frozen=True, slots=True)
class _Given:
    """What one role or group gives: worked out once, asked for by thousands of bindings."""

    ways: Sequence[Way]
    permissions: Sequence[str]
    sensitive: Sequence[str]
    owners: Sequence[str]


def _item(document: Document, known: Known, number: int, binding: Binding, given: dict[str, _Given]) -> Item:
    target = binding.target
    if target not in given:
        given[target] = _given(document, binding)
    gives = given[target]
    user = binding.subject.user.lower()
    employee = known.roster.find(user)
    addresses = {user, canonical(user), *(() if employee is None else (employee.email, *employee.aliases))}
    use = {name: known.usage.of(realm_name(document, name), addresses) for name in binding.environments}
    origin = known.origins.get(number)
    today = known.now.date()
    standing = _standing(employee, today)
    leader = known.roster.manager_of(user, today)
    return Item(
        key=key_of(binding),
        binding=plain(binding),
        roles=gives.ways,
        permissions=gives.permissions,
        sensitive=gives.sensitive,
        standing=standing,
        name=None if employee is None else employee.name,
        manager=None if leader is None else leader.email,
        owners=gives.owners,
        provisioners=_provisioners(binding, origin, known.requesters),
        since=None if origin is None else origin.at,
        use=use,
        signs=tuple(_signs(document, known.now, standing, use, origin)),
    )


def _given(document: Document, binding: Binding) -> _Given:
    ways: dict[str, Way]
    if binding.role is not None:
        ways = closure(document, binding.role)
    elif binding.group is not None:
        ways = group_roles(document, binding.group)
    else:
        ways = {}
    permissions = sorted({permission for role in ways for permission, _ in permissions_of(document, role)})
    owners = {owner for role in ways if role in document.roles.roles for owner in document.roles.roles[role].owners}
    return _Given(
        ways=sorted(ways.values()),
        permissions=permissions,
        sensitive=[one for one in permissions if document.roles.permissions[one].sensitive],
        owners=sorted(owners),
    )


def _provisioners(binding: Binding, origin: Origin | None, requesters: Mapping[str, str]) -> list[str]:
    voices = {one.by.lower() for one in binding.approvals}
    if binding.request is not None and binding.request in requesters:
        voices.add(requesters[binding.request].lower())
    if origin is not None:
        voices.update(origin.authors)
    return sorted(voices)


def _standing(employee: Employee | None, today: date) -> Standing:
    if employee is None:
        return Standing.UNKNOWN
    return Standing.EMPLOYED if employee.employed(today) else Standing.LEFT


def _signs(
    document: Document, now: datetime, standing: Standing, use: Mapping[str, Use], origin: Origin | None
) -> Iterator[Sign]:
    if standing is not Standing.EMPLOYED:
        yield Sign.ORPHAN
    limit = now - document.policies.certification.stale_after
    # Who was given something last week has had no time to leave it unused. Without a history, its age is not known.
    old = origin is not None and origin.at <= limit
    if old and use and all(one.idle_since(limit) for one in use.values()):
        yield Sign.STALE
