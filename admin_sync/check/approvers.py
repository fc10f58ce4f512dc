"""Who was in a group of approvers when they agreed, as far as the configuration says. Pure.

A membership is a binding, and bindings go: people leave the group, or the company. What they agreed to before stands
all the same, so a change that takes a membership away writes down under `former_approvers` what grants still rest on
(`remembered`; `admin_sync/repository`). An approval by somebody who is in neither place was never theirs to give.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from admin_sync.check.references import missing, unknown
from admin_sync.errors import Finding
from admin_sync.holdings import groups
from admin_sync.load.document import BINDINGS, Document
from admin_sync.load.schema import Binding, FormerApprover
from admin_sync.load.schema.policies import Approver

Membership = tuple[frozenset[str], datetime | None]
"""Environments, and the end; None for one without."""

Memberships = dict[tuple[str, str], list[Membership]]
"""By group path and e-mail in lower case; members of a subgroup are in the groups above it."""

_SKEW: Final = timedelta(minutes=5)
_BEHIND: Final = timedelta(microseconds=1)


def memberships(bindings: Iterable[Binding], former: Iterable[FormerApprover] = ()) -> Memberships:
    """Who is, or was, in which group."""
    found: Memberships = {}
    known = [(one.group or "", one.subject.user, one.environments, one.expires) for one in bindings]
    known += [(one.group, one.user, one.environments, one.until) for one in former]
    for group, user, environments, end in known:
        path = group
        while path:
            found.setdefault((path, user.lower()), []).append((frozenset(environments), end))
            path = path.rpartition("/")[0]
    return found


def absent(listed: Iterable[Membership], environments: Iterable[str], when: datetime) -> list[str]:
    """The environments in which none of somebody's memberships stood at an instant."""
    standing = {name for names, end in listed if end is None or end > when for name in names}
    return [name for name in environments if name not in standing]


def remembered(document: Document, after: Sequence[Binding], now: datetime) -> list[FormerApprover]:
    """`former_approvers` of a configuration whose bindings become `after`: what those grants still rest on, no more.

    Nothing is remembered that the configuration of before did not say: an approval that had no ground gets none.
    """
    needed = _needed(memberships(after), after, document.policies.access_requests.approvers)
    kept = [
        one
        for one in document.bindings.former_approvers
        if any((one.group, one.user.lower(), name) in needed for name in one.environments)
    ]
    was, still = memberships(document.bindings.bindings), memberships((), kept)
    lines: dict[tuple[str, str, datetime], list[str]] = {}
    for (group, user, name), at in needed.items():
        if not absent(still.get((group, user), ()), [name], at):
            continue
        ends = [end for names, end in was.get((group, user), ()) if name in names and (end is None or end > at)]
        if ends:
            last = max(min(now, end or now) for end in ends)
            lines.setdefault((group, user, max(last, at + _BEHIND)), []).append(name)
    made = [
        FormerApprover.model_validate({"user": user, "group": group, "environments": names, "until": until.isoformat()})
        for (group, user, until), names in lines.items()
    ]
    return [*kept, *made]


def former_approvers(document: Document) -> Iterator[Finding]:
    """What is said of the past names what exists, and has ended."""
    environments = unknown(document, BINDINGS, "environment", document.environments)
    known = set(groups(document)) | document.dropped
    for number, one in enumerate(document.bindings.former_approvers):
        place = ("former_approvers", number)
        yield from environments((*place, "environments"), one.environments)
        if one.group not in known:
            yield missing(document, BINDINGS, (*place, "group"), kind="group", name=one.group, known=known)
        if one.until > document.now + _SKEW:
            at = document.at(BINDINGS, *place, "until")
            yield Finding.at(at, "former-approver", "this lies ahead; who is in the group now has a binding")


def _needed(
    standing: Memberships, after: Iterable[Binding], approvers: Mapping[str, Approver]
) -> dict[tuple[str, str, str], datetime]:
    """Approvals without a membership of today: group, person, environment, and the latest of them."""
    found: dict[tuple[str, str, str], datetime] = {}
    for binding in after:
        for approval in binding.approvals:
            approver = approvers.get(approval.capacity)
            if approver is None or approver.group is None:
                continue
            key = (approver.group, approval.by.lower())
            for name in absent(standing.get(key, ()), binding.environments, approval.at):
                found[*key, name] = max(found.get((*key, name), approval.at), approval.at)
    return found
