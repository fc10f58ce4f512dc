"""The document as the state of one realm: what should be there, and what has to wait.

    roles.py      realm roles and groups
    providers.py  identity providers, their group mappings, workload issuers
    bridges.py    issuers that name people and vouch for nothing, for a migration
    clients.py    clients, their roles, what their service accounts may do
    partners.py   organizations, their groups, their administrators
    people.py     accounts and bindings
    factors.py    grants that wait until their person has a second factor
    rules.py      what our providers in Keycloak decide by
    watched.py    declared objects that are somebody else's and are only compared
    facts.py      what cannot be derived from the document: discovery, keys, secrets

Pure: what comes from the network or from files arrives as `Facts`, and what depends on the realm
(a salted digest that still fits, a person who has appeared) reads the `Current` it is given.
"""

from __future__ import annotations

from collections.abc import Iterable

from admin_sync.desired.bridges import bridges
from admin_sync.desired.clients import clients
from admin_sync.desired.factors import wait_for_factors
from admin_sync.desired.facts import Facts
from admin_sync.desired.partners import partners
from admin_sync.desired.parts import Parts
from admin_sync.desired.people import people
from admin_sync.desired.providers import providers
from admin_sync.desired.roles import roles_and_groups
from admin_sync.desired.rules import rules
from admin_sync.desired.watched import watch
from admin_sync.load.document import Document
from admin_sync.model import Current, Desired, Resource, index

__all__ = ["Facts", "desire", "realm_name"]


def realm_name(document: Document, environment: str) -> str:
    """The realm of an environment, e.g. `tradepulse-dev`."""
    return document.roles.environments[environment].realm or f"{document.roles.realm.name}-{environment}"


def desire(
    document: Document, environment: str, current: Current, facts: Facts, base: Iterable[Resource] = ()
) -> Desired:
    """What the realm of an environment should look like, given what it looks like."""
    parts = Parts(document, environment, current, facts)
    roles_and_groups(parts)
    providers(parts)
    bridges(parts)
    clients(parts)
    partners(parts)
    people(parts)
    wait_for_factors(parts)
    rules(parts)
    if document.roles.environments[environment].existing == "watch":
        watch(parts)
    return Desired(
        realm=realm_name(document, environment),
        environment=environment,
        resources=index([*base, *parts.resources.values()]),
        pending=tuple(parts.pending),
        warnings=tuple(dict.fromkeys((*facts.warnings, *parts.warnings))),
    )
