"""Ways around the other rules that a configuration can be written to take, each found by its shape.

An elevated role's approvals are worth nothing if its permission stands in a role that needs none; a
grant for development must not reach production because one workload, or one request, is named for
both; a rule of separation that another one of the same name hides is no rule.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from admin_sync.errors import Finding
from admin_sync.holdings import groups
from admin_sync.load.document import BINDINGS, POLICIES, ROLES, Document
from admin_sync.load.schema import WorkloadClient

SOURCES = frozenset({"hr_roster", "role_owners"})
"""Where approvers may come from who are no group of ours. Of any other source nobody knows who is in it."""


def owners(document: Document) -> Iterator[Finding]:
    """Where role owners approve, a role without one can be requested by everybody and approved by nobody."""
    requests = document.policies.access_requests
    capacities = {*requests.default.approvals, *requests.elevated.approvals}
    sources = {one.source for name, one in requests.approvers.items() if name in capacities}
    if "role_owners" not in sources:
        return
    for name, role in document.roles.roles.items():
        if not role.owners:
            place = document.at(ROLES, "roles", name, key=True)
            yield Finding.at(place, "no-owner", f"role {name}: name at least one of owners, who answer for its grants")


def silent_owners(document: Document) -> list[str]:
    """Owners of roles that are no group of ours, so that nobody can speak for their roles. No mistake, but to be said.

    A role that is only ever granted by a reviewed change needs no such group; a request for it is refused.
    """
    roles = document.roles.roles.items()
    named = {
        owner: [name for name, role in roles if owner in role.owners] for _, role in roles for owner in role.owners
    }
    return [
        f"owner {owner}: there is no group of that name, so nobody can approve requests for {', '.join(named[owner])}"
        for owner in sorted(named.keys() - groups(document).keys())
    ]


def elevated_permissions(document: Document) -> Iterator[Finding]:
    """A sensitive permission of an elevated role is in no role that is granted without its approvals."""
    elevated = set(document.policies.access_requests.elevated.roles)
    guarded = {
        permission: name
        for name in elevated & document.roles.roles.keys()
        for permission in document.roles.roles[name].permissions
        if permission in document.roles.permissions and document.roles.permissions[permission].sensitive
    }
    for name, role in document.roles.roles.items():
        for number, permission in enumerate(role.permissions):
            if name not in elevated and permission in guarded:
                place = document.at(ROLES, "roles", name, "permissions", number)
                message = (
                    f"{permission} comes with elevated role {guarded[permission]}; role {name} would give it without "
                    "approvals: take it out, include the role, or list this one under access_requests.elevated too"
                )
                yield Finding.at(place, "elevated-permission", message)


def crossings(document: Document) -> Iterator[Finding]:
    """Nothing that is made for one environment reaches one that denies roles from it."""
    for name, rules in document.policies.environments.items():
        for number, source in enumerate(rules.deny_roles_from):
            if source == name:
                place = document.at(POLICIES, "environments", name, "deny_roles_from", number)
                yield Finding.at(place, "crosses-environments", f"{name} would deny its own roles; remove it here")
    for number, binding in enumerate(document.bindings.bindings):
        crossed = across(document, binding.environments)
        if binding.request is not None and crossed is not None:
            place = document.at(BINDINGS, "bindings", number, "environments")
            message = f"a request made for {crossed[0]} does not reach {crossed[1]}; that needs a request of its own"
            yield Finding.at(place, "crosses-environments", message)
    yield from _workloads(document)


def _workloads(document: Document) -> Iterator[Finding]:
    """A workload is whoever its platform says: the same one in two environments carries its roles across."""
    known: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for name, client in document.roles.clients.items():
        if not isinstance(client, WorkloadClient) or not client.roles:
            continue
        stands = list(client.environments or document.environments)
        crossed = across(document, stands)
        if crossed is not None:
            place = document.at(ROLES, "clients", name, key=True)
            message = (
                f"workload {name} would hold its roles in {crossed[0]} and in {crossed[1]}, which denies roles from "
                "there; declare one for each, with a subject of its own, and name its environments"
            )
            yield Finding.at(place, "crosses-environments", message)
            continue
        identity = (client.issuer, client.subject)
        for other, elsewhere in known.get(identity, ()):
            crossed = across(document, [*stands, elsewhere])
            if crossed is not None:
                place = document.at(ROLES, "clients", name, "subject")
                message = f"{name} is the same workload as {other}, which is for {elsewhere}; give it another subject"
                yield Finding.at(place, "crosses-environments", message)
                break
        known.setdefault(identity, []).extend((name, one) for one in stands)


def across(document: Document, environments: Iterable[str]) -> tuple[str, str] | None:
    """The first pair among some environments of which the second denies roles from the first."""
    named = list(environments)
    for denying in named:
        rules = document.policies.environments.get(denying)
        for source in rules.deny_roles_from if rules is not None else ():
            if source in named and source != denying:
                return source, denying
    return None


def separation_rules(document: Document) -> Iterator[Finding]:
    """Every rule has a name of its own and keeps different roles apart."""
    seen: set[str] = set()
    for number, rule in enumerate(document.policies.segregation_of_duties):
        if rule.name in seen:
            place = document.at(POLICIES, "segregation_of_duties", number, "name")
            yield Finding.at(
                place, "separation-rule", f"there is a rule {rule.name!r} already; one would hide the other"
            )
        seen.add(rule.name)
        if len(set(rule.roles)) < 2:
            place = document.at(POLICIES, "segregation_of_duties", number, "roles")
            yield Finding.at(place, "separation-rule", "a rule names at least two different roles")


def reused_requests(document: Document) -> Iterator[Finding]:
    """One request is one grant to one person: approvals are not copied to another."""
    first: dict[str, tuple[int, tuple[str, str]]] = {}
    for number, binding in enumerate(document.bindings.bindings):
        if binding.request is None:
            continue
        grant = (binding.subject.user.lower(), binding.target)
        line, known = first.setdefault(binding.request, (number, grant))
        if known != grant:
            place = document.at(BINDINGS, "bindings", number, "request")
            where = document.at(BINDINGS, "bindings", line).line
            message = f"this request gave {known[1]} to {known[0]} in line {where}; another grant needs its own"
            yield Finding.at(place, "reused-request", message)


def approver_sources(document: Document) -> Iterator[Finding]:
    """Approvers come from a group of ours or from a source that somebody keeps."""
    for name, approver in document.policies.access_requests.approvers.items():
        if approver.source is not None and approver.source not in SOURCES:
            place = document.at(POLICIES, "access_requests", "approvers", name, "from")
            known = ", ".join(sorted(SOURCES))
            message = f"nobody keeps {approver.source!r}; name one of {known}, or a group"
            yield Finding.at(place, "unknown-source", message)


def realms(document: Document) -> Iterator[Finding]:
    """Two environments are two realms, and none is the one that admin-sync's own account is in."""
    seen: dict[str, str] = {}
    for name, section in document.roles.environments.items():
        realm = section.realm or f"{document.roles.realm.name}-{name}"
        place = document.at(ROLES, "environments", name, key=True)
        if realm in seen:
            yield Finding.at(place, "same-realm", f"{name} and {seen[realm]} would be one realm; name another")
        if realm == "master":
            yield Finding.at(place, "reserved-name", "'master' is the realm of those who administer Keycloak itself")
        seen.setdefault(realm, name)


def accepted_grants(document: Document) -> Iterator[Finding]:
    """An acceptance is for environments that exist."""
    for number, one in enumerate(document.policies.accepted_grants):
        for position, environment in enumerate(one.environments or ()):
            if environment not in document.environments and environment not in document.dropped:
                place = document.at(POLICIES, "accepted_grants", number, "environments", position)
                message = f"there is no environment {environment!r}; there are {', '.join(document.environments)}"
                yield Finding.at(place, "unknown-environment", message)


def secret_exceptions(document: Document) -> Iterator[Finding]:
    """An exception for a static secret is for a client that could have one, and has not ended."""
    for number, exception in enumerate(document.policies.service_accounts.exceptions):
        client = document.roles.clients.get(exception.client)
        place = document.at(POLICIES, "service_accounts", "exceptions", number)
        if client is not None and client.type != "confidential":
            message = f"{exception.client} is a {client.type} client, which holds no secret; remove the exception"
            yield Finding.at(place, "secret-exception", message)
        elif exception.expires <= document.now:
            yield Finding.at(place, "secret-exception", f"the exception for {exception.client} has ended; remove it")
