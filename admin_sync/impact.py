"""The effective-permission difference: who gains or loses what, by which way. Pure.

Both sides are read the same way, from the resources of a state: roles with what they include and
the permissions noted on them, groups, the mappings of identity providers, partners' groups, and
bindings. What a plan leaves alone stands on both sides. A way is made of steps as a person would
say them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Final

from admin_sync.holdings import Way, ancestry, included
from admin_sync.load.document import Document
from admin_sync.model import Current, Desired, Position, Ref, Resource
from admin_sync.refs import (
    BINDING,
    GROUP,
    ORGANIZATION_GROUP,
    PROVIDER_MAPPER,
    RIGHT,
    ROLE,
    client_role_binding,
    group_binding,
    role_binding,
)

PERSON, SERVICE, MAPPED, MEMBERS, EVERYBODY = "person", "client", "mapped", "members", "everybody"


@dataclass(frozen=True, slots=True, order=True)
class Subject:
    """Who holds something. `sort` is one of the five words above; `name` is how a plan calls them."""

    sort: str
    name: str


@dataclass(frozen=True, slots=True, order=True)
class Thing:
    """What is held: a `permission` of the platform, or a `right`, which is a client's role and that client's affair.

    `partner` is the alias inside which a permission holds, and empty where it holds everywhere.
    """

    sort: str
    name: str
    partner: str = ""


@dataclass(frozen=True, slots=True)
class Held:
    """By which way something is held, and the object that started it."""

    way: Way
    ref: Ref


@dataclass(frozen=True, slots=True, order=True)
class Effect:
    """One thing that one subject gains or loses in one environment."""

    environment: str
    subject: Subject
    thing: Thing
    gained: bool
    way: Way
    """By which way it is held: afterwards if gained, before if lost."""
    at: Position | None = None
    """Where the grant that gives it is declared."""
    until: datetime | None = None
    """When the grant that gives it ends."""


def effects(desired: Desired, current: Current, document: Document | None = None) -> list[Effect]:
    """Everything that changes for anybody when the realm becomes as desired, sorted.

    `document` supplies when grants end, which no realm knows.
    """
    before = held(current.resources)
    after = held(afterwards(desired.resources.values(), current))
    ends = {} if document is None else _ends(document)
    found = []
    for subject in before.keys() | after.keys():
        had, has = before.get(subject, {}), after.get(subject, {})
        for thing in has.keys() - had.keys():
            start = has[thing].ref
            origin = desired.resources[start].origin if start in desired.resources else None
            found.append(Effect(desired.environment, subject, thing, True, has[thing].way, origin, ends.get(start)))
        found += [Effect(desired.environment, subject, one, False, had[one].way) for one in had.keys() - has.keys()]
    return sorted(found, key=lambda one: (one.environment, one.subject, one.thing, one.gained))


def effective(resources: Iterable[Resource], current: Current | None = None) -> dict[str, list[tuple[str, Way]]]:
    """Every permission that a person or a client holds on the platform, with the shortest way to it.

    `current` supplies what a desired state keeps without naming it, and what it leaves alone.
    """
    table = {one.ref: one for one in resources} if current is None else afterwards(resources, current)
    return {
        subject.name: sorted((one.name, by.way) for one, by in things.items() if _on_platform(one))
        for subject, things in held(table).items()
        if subject.sort in (PERSON, SERVICE) and any(map(_on_platform, things))
    }


def person_roles(resources: Iterable[Resource], current: Current) -> dict[str, list[tuple[str, Ref]]]:
    """The roles that bindings give each person and client directly or by group, with the binding, includes not
    expanded."""
    found: dict[str, list[tuple[str, Ref]]] = {}
    for subject, role, _, ref in _roles(afterwards(resources, current)):
        if subject.sort in (PERSON, SERVICE):
            found.setdefault(subject.name, []).append((role, ref))
    return found


def afterwards(resources: Iterable[Resource], current: Current) -> dict[Ref, Resource]:
    """A realm as it will be: what is desired, and what of the current state nobody takes away."""
    table = {ref: one for ref, one in current.resources.items() if not one.managed}
    for resource in resources:
        known = None if resource.attrs else current.resources.get(resource.ref)
        table[resource.ref] = known or resource
    return table


def held(table: Mapping[Ref, Resource]) -> dict[Subject, dict[Thing, Held]]:
    """Everything that everybody holds, each thing by its shortest way."""
    roles = {ref.name: one.attrs for ref, one in table.items() if ref.kind == ROLE}
    includes = {name: attrs.get("includes", ()) for name, attrs in roles.items()}

    @cache
    def reached(role: str) -> list[tuple[Thing, Way]]:
        things = []
        for inner, way in included(role, includes).items():
            attrs = roles.get(inner, {})
            things += [(Thing("permission", one), way) for one in attrs.get("permissions", ())]
            things += [(Thing("right", one), way) for one in attrs.get("client_includes", ())]
        return things

    found: dict[Subject, dict[Thing, Held]] = {}

    def note(subject: Subject, thing: Thing, way: Way, ref: Ref) -> None:
        things = found.setdefault(subject, {})
        if thing not in things or len(way) < len(things[thing].way):
            things[thing] = Held(way, ref)

    for subject, role, start, ref in _roles(table):
        for thing, way in reached(role):
            note(subject, thing, (*start, *way), ref)
    for subject, thing, way, ref in _rights(table):
        note(subject, thing, way, ref)
    for subject, thing, way, ref in _partners(table):
        note(subject, thing, way, ref)
    return found


def _on_platform(thing: Thing) -> bool:
    return thing.sort == "permission" and not thing.partner


_CALLED: Final = (
    ("user", PERSON, "{}"),
    ("client", SERVICE, "client {}"),
    ("to_everyone", EVERYBODY, "every new account"),
    ("everyone", EVERYBODY, "every new account"),
    ("to_group", MEMBERS, "members of group {}"),
    ("to_role", MEMBERS, "whoever has role {}"),
    ("to_partner", MEMBERS, "members of partner {}"),
)
"""Which attribute of a grant says who has it, and how they are called."""


def _subject(attrs: Mapping[str, Any]) -> Subject | None:
    for name, sort, called in _CALLED:
        if name in attrs:
            return Subject(sort, called.format(attrs[name]))
    return None


def _in_groups(table: Mapping[Ref, Resource]) -> Iterator[tuple[Subject, str, Ref]]:
    """Who is put in which group, by which object."""
    for ref, one in table.items():
        subject = _subject(one.attrs) if ref.kind in (BINDING, RIGHT) and "group" in one.attrs else None
        if subject is not None:
            yield subject, one.attrs["group"], ref
        if ref.kind == PROVIDER_MAPPER and one.attrs.get("group"):
            alias = ref.name.partition("/")[0]
            yield Subject(MAPPED, f"whoever {alias} puts in {one.attrs.get('upstream')}"), one.attrs["group"], ref


def _levels(path: str) -> Iterator[tuple[str, Way]]:
    """A group and those above it, with the first steps of a way through each."""
    for level in ancestry(path):
        own = (f"group {path}",)
        yield level, own if level == path else (*own, f"group {level}")


def _roles(table: Mapping[Ref, Resource]) -> Iterator[tuple[Subject, str, Way, Ref]]:
    """Realm roles, given directly and by groups; what those include is not expanded."""
    groups = {ref.name: one.attrs.get("roles", ()) for ref, one in table.items() if ref.kind == GROUP}
    for subject, path, ref in _in_groups(table):
        for level, start in _levels(path):
            yield from ((subject, role, start, ref) for role in groups.get(level, ()))
    for ref, one in table.items():
        attrs: Mapping[str, Any] = one.attrs
        direct = "role" in attrs and not attrs.keys() & {"partner", "owner", "tokens_of_client", "tokens_of_scope"}
        holder = _subject(attrs) if ref.kind in (BINDING, RIGHT) and direct else None
        if holder is not None:
            yield holder, attrs["role"], (), ref


def _rights(table: Mapping[Ref, Resource]) -> Iterator[tuple[Subject, Thing, Way, Ref]]:
    """Clients' roles, given directly and by groups."""
    groups = {ref.name: one.attrs.get("client_roles", ()) for ref, one in table.items() if ref.kind == GROUP}
    for subject, path, ref in _in_groups(table):
        for level, start in _levels(path):
            yield from ((subject, Thing("right", name), start, ref) for name in groups.get(level, ()))
    for ref, one in table.items():
        holder = _subject(one.attrs) if ref.kind in (BINDING, RIGHT) and "owner" in one.attrs else None
        if holder is not None:
            name = f"{one.attrs['owner']}:{one.attrs['role']}"
            yield holder, Thing("right", name), (f"client role {name}",), ref


def _partners(table: Mapping[Ref, Resource]) -> Iterator[tuple[Subject, Thing, Way, Ref]]:
    """What partners' groups give their administrators, whom we name, and their members, whom they do."""
    groups = {
        ref.name: one.attrs.get("permissions", ()) for ref, one in table.items() if ref.kind == ORGANIZATION_GROUP
    }
    for name, permissions in groups.items():
        alias, _, role = name.partition("/")
        ref = Ref(ORGANIZATION_GROUP, name)
        for permission in permissions:
            way = (f"partner {alias}", f"partner role {role}")
            subject = Subject(MEMBERS, f"whoever partner {alias} gives {role}")
            yield subject, Thing("permission", permission, alias), way, ref
    for ref, one in table.items():
        if ref.kind == BINDING and "partner" in one.attrs:
            alias, role = one.attrs["partner"], one.attrs["role"]
            for permission in groups.get(f"{alias}/{role}", ()):
                way = (f"partner {alias}", f"partner role {role}")
                yield Subject(PERSON, one.attrs["user"]), Thing("permission", permission, alias), way, ref


def _ends(document: Document) -> dict[Ref, datetime | None]:
    """When each declared grant ends; None where one of its declarations has no end."""
    ends: dict[Ref, datetime | None] = {}
    for binding in document.bindings.bindings:
        email = binding.subject.user
        if binding.role is not None:
            ref = role_binding(email, binding.role)
        elif binding.group is not None:
            ref = group_binding(email, binding.group)
        else:
            client, _, role = (binding.client_role or "").partition("/")
            ref = client_role_binding(email, client, role)
        known = ends.get(ref, binding.expires)
        ends[ref] = None if known is None or binding.expires is None else max(known, binding.expires)
    return ends
