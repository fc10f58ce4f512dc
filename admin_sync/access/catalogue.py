"""What can be asked for: every role and group, for how long at most, and which rules know an exception. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from admin_sync.access.kinds import class_of
from admin_sync.access.rules import elsewhere
from admin_sync.desired import realm_name
from admin_sync.holdings import Way, closure, group_roles, groups
from admin_sync.load.document import Document


@dataclass(frozen=True, slots=True)
class Offer:
    """A role or a group. `roles` are all that it gives; `longest` is how long it can be asked for."""

    name: str
    description: str
    roles: tuple[str, ...]
    permissions: tuple[str, ...]
    sensitive: bool
    longest: timedelta


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of segregation of duties that can be set aside."""

    name: str
    roles: tuple[str, ...]
    approver: str
    longest: timedelta


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Everything on offer, and where. `emergencies` are emergency accounts, open for `emergency_longest` at most; an
    emergency code is for `bypass_longest`. `realms` are what environments are called in Keycloak."""

    environments: tuple[str, ...]
    roles: tuple[Offer, ...]
    groups: tuple[Offer, ...]
    rules: tuple[Rule, ...]
    emergencies: tuple[str, ...]
    emergency_longest: timedelta
    bypass_longest: timedelta
    realms: Mapping[str, str]


def catalogue(document: Document, realm: str) -> Catalogue:
    """What the policies let people ask for who log in to the realm of an environment.

    Groups that give no role are left out: nobody could agree to one.
    """
    roles = tuple(
        _offer(document, name, role.description, closure(document, name)) for name, role in document.roles.roles.items()
    )
    given = ((path, group_roles(document, path)) for path in groups(document))
    return Catalogue(
        environments=tuple(one for one in document.environments if not elsewhere(document, realm, (one,))),
        roles=roles,
        groups=tuple(_offer(document, path, f"Gives {', '.join(ways)}.", ways) for path, ways in given if ways),
        rules=tuple(
            Rule(rule.name, tuple(rule.roles), rule.exception.approver, rule.exception.max_duration)
            for rule in document.policies.segregation_of_duties
            if rule.exception is not None
        ),
        emergencies=tuple(document.policies.break_glass.accounts),
        emergency_longest=document.policies.break_glass.max_duration,
        bypass_longest=document.policies.break_glass.mfa_bypass.max_duration,
        realms={name: realm_name(document, name) for name in document.environments},
    )


def _offer(document: Document, name: str, description: str, ways: Mapping[str, Way]) -> Offer:
    known = document.roles.permissions
    held = {one for role in ways if role in document.roles.roles for one in document.roles.roles[role].permissions}
    return Offer(
        name=name,
        description=" ".join(description.split()),
        roles=tuple(ways),
        permissions=tuple(sorted(held)),
        sensitive=any(one in known and known[one].sensitive for one in held),
        longest=class_of(document, ways).max_duration,
    )
