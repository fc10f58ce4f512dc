"""Every name leads somewhere, and no role includes itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from difflib import get_close_matches
from typing import Final

from admin_sync.errors import Finding
from admin_sync.holdings import groups
from admin_sync.load.document import BINDINGS, POLICIES, ROLES, Document
from admin_sync.load.positions import PathPart
from admin_sync.load.schema import WorkloadClient

RESERVED_ROLES: Final = frozenset({"offline_access", "uma_authorization"})
RESERVED_CLIENTS: Final = frozenset(
    {
        "account",
        "account-console",
        "admin-cli",
        "admin-permissions",
        "broker",
        "realm-management",
        "security-admin-console",
    }
)

Place = tuple[PathPart, ...]
Known = Callable[[Place, Iterable[str]], Iterator[Finding]]


def unknown(document: Document, file: str, kind: str, names: Iterable[str]) -> Known:
    """A function that reports which of the names in a list at a place are not among `names`."""
    table = set(names) | document.dropped

    def report(place: Place, wanted: Iterable[str]) -> Iterator[Finding]:
        for number, name in enumerate(wanted):
            if name not in table:
                yield missing(document, file, (*place, number), kind=kind, name=name, known=table)

    return report


def missing(document: Document, file: str, place: Place, *, kind: str, name: str, known: Iterable[str]) -> Finding:
    """The finding for one name that leads nowhere, with the nearest one that does not."""
    close = get_close_matches(name, sorted(known), n=1)
    hint = f"; did you mean {close[0]!r}?" if close else "; declare it or correct the name"
    return Finding.at(document.at(file, *place), f"unknown-{kind}", f"there is no {kind} {name!r}{hint}")


def role_references(document: Document) -> Iterator[Finding]:
    permissions = unknown(document, ROLES, "permission", document.roles.permissions)
    roles = unknown(document, ROLES, "role", document.roles.roles)
    for name, role in document.roles.roles.items():
        yield from permissions(("roles", name, "permissions"), role.permissions)
        yield from roles(("roles", name, "includes"), role.includes)


def cycles(document: Document) -> Iterator[Finding]:
    """One finding for each cycle of includes, at its first role in the file."""
    includes = {name: role.includes for name, role in document.roles.roles.items()}
    reported: set[frozenset[str]] = set()
    for start in includes:
        trail = _way_back(start, includes)
        if trail and frozenset(trail) not in reported:
            reported.add(frozenset(trail))
            shown = " → ".join((*trail, start))
            place = document.at(ROLES, "roles", start, "includes")
            yield Finding.at(
                place, "include-cycle", f"{shown}: a role cannot include itself; remove one of the includes"
            )


def _way_back(start: str, includes: dict[str, list[str]]) -> tuple[str, ...]:
    waiting: list[tuple[str, tuple[str, ...]]] = [(child, (start,)) for child in includes[start]]
    seen: set[str] = set()
    while waiting:
        here, trail = waiting.pop(0)
        if here == start:
            return trail
        if here not in seen:
            seen.add(here)
            waiting.extend((child, (*trail, here)) for child in includes.get(here, ()))
    return ()


def group_references(document: Document) -> Iterator[Finding]:
    roles = unknown(document, ROLES, "role", document.roles.roles)
    for path, group in groups(document).items():
        yield from roles((*group_place(path), "roles"), group.roles)


def group_place(path: str) -> Place:
    """Where a group stands in `roles.yaml`."""
    parts: list[PathPart] = []
    for name in path.split("/"):
        parts += ["groups", name]
    return tuple(parts)


def client_references(document: Document) -> Iterator[Finding]:
    roles = unknown(document, ROLES, "role", document.roles.roles)
    environments = unknown(document, ROLES, "environment", document.environments)
    for name, client in document.roles.clients.items():
        yield from environments(("clients", name, "environments"), client.environments or ())
        if isinstance(client, WorkloadClient):
            yield from roles(("clients", name, "roles"), client.roles)
            continue
        interactive = {"authorization_code"} & set(client.flows)
        uris = [uri for listed in client.redirect_uris.values() for uri in listed]
        if interactive and not uris:
            place = document.at(ROLES, "clients", name, "flows")
            yield Finding.at(place, "redirect-uri", "authorization_code needs at least one of redirect_uris")
        if uris and not interactive:
            place = document.at(ROLES, "clients", name, "redirect_uris", key=True)
            yield Finding.at(place, "redirect-uri", "only authorization_code uses redirect_uris; remove them")
        service = getattr(client, "service_account_roles", [])
        if service and "client_credentials" not in client.flows:
            place = document.at(ROLES, "clients", name, "service_account_roles", key=True)
            yield Finding.at(place, "flow", "service_account_roles need the flow client_credentials")
        field, held = client.service_roles
        yield from roles(("clients", name, field), held)
        if held and "client_credentials" not in client.flows:
            place = document.at(ROLES, "clients", name, field, key=True)
            yield Finding.at(place, "flow", f"{field} need the flow client_credentials")
        if getattr(client, "exchange_audiences", []) and "token_exchange" not in client.flows:
            place = document.at(ROLES, "clients", name, "exchange_audiences", key=True)
            yield Finding.at(place, "flow", "exchange_audiences need the flow token_exchange")


def provider_references(document: Document) -> Iterator[Finding]:
    known = groups(document)
    environments = unknown(document, ROLES, "environment", document.environments)
    for name, provider in document.roles.identity_providers.items():
        place: Place = ("identity_providers", name)
        yield from environments((*place, "environments"), provider.environments or ())
        for upstream, path in provider.group_mappings.items():
            if path not in known and path not in document.dropped:
                yield missing(
                    document, ROLES, (*place, "group_mappings", upstream), kind="group", name=path, known=known
                )
        if provider.client_id == "" and document.enabled(provider.enabled_if):
            yield Finding.at(document.at(ROLES, *place, "client_id"), "client-id", "the provider needs a client_id")
    for name, bridge in document.roles.token_bridges.items():
        yield from environments(("token_bridges", name, "environments"), bridge.environments or ())
        if name in document.roles.identity_providers:
            at = document.at(ROLES, "token_bridges", name, key=True)
            yield Finding.at(at, "taken", f"{name} is an identity provider; give the bridge another name")


def policy_references(document: Document) -> Iterator[Finding]:
    policies = document.policies
    environments = unknown(document, POLICIES, "environment", document.environments)
    roles = unknown(document, POLICIES, "role", document.roles.roles)
    approvers = unknown(document, POLICIES, "approver", policies.access_requests.approvers)
    known_groups = set(groups(document)) | document.dropped

    def keys(known: Known, place: Place, names: Iterable[str]) -> Iterator[Finding]:
        for name in names:
            for finding in known(place, [name]):
                position = document.at(POLICIES, *place, name, key=True)
                yield Finding.at(position, finding.code, finding.message)

    yield from keys(environments, ("people",), policies.people)
    for environment in document.environments:
        if environment not in policies.people:
            people = document.at(POLICIES, "people", key=True)
            yield Finding.at(people, "missing", f"people: say where the accounts of {environment} come from")
    yield from keys(roles, ("assurance", "roles"), policies.assurance.roles)
    yield from keys(roles, ("production_windows",), policies.production_windows)
    yield from environments(("risk", "environments"), policies.risk.environments or ())
    for name, window in policies.production_windows.items():
        yield from environments(("production_windows", name, "environments"), window.environments)
    yield from keys(environments, ("environments",), policies.environments)
    for name, rules in policies.environments.items():
        yield from environments(("environments", name, "deny_roles_from"), rules.deny_roles_from)
    # A rule may also keep a partner's roles apart, from each other or from the platform's.
    either = unknown(document, POLICIES, "role", {**document.roles.roles, **document.roles.partner_roles})
    for number, rule in enumerate(policies.segregation_of_duties):
        yield from either(("segregation_of_duties", number, "roles"), rule.roles)
        if rule.exception:
            for finding in approvers(("segregation_of_duties", number, "exception"), [rule.exception.approver]):
                position = document.at(POLICIES, "segregation_of_duties", number, "exception", "approver")
                yield Finding.at(position, finding.code, finding.message)
    requests = policies.access_requests
    for name, section in (("default", requests.default), ("elevated", requests.elevated)):
        yield from roles(("access_requests", name, "roles"), section.roles)
        yield from approvers(("access_requests", name, "approvals"), section.approvals)
    yield from approvers(("break_glass", "approvals"), policies.break_glass.approvals)
    yield from approvers(("break_glass", "mfa_bypass", "approvals"), policies.break_glass.mfa_bypass.approvals)
    for name, approver in requests.approvers.items():
        if approver.group is not None and approver.group not in known_groups:
            place: Place = ("access_requests", "approvers", name, "group")
            yield missing(document, POLICIES, place, kind="group", name=approver.group, known=known_groups)
    for number, exception in enumerate(policies.service_accounts.exceptions):
        if exception.client not in document.roles.clients:
            place = ("service_accounts", "exceptions", number, "client")
            yield missing(document, POLICIES, place, kind="client", name=exception.client, known=document.roles.clients)


def binding_references(document: Document) -> Iterator[Finding]:
    known_groups = set(groups(document)) | document.dropped
    known_roles = set(document.roles.roles) | document.dropped
    client_roles = {
        f"{client}/{role}"
        for client, section in document.roles.clients.items()
        if not isinstance(section, WorkloadClient)
        for role in section.roles
    }
    environments = unknown(document, BINDINGS, "environment", document.environments)
    for number, binding in enumerate(document.bindings.bindings):
        place: Place = ("bindings", number)
        yield from environments((*place, "environments"), binding.environments)
        if binding.role is not None and binding.role not in known_roles:
            yield missing(document, BINDINGS, (*place, "role"), kind="role", name=binding.role, known=known_roles)
        if binding.group is not None and binding.group not in known_groups:
            yield missing(document, BINDINGS, (*place, "group"), kind="group", name=binding.group, known=known_groups)
        wanted = binding.client_role
        if wanted is not None and wanted not in client_roles and not document.dropped.intersection(wanted.split("/")):
            at = (*place, "client_role")
            yield missing(document, BINDINGS, at, kind="client-role", name=wanted, known=client_roles)


def reserved_names(document: Document) -> Iterator[Finding]:
    """Names that Keycloak has taken for its own objects, which are never ours to change."""
    sections: list[tuple[str, Iterable[str], frozenset[str]]] = [
        ("roles", document.roles.roles, RESERVED_ROLES),
        ("clients", document.roles.clients, RESERVED_CLIENTS | {document.roles.realm.audience}),
    ]
    for section, names, taken in sections:
        for name in names:
            if name in taken or name.startswith("default-roles-"):
                place = document.at(ROLES, section, name, key=True)
                yield Finding.at(place, "reserved-name", f"{name!r} belongs to the realm itself; choose another name")
    audience = document.roles.realm.audience
    if audience in RESERVED_CLIENTS:
        place = document.at(ROLES, "realm", "audience")
        yield Finding.at(place, "reserved-name", f"{audience!r} belongs to the realm itself; choose another name")
