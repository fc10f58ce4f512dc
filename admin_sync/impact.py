"""The effective-permission difference: who gains or loses which permission, by which way. Pure.

Both sides are read the same way, from the resources of a state: roles with what they include and
the permissions noted on them, groups with their roles, bindings. A way is made of steps as a person
would say them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from admin_sync.access import Way, ancestry, included
from admin_sync.model import Current, Desired, Ref, Resource
from admin_sync.refs import BINDING, GROUP, ROLE


@dataclass(frozen=True, slots=True, order=True)
class Effect:
    """One permission that one person or service gains or loses in one environment."""

    environment: str
    subject: str
    permission: str
    gained: bool
    way: Way
    """By which way it is held: afterwards if gained, before if lost."""


def effects(desired: Desired, current: Current) -> list[Effect]:
    """Everything that changes for anybody when the realm becomes as desired, sorted."""
    before = effective(current.resources.values())
    after = effective(desired.resources.values(), current)
    found = []
    for subject in before.keys() | after.keys():
        had, has = dict(before.get(subject, ())), dict(after.get(subject, ()))
        found += [Effect(desired.environment, subject, one, True, has[one]) for one in has.keys() - had.keys()]
        found += [Effect(desired.environment, subject, one, False, had[one]) for one in had.keys() - has.keys()]
    return sorted(found)


def effective(resources: Iterable[Resource], current: Current | None = None) -> dict[str, list[tuple[str, Way]]]:
    """Every permission of every subject with the shortest way to it.

    `current` supplies the attributes of what a desired state keeps without naming them.
    """
    table = _filled(resources, current)
    includes = {ref.name: one.attrs.get("includes", ()) for ref, one in table.items() if ref.kind == ROLE}
    permissions = {ref.name: one.attrs.get("permissions", ()) for ref, one in table.items() if ref.kind == ROLE}
    shortest: dict[str, dict[str, Way]] = {}
    for subject, roles in _roles_of(table).items():
        ways = shortest.setdefault(subject, {})
        for role, start, _ in roles:
            for reached, way in included(role, includes).items():
                for permission in permissions.get(reached, ()):
                    whole = (*start, *way)
                    if permission not in ways or len(whole) < len(ways[permission]):
                        ways[permission] = whole
    return {subject: sorted(ways.items()) for subject, ways in shortest.items()}


def person_roles(resources: Iterable[Resource], current: Current) -> dict[str, list[tuple[str, Ref]]]:
    """The roles that bindings give each subject directly or by group, with the binding, includes not expanded."""
    return {
        subject: [(role, ref) for role, _, ref in roles]
        for subject, roles in _roles_of(_filled(resources, current)).items()
    }


def _filled(resources: Iterable[Resource], current: Current | None) -> dict[Ref, Resource]:
    table = {}
    for resource in resources:
        known = current.resources.get(resource.ref) if current and not resource.attrs else None
        table[resource.ref] = known or resource
    return table


def _roles_of(table: Mapping[Ref, Resource]) -> dict[str, list[tuple[str, Way, Ref]]]:
    groups = {ref.name: one.attrs.get("roles", ()) for ref, one in table.items() if ref.kind == GROUP}
    found: dict[str, list[tuple[str, Way, Ref]]] = {}
    for ref, one in table.items():
        if ref.kind != BINDING:
            continue
        attrs: Mapping[str, Any] = one.attrs
        subject = attrs.get("user") or (f"client {attrs['client']}" if "client" in attrs else None)
        if subject is None:
            continue
        if "group" in attrs:
            for level in ancestry(attrs["group"]):
                own = (f"group {attrs['group']}",)
                start: Way = own if level == attrs["group"] else (*own, f"group {level}")
                found.setdefault(subject, []).extend((role, start, ref) for role in groups.get(level, ()))
        elif "role" in attrs and "partner" not in attrs and "owner" not in attrs:
            found.setdefault(subject, []).append((attrs["role"], (), ref))
    return found
