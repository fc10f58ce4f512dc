"""explain and who-can: what the configuration grants, without asking any server."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated

import typer

from admin_sync.access import Way, closure, group_roles, holdings, permissions_of
from admin_sync.commands.arguments import command, group
from admin_sync.commands.options import Options
from admin_sync.console import DONE
from admin_sync.desired.partners import administrator_roles, allowed_roles
from admin_sync.errors import Finding, InvalidInput
from admin_sync.load.document import ROLES, Document
from admin_sync.load.schema import WorkloadClient
from admin_sync.model import Json, printable

app = group()

User = Annotated[str, typer.Argument(metavar="USER", help="An e-mail address, or a client id.")]
Asked = Annotated[str, typer.Argument(metavar="PERMISSION")]


@command(app)
def explain(options: Options, *, user: User) -> int:
    """Say what a person or a workload is granted, where, until when, and by which way."""
    document = options.document()
    report = [_of_person(document, one, user.lower()) for one in options.wanted(document)]
    if options.console.as_json:
        options.console.json({"subject": user, "environments": report})
        return DONE
    for one in report:
        options.console.data(f"{printable(user)} in {one['environment']}:\n")
        if not any(one[part] for part in ("roles", "partners", "expired")):
            options.console.data("  nothing is granted by the configuration\n")
        for role in one["roles"]:
            end = f", until {role['expires']}" if role["expires"] else ""
            options.console.data(f"  role {role['role']} by {_shown(role['way'])} ({role['at']}){end}\n")
        for permission in one["permissions"]:
            options.console.data(f"    {permission['permission']} by {_shown(permission['way'])}\n")
        for partner in one["partners"]:
            options.console.data(f"  partner {partner['partner']}: {', '.join(partner['roles'])} ({partner['at']})\n")
        for expired in one["expired"]:
            options.console.data(f"  expired: {expired['what']} on {expired['expires']} ({expired['at']})\n")
    return DONE


def _of_person(document: Document, environment: str, subject: str) -> Json:
    roles: list[Json] = []
    permissions: dict[str, Way] = {}
    for holding in holdings(document, environment, document.now).get(subject, ()):
        at = document.at("role_bindings.yaml", "bindings", holding.binding)
        end = holding.expires.isoformat() if holding.expires else None
        roles.append({"role": holding.role, "way": list(holding.way), "at": str(at), "expires": end})
        _note_permissions(document, holding.role, holding.way, permissions)
    client = document.roles.clients.get(subject)
    if isinstance(client, WorkloadClient) and _stands(document, client, environment):
        for number, role in enumerate(client.roles):
            at = document.at(ROLES, "clients", subject, "roles", number)
            for reached, way in closure(document, role).items():
                whole = (f"client {subject}", *way)
                roles.append({"role": reached, "way": list(whole), "at": str(at), "expires": None})
                _note_permissions(document, reached, whole, permissions)
    return {
        "environment": environment,
        "roles": roles,
        "permissions": [{"permission": name, "way": list(way)} for name, way in sorted(permissions.items())],
        "partners": list(_partners(document, subject)),
        "expired": list(_expired(document, environment, subject)),
    }


def _note_permissions(document: Document, role: str, way: Way, found: dict[str, Way]) -> None:
    section = document.roles.roles.get(role)
    for permission in section.permissions if section else ():
        if permission not in found or len(way) < len(found[permission]):
            found[permission] = way


def _partners(document: Document, subject: str) -> Iterator[Json]:
    for alias, partner in document.partners.partners.items():
        for number, email in enumerate(partner.admins):
            if email.lower() == subject:
                at = document.at("partners.yaml", "partners", alias, "admins", number)
                yield {"partner": alias, "roles": administrator_roles(document, alias), "at": str(at)}


def _expired(document: Document, environment: str, subject: str) -> Iterator[Json]:
    for number, binding in enumerate(document.bindings.bindings):
        if binding.subject.user.lower() != subject or environment not in binding.environments:
            continue
        if binding.expires is not None and binding.expires <= document.now:
            at = document.at("role_bindings.yaml", "bindings", number)
            yield {"what": binding.target, "expires": binding.expires.isoformat(), "at": str(at)}


@command(app)
def who_can(options: Options, *, permission: Asked) -> int:
    """List everybody who is granted a permission, and by which way."""
    document = options.document()
    if permission not in document.roles.permissions:
        place = document.at(ROLES, "permissions", key=True)
        message = f"there is no permission {permission!r}; they are listed here"
        raise InvalidInput([Finding.at(place, "unknown-permission", message)])
    report: list[dict[str, Json]] = [
        {"environment": one, "subjects": sorted(_holders(document, one, permission), key=lambda held: held["subject"])}
        for one in options.wanted(document)
    ]
    if options.console.as_json:
        options.console.json({"permission": permission, "environments": report})
        return DONE
    for one in report:
        options.console.data(f"{permission} in {one['environment']}:\n")
        if not one["subjects"]:
            options.console.data("  nobody\n")
        for held in one["subjects"]:
            end = f", until {held['expires']}" if held["expires"] else ""
            options.console.data(f"  {held['subject']} by {_shown(held['way'])}{end}\n")
    return DONE


def _holders(document: Document, environment: str, permission: str) -> Iterator[dict[str, Json]]:
    yield from _people(document, environment, permission)
    for name, client in document.roles.clients.items():
        if isinstance(client, WorkloadClient) and _stands(document, client, environment):
            for role in client.roles:
                for found, way in permissions_of(document, role):
                    if found == permission:
                        yield _held(f"client {name}", way)
    for alias, provider in document.roles.identity_providers.items():
        if environment in (provider.environments or document.environments) and document.enabled(provider.enabled_if):
            for upstream, path in provider.group_mappings.items():
                for role, way in group_roles(document, path).items():
                    if _gives(document, role, permission):
                        yield _held(f"whoever {alias} puts in {upstream}", way)
    yield from (
        _held(f"partner {alias}", (f"partner role {role}",))
        for alias in document.partners.partners
        for role in allowed_roles(document, alias)
        if permission in document.roles.partner_roles[role].permissions
    )


def _stands(document: Document, client: WorkloadClient, environment: str) -> bool:
    here = client.environments is None or environment in client.environments
    return here and document.enabled(client.enabled_if)


def _people(document: Document, environment: str, permission: str) -> Iterator[dict[str, Json]]:
    for person, held in holdings(document, environment, document.now).items():
        for holding in held:
            if _gives(document, holding.role, permission):
                yield _held(person, holding.way, holding.expires)


def _gives(document: Document, role: str, permission: str) -> bool:
    section = document.roles.roles.get(role)
    return section is not None and permission in section.permissions


def _held(subject: str, way: Way, expires: datetime | None = None) -> dict[str, Json]:
    return {"subject": subject, "way": list(way), "expires": expires.isoformat() if expires else None}


def _shown(way: list[str]) -> str:
    return printable(" → ".join(way))
