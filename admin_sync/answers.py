"""What a configuration answers about access, without asking any server. Pure: documents to plain data.

Both questions read `admin_sync.holdings`, and every answer carries the whole way, where the grant is
declared, when it ends and what a login has to prove before the permission counts. The shapes are
those of `schemas/explain.schema.json` and `schemas/who-can.schema.json`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final

from admin_sync.holdings import administrator_roles, allowed_roles, closure, group_roles, holdings
from admin_sync.load.document import BINDINGS, PARTNERS, ROLES, Document
from admin_sync.load.schema import Client
from admin_sync.model import Json, Position

_LEVELS: Final = ("aal1", "aal2", "aal3")


def explained(document: Document, environment: str, subject: str) -> dict[str, Json]:
    """Everything that a person (by e-mail, in lower case) or a workload (by client id) is granted."""
    roles = list(_roles_of(document, environment, subject))
    permissions: dict[str, dict[str, Json]] = {}
    for role in roles:
        section = document.roles.roles.get(role["role"])
        for permission in section.permissions if section else ():
            one = {"permission": permission, **role, **_demands(document, environment, permission, role["way"])}
            del one["role"]
            if permission not in permissions or _stands_longer(one, permissions[permission]):
                permissions[permission] = one
    return {
        "environment": environment,
        "roles": roles,
        "permissions": [permissions[name] for name in sorted(permissions)],
        "client_roles": list(_client_roles(document, environment, subject)),
        "partners": list(_partners(document, environment, subject)),
        "accepted": list(_accepted(document, environment, subject)),
        "expired": list(_expired(document, environment, subject)),
    }


def holders(document: Document, environment: str, permission: str) -> list[dict[str, Json]]:
    """Everybody and everything that is granted a permission, sorted by name."""
    found = [
        *_people(document, environment, permission),
        *_workloads(document, environment, permission),
        *_mapped(document, environment, permission),
        *_of_partners(document, environment, permission),
    ]
    return sorted(found, key=lambda one: (one["subject"], one["way"]))


def _roles_of(document: Document, environment: str, subject: str) -> Iterator[dict[str, Json]]:
    for holding in holdings(document, environment, document.now).get(subject, ()):
        at = document.at(BINDINGS, "bindings", holding.binding)
        yield _grant(holding.way, at, holding.expires, role=holding.role)
    client = document.roles.clients.get(subject)
    if client is not None and _stands(document, client, environment):
        field, names = client.service_roles
        for number, name in enumerate(names):
            at = document.at(ROLES, "clients", subject, field, number)
            for reached, way in closure(document, name).items():
                yield _grant((f"client {subject}", *way), at, None, role=reached)


def _grant(way: Iterable[str], at: Position, expires: datetime | None, **what: Json) -> dict[str, Json]:
    return {**what, "way": list(way), "at": str(at), "expires": expires.isoformat() if expires else None}


def _stands_longer(one: dict[str, Json], other: dict[str, Json]) -> bool:
    """Whether a way is the better answer: it ends later, or as late and is shorter."""

    def worth(grant: dict[str, Json]) -> tuple[bool, str, int]:
        return grant["expires"] is None, grant["expires"] or "", -len(grant["way"])

    return worth(one) > worth(other)


def _demands(document: Document, environment: str, permission: str, way: Iterable[str]) -> dict[str, Json]:
    """What a login has to prove, and which windows have to be open, for a permission by one way."""
    assurance = document.policies.assurance
    section = document.roles.permissions.get(permission)
    sensitive = section is not None and section.sensitive
    on_the_way = [step.rpartition("role ")[2] for step in way if "role " in step]
    levels = [assurance.interactive, *(assurance.roles[role] for role in on_the_way if role in assurance.roles)]
    if sensitive:
        levels.append(assurance.sensitive.level)
    windows = document.policies.production_windows
    return {
        "assurance": max(levels, key=_LEVELS.index),
        "max_age": int(assurance.sensitive.max_age.total_seconds()) if sensitive else None,
        "windows": [role for role in on_the_way if role in windows and environment in windows[role].environments],
    }


def _client_roles(document: Document, environment: str, subject: str) -> Iterator[dict[str, Json]]:
    if document.barred(subject):
        return
    for number, binding in enumerate(document.bindings.bindings):
        mine = binding.subject.user.lower() == subject and environment in binding.environments
        if mine and binding.client_role and (binding.expires is None or binding.expires > document.now):
            at = document.at(BINDINGS, "bindings", number)
            yield _grant((f"client role {binding.client_role}",), at, binding.expires, client_role=binding.client_role)


def _partners(document: Document, environment: str, subject: str) -> Iterator[dict[str, Json]]:
    for alias, partner in document.partners.partners.items():
        for number, email in enumerate(partner.admins):
            if email.lower() != subject or document.barred(subject):
                continue
            at = document.at(PARTNERS, "partners", alias, "admins", number)
            roles = administrator_roles(document, alias)
            permissions = [
                {
                    "permission": permission,
                    "way": [f"partner {alias}", f"partner role {role}"],
                    **_demands(document, environment, permission, (f"partner role {role}",)),
                }
                for role in roles
                for permission in sorted(document.roles.partner_roles[role].permissions)
            ]
            yield {"partner": alias, "roles": roles, "at": str(at), "permissions": permissions}


def _accepted(document: Document, environment: str, subject: str) -> Iterator[dict[str, Json]]:
    for number, one in enumerate(document.policies.accepted_grants):
        here = one.environments is None or environment in one.environments
        if one.holder in (subject, f"client {subject}") and here:
            at = document.at("policies.yaml", "accepted_grants", number)
            end = one.expires.isoformat() if one.expires else None
            yield {"grant": one.grant, "reason": one.reason, "at": str(at), "expires": end}


def _expired(document: Document, environment: str, subject: str) -> Iterator[dict[str, Json]]:
    for number, binding in enumerate(document.bindings.bindings):
        if binding.subject.user.lower() != subject or environment not in binding.environments:
            continue
        if binding.expires is not None and binding.expires <= document.now:
            at = document.at(BINDINGS, "bindings", number)
            yield {"what": binding.target, "expires": binding.expires.isoformat(), "at": str(at)}


def _people(document: Document, environment: str, permission: str) -> Iterator[dict[str, Json]]:
    for person, held in holdings(document, environment, document.now).items():
        for holding in held:
            if _gives(document, holding.role, permission):
                at = document.at(BINDINGS, "bindings", holding.binding)
                one = _grant(holding.way, at, holding.expires, subject=person, kind="person", partner=None)
                yield {**one, **_demands(document, environment, permission, holding.way)}


def _workloads(document: Document, environment: str, permission: str) -> Iterator[dict[str, Json]]:
    for name, client in document.roles.clients.items():
        if not _stands(document, client, environment):
            continue
        field, names = client.service_roles
        for number, role in enumerate(names):
            at = document.at(ROLES, "clients", name, field, number)
            for reached, way in closure(document, role).items():
                if _gives(document, reached, permission):
                    one = _grant(way, at, None, subject=f"client {name}", kind="client", partner=None)
                    yield {**one, **_demands(document, environment, permission, way)}


def _mapped(document: Document, environment: str, permission: str) -> Iterator[dict[str, Json]]:
    for alias, provider in document.roles.identity_providers.items():
        here = provider.environments is None or environment in provider.environments
        if not here or not document.enabled(provider.enabled_if):
            continue
        for upstream, path in provider.group_mappings.items():
            at = document.at(ROLES, "identity_providers", alias, "group_mappings", upstream, key=True)
            for role, way in group_roles(document, path).items():
                if _gives(document, role, permission):
                    who = f"whoever {alias} puts in {upstream}"
                    one = _grant(way, at, None, subject=who, kind="mapped", partner=None)
                    yield {**one, **_demands(document, environment, permission, way)}


def _of_partners(document: Document, environment: str, permission: str) -> Iterator[dict[str, Json]]:
    for alias, partner in document.partners.partners.items():
        administered = administrator_roles(document, alias)
        for role in allowed_roles(document, alias):
            if permission not in document.roles.partner_roles[role].permissions:
                continue
            at = document.at(PARTNERS, "partners", alias, key=True)
            way = (f"partner role {role}",)
            needed = _demands(document, environment, permission, way)
            yield {**_grant(way, at, None, subject=f"partner {alias}", kind="members", partner=alias), **needed}
            for number, email in enumerate(partner.admins if role in administered else ()):
                at = document.at(PARTNERS, "partners", alias, "admins", number)
                whole = (f"partner {alias}", *way)
                one = _grant(whole, at, None, subject=email.lower(), kind="person", partner=alias)
                yield {**one, **needed}


def _stands(document: Document, client: Client, environment: str) -> bool:
    here = client.environments is None or environment in client.environments
    return here and document.enabled(client.enabled_if)


def _gives(document: Document, role: str, permission: str) -> bool:
    section = document.roles.roles.get(role)
    return section is not None and permission in section.permissions
