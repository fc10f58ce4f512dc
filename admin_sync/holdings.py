"""Who has what, by which way: the one reading of roles, groups and grants that everything shares.

Checks, the effective-permission difference, `explain` and `who-can` all ask here. A way is a tuple
of steps as a person would say them: `("group trading", "role trader")`. Pure functions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from admin_sync.load.document import Document
from admin_sync.load.schema import Separation
from admin_sync.load.schema.roles import Group

Way = tuple[str, ...]

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Holding:
    """One role that a person holds in one environment, by one way, from one binding."""

    role: str
    way: Way
    binding: int
    """The index of the binding in `role_bindings.yaml`."""
    expires: datetime | None = None


def closure(document: Document, role: str) -> dict[str, Way]:
    """The role itself and every role it includes, each with the shortest way to it."""
    return _once(document, "closure", role, lambda: included(role, _includes(document)))


def _includes(document: Document) -> Mapping[str, list[str]]:
    listed = document.roles.roles.items()
    return _once(document, "includes", "", lambda: {name: section.includes for name, section in listed})


def _once(document: Document, what: str, name: str, work: Callable[[], Result]) -> Result:
    """What `work` gives, worked out once for each document: thousands of bindings ask for the same few roles."""
    if (what, name) not in document.derived:
        document.derived[what, name] = work()
    found: Result = document.derived[what, name]
    return found


def included(role: str, includes: Mapping[str, Iterable[str]]) -> dict[str, Way]:
    """`closure` over plain data; a cycle ends where it closes."""
    ways: dict[str, Way] = {role: (f"role {role}",)}
    waiting = [role]
    while waiting:
        here = waiting.pop(0)
        for child in includes.get(here, ()):
            if child not in ways:
                ways[child] = (*ways[here], f"role {child}")
                waiting.append(child)
    return ways


def groups(document: Document) -> dict[str, Group]:
    """Every group and subgroup by its path, parents before their children."""
    return _once(document, "groups", "", lambda: _groups(document))


def _groups(document: Document) -> dict[str, Group]:
    found: dict[str, Group] = {}

    def walk(sections: Mapping[str, Group], prefix: str) -> None:
        for name, section in sections.items():
            found[f"{prefix}{name}"] = section
            walk(section.groups, f"{prefix}{name}/")

    walk(document.roles.groups, "")
    return found


def ancestry(path: str) -> list[str]:
    """A group's path and those of its ancestors, the group itself first."""
    parts = path.split("/")
    return ["/".join(parts[:length]) for length in range(len(parts), 0, -1)]


def group_roles(document: Document, path: str) -> dict[str, Way]:
    """The roles that membership of a group gives: its own, its ancestors', and what those include."""
    return _once(document, "group_roles", path, lambda: _group_roles(document, path))


def _group_roles(document: Document, path: str) -> dict[str, Way]:
    known = groups(document)
    ways: dict[str, Way] = {}
    for level in ancestry(path):
        start = (f"group {path}",) if level == path else (f"group {path}", f"group {level}")
        for role in known[level].roles if level in known else ():
            for reached, way in closure(document, role).items():
                ways.setdefault(reached, (*start, *way))
    return ways


def holdings(document: Document, environment: str, now: datetime) -> dict[str, list[Holding]]:
    """What the bindings give in one environment at one time, by e-mail address in lower case."""
    people: dict[str, list[Holding]] = {}
    for number, binding in enumerate(document.bindings.bindings):
        if environment not in binding.environments or (binding.expires is not None and binding.expires <= now):
            continue
        if document.barred(binding.subject.user):
            continue
        if binding.role is not None:
            ways = closure(document, binding.role)
        elif binding.group is not None:
            ways = group_roles(document, binding.group)
        else:
            # A client's own role gives nothing on the platform.
            continue
        people.setdefault(binding.subject.user.lower(), []).extend(
            Holding(role, way, number, binding.expires) for role, way in ways.items()
        )
    return people


def permissions_of(document: Document, role: str) -> Iterator[tuple[str, Way]]:
    """Every permission of a role, its includes' among them, with the way from the role to it."""
    for reached, way in closure(document, role).items():
        section = document.roles.roles.get(reached)
        for permission in section.permissions if section else ():
            yield permission, way


def conflicts(document: Document, roles: Iterable[str]) -> list[tuple[str, tuple[str, ...]]]:
    """The segregation rules that a set of roles breaks: the rule's name and the roles of it that are held."""
    held = set(roles)
    broken = []
    for rule in document.policies.segregation_of_duties:
        both = tuple(role for role in rule.roles if role in held)
        if len(both) > 1:
            broken.append((rule.name, both))
    return broken


def excepted(document: Document, number: int, rule: Separation) -> bool:
    """Whether a binding carries an exception to a rule: the rule's approver said yes, for at most its duration.

    A binding does not say when it starts, so the duration counts from that approver's last approval.
    """
    binding = document.bindings.bindings[number]
    exception = rule.exception
    if exception is None or binding.expires is None or binding.request is None:
        return False
    subject = binding.subject.user.lower()
    voices = [one for one in binding.approvals if one.capacity == exception.approver and one.by.lower() != subject]
    if not voices:
        return False
    # Somebody else's later approval does not make the exception longer.
    return binding.expires <= max(one.at for one in voices) + exception.max_duration


def allowed_roles(document: Document, alias: str) -> list[str]:
    """The partner roles that count in a partner: all, or those its persona allows."""
    persona = document.partners.personas[document.partners.partners[alias].persona]
    limit = persona.allowed_partner_roles
    return [role for role in document.roles.partner_roles if limit is None or role in limit]


def administrator_roles(document: Document, alias: str) -> list[str]:
    """What a partner's administrators hold there: `partner-admin`, or all that a narrower persona allows."""
    allowed = allowed_roles(document, alias)
    return ["partner-admin"] if "partner-admin" in allowed else allowed
