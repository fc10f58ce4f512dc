"""What a plan must not do without being told so explicitly: each guard is a function from plan to reasons.

A guard's reason names the flag that allows it, because a refusal that cannot be overruled would be
overruled by hand in the console, where nobody sees it. `GUARDS` is the table, and what the docs list.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from admin_sync.check.references import RESERVED_CLIENTS, RESERVED_ROLES
from admin_sync.diff import Action, Plan
from admin_sync.errors import Refused
from admin_sync.holdings import excepted, included
from admin_sync.impact import PERSON, afterwards, held, person_roles
from admin_sync.load.document import Document
from admin_sync.load.schema import Binding, Separation
from admin_sync.model import MANAGED_BY, Current, Desired, Ref, Resource
from admin_sync.refs import BINDING, CLIENT, ORGANIZATION, ROLE, USER, client_role_binding, group_binding, role_binding

SHARE: Final = 0.2
NUMBER: Final = 25
FEW: Final = 3
"""Up to so many deletions of a kind pass, whatever share of a small realm they are."""

GUARDIANS: Final = frozenset({"iam:modify", "role:assign"})
"""Permissions: whoever has one of these can give access back to everybody else."""


@dataclass(frozen=True, slots=True)
class Allowances:
    """What the caller has said explicitly."""

    deletions: int = 0
    takeover: bool = False
    lockout: bool = False
    shredding: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Situation:
    """Everything that a guard may look at."""

    document: Document
    desired: Desired
    current: Current
    plan: Plan
    allowed: Allowances


def mass_deletion(situation: Situation) -> Iterator[str]:
    """More deletions than a number, or of any one kind more than a share of what is ours.

    Grants that ended are not counted: their removal was decided when they were given.
    """
    ended = _ended(situation)
    taken = Counter(
        change.ref.kind
        for change in situation.plan.changes
        if change.action is Action.DELETE and change.ref not in ended
    )
    total = sum(taken.values())
    ours = Counter(ref.kind for ref, found in situation.current.resources.items() if found.managed)
    much = [kind for kind, count in sorted(taken.items()) if count > max(FEW, ours[kind] * SHARE)]
    if (total > NUMBER or much) and total > situation.allowed.deletions:
        what = ", ".join(f"{count} of {ours[kind]} {kind}" for kind, count in sorted(taken.items()))
        yield f"the plan destroys {total} objects ({what}); if that is meant, give --allow-deletions {total}"


def _ended(situation: Situation) -> frozenset[Ref]:
    """Grants that the file itself says are over."""
    return frozenset(
        _given(one)
        for one in situation.document.bindings.bindings
        if one.expires is not None
        and one.expires <= situation.document.now
        and situation.desired.environment in one.environments
    )


def _given(binding: Binding) -> Ref:
    """What Keycloak's object of a grant is called."""
    email = binding.subject.user
    if binding.role is not None:
        return role_binding(email, binding.role)
    if binding.group is not None:
        return group_binding(email, binding.group)
    client, _, role = (binding.client_role or "").partition("/")
    return client_role_binding(email, client, role)


def shredding(situation: Situation) -> Iterator[str]:
    """A partner's organization holds the salts of its keys: without them nothing sealed can be opened again."""
    for change in situation.plan.changes:
        if change.action is Action.DELETE and change.ref.kind == ORGANIZATION:
            alias = change.ref.name
            if alias not in situation.allowed.shredding:
                yield (
                    f"destroying partner {alias} shreds everything the vault sealed for it, for good; "
                    f"if that is meant, give --allow-shredding {alias}"
                )


def takeover(situation: Situation) -> Iterator[str]:
    """An object of a declared name that exists and does not carry our mark belongs to somebody else."""
    if situation.allowed.takeover:
        return
    for change in situation.plan.changes:
        found, wanted = change.before, change.after
        if change.action is not Action.UPDATE or found is None or wanted is None or found.managed:
            continue
        if found.attrs.get("managed_by") == MANAGED_BY:
            # A group of ours with a stranger's subgroup: not ours to delete, and ours to change all the same.
            continue
        marks = wanted.attrs.get("managed_by") == MANAGED_BY or any(
            difference.path.endswith("tradepulse.managed") for difference in change.differences
        )
        if marks:
            yield f"{change.ref} exists and is not admin-sync's; to take it over, give --allow-takeover"


def protected(situation: Situation) -> Iterator[str]:
    """Keycloak's own objects are never changed, and what does not carry our mark is never deleted.

    Nothing plans such a thing today. This holds the line for the day on which an adapter reads a mark wrongly.
    """
    own = {ROLE: RESERVED_ROLES, CLIENT: RESERVED_CLIENTS}
    for change in situation.plan.changes:
        built_in = change.ref.name in own.get(change.ref.kind, ()) or (
            change.ref.kind == ROLE and change.ref.name.startswith("default-roles-")
        )
        if built_in:
            yield f"{change.ref} is Keycloak's own; nothing of it is ours to change"
        elif change.action is Action.DELETE and (change.before is None or not change.before.managed):
            yield f"{change.ref} does not carry admin-sync's mark; it is not ours to delete"


def lock_out(situation: Situation) -> Iterator[str]:
    """The last person who can give access to others keeps it."""
    if situation.allowed.lockout or not situation.current.exists:
        return
    before = guardians(situation.current.resources)
    after = guardians(afterwards(situation.desired.resources.values(), situation.current))
    if before and not after:
        lost = ", ".join(sorted(before))
        yield f"nobody would be left who can change access (now: {lost}); if that is meant, give --allow-lockout"


def guardians(table: Mapping[Ref, Resource]) -> set[str]:
    """People who can log in and give access to others."""
    disabled = {ref.name for ref, one in table.items() if ref.kind == USER and one.attrs.get("enabled") is False}
    return {
        subject.name
        for subject, things in held(table).items()
        if subject.sort == PERSON
        and subject.name not in disabled
        and any(thing.sort == "permission" and not thing.partner and thing.name in GUARDIANS for thing in things)
    }


def separation(situation: Situation) -> Iterator[str]:
    """Nobody ends up with roles that are kept apart, not even by a membership that a provider gave."""
    rules = situation.document.policies.segregation_of_duties
    includes = {
        ref.name: resource.attrs.get("includes", ())
        for ref, resource in situation.desired.resources.items()
        if ref.kind == ROLE
    }
    declared = {ref for ref, resource in situation.desired.resources.items() if ref.kind == BINDING and resource.attrs}
    roles = person_roles(situation.desired.resources.values(), situation.current)
    for person, bindings in sorted(roles.items()):
        # What the document alone says was checked with it, exceptions included.
        if all(ref in declared for _, ref in bindings):
            continue
        for rule in rules:
            covered = _excepted(situation.document, rule)
            held = {inner for role, ref in bindings if ref not in covered for inner in included(role, includes)}
            both = [role for role in rule.roles if role in held]
            if len(both) > 1:
                yield (
                    f"{person} would hold {' and '.join(both)} in {situation.plan.environment} against {rule.name!r}, "
                    "one of them by an identity provider's group; take it away there or withdraw the other"
                )


def _excepted(document: Document, rule: Separation) -> set[Ref]:
    """The grants that an approved exception sets aside; one that is also given without it is not among them."""
    covered: set[Ref] = set()
    plain: set[Ref] = set()
    for number, binding in enumerate(document.bindings.bindings):
        email = binding.subject.user
        if binding.client_role is not None:
            continue
        ref = role_binding(email, binding.role) if binding.role else group_binding(email, binding.group or "")
        (covered if excepted(document, number, rule) else plain).add(ref)
    return covered - plain


@dataclass(frozen=True, slots=True)
class Guard:
    """One line of the table: a stable code, what is refused, what allows it, and the function that looks."""

    code: str
    refuses: str
    allowed_by: str
    look: Callable[[Situation], Iterator[str]]


GUARDS: Final[Sequence[Guard]] = (
    Guard(
        "mass-deletion",
        f"a plan that destroys more than {NUMBER} objects, or more than a fifth (and more than {FEW}) of one kind",
        "`--allow-deletions N`, the exact number",
        mass_deletion,
    ),
    Guard(
        "shredding",
        "destroying a partner, whose salts open what the vault holds",
        "`--allow-shredding ALIAS`",
        shredding,
    ),
    Guard(
        "foreign", "changing an object of a declared name that carries no mark of ours", "`--allow-takeover`", takeover
    ),
    Guard("protected", "changing what is Keycloak's own, deleting what carries no mark of ours", "nothing", protected),
    Guard("lock-out", "leaving nobody with an enabled account who can give access back", "`--allow-lockout`", lock_out),
    Guard(
        "segregation-of-duties",
        "a person who would hold roles that are kept apart, one of them by a grant the configuration does not make",
        "an approved exception in `role_bindings.yaml`; there is no flag",
        separation,
    ),
)


def guard(situation: Situation) -> None:
    """Raises Refused with every reason of every guard."""
    reasons = [f"{one.code}: {reason}" for one in GUARDS for reason in one.look(situation)]
    if reasons:
        raise Refused("\n".join(f"refused for {situation.plan.realm}: {reason}" for reason in reasons))
