"""Segregation of duties: roles that policy keeps apart must not meet in one role, group, mapping or person.

People from an identity provider appear only at run time; what their upstream groups would combine
is refused then, by the plan's guard and inside Keycloak's own transaction.
"""

from __future__ import annotations

from collections.abc import Iterator

from admin_sync.check.references import group_place
from admin_sync.errors import Finding
from admin_sync.holdings import (
    Holding,
    Way,
    administrator_roles,
    closure,
    conflicts,
    excepted,
    group_roles,
    groups,
    holdings,
)
from admin_sync.load.document import BINDINGS, PARTNERS, ROLES, Document
from admin_sync.load.positions import PathPart
from admin_sync.model import Position

CODE = "segregation-of-duties"


def separation_in_things(document: Document) -> Iterator[Finding]:
    """Roles, groups, workloads and mappings that would give conflicting roles to whoever has them."""
    for name in document.roles.roles:
        yield from _finding(document, ("roles", name), f"role {name}", closure(document, name))
    for path in groups(document):
        yield from _finding(document, group_place(path), f"group {path}", group_roles(document, path))
    for name, client in document.roles.clients.items():
        field, held = client.service_roles
        ways: dict[str, Way] = {}
        for role in held:
            ways |= closure(document, role)
        yield from _finding(document, ("clients", name, field), f"client {name}", ways)
    for alias, provider in document.roles.identity_providers.items():
        for upstream, path in provider.group_mappings.items():
            place = ("identity_providers", alias, "group_mappings", upstream)
            yield from _finding(document, place, f"mapping of {upstream!r}", group_roles(document, path))


def _finding(document: Document, place: tuple[PathPart, ...], what: str, ways: dict[str, Way]) -> Iterator[Finding]:
    for rule, roles in conflicts(document, ways):
        shown = " and ".join(f"{role} ({' → '.join(ways[role])})" for role in roles)
        yield Finding.at(document.at(ROLES, *place, key=True), CODE, f"{what} would combine {shown} against {rule!r}")


def separation_in_people(document: Document) -> Iterator[Finding]:
    """People whose live bindings together break a rule in some environment, unless an exception covers it."""
    rules = {rule.name: rule for rule in document.policies.segregation_of_duties}
    found: dict[tuple[Position, str], list[str]] = {}
    for environment in document.environments:
        for person, held in holdings(document, environment, document.now).items():
            by_role: dict[str, Holding] = {}
            for holding in held:
                by_role.setdefault(holding.role, holding)
            for name, roles in conflicts(document, by_role):
                # An exception covers its own binding and no other: without it nothing may be left to set aside.
                rest = {one.role for one in held if not excepted(document, one.binding, rules[name])}
                if len(rest.intersection(roles)) < 2:
                    continue
                parties = [by_role[role] for role in roles]
                shown = " and ".join(f"{one.role} ({' → '.join(one.way)})" for one in parties)
                position = document.at(BINDINGS, "bindings", max(one.binding for one in parties))
                message = f"{person} would hold {shown} against {name!r}"
                found.setdefault((position, message), []).append(environment)
    for (position, message), environments in found.items():
        yield Finding.at(position, CODE, f"{message} in {', '.join(environments)}")


def separation_in_partners(document: Document) -> Iterator[Finding]:
    """A partner's administrators, with the roles they hold there and those they hold on the platform."""
    for alias, partner in document.partners.partners.items():
        if partner.persona not in document.partners.personas:
            continue
        inside = {role: (f"partner {alias}", f"partner role {role}") for role in administrator_roles(document, alias)}
        for number, email in enumerate(partner.admins):
            for environment in document.environments:
                ways: dict[str, Way] = dict(inside)
                for holding in holdings(document, environment, document.now).get(email.lower(), ()):
                    ways.setdefault(holding.role, holding.way)
                broken = [rule for rule in conflicts(document, ways) if set(rule[1]) & inside.keys()]
                if broken:
                    name, roles = broken[0]
                    shown = " and ".join(f"{role} ({' → '.join(ways[role])})" for role in roles)
                    place = document.at(PARTNERS, "partners", alias, "admins", number)
                    yield Finding.at(place, CODE, f"{email} would hold {shown} against {name!r} in {environment}")
                    break
