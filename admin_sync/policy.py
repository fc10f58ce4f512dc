"""The document as the source of the policy bundle: what OPA decides by."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Final

import orjson

from admin_sync.break_glass.accounts import EMERGENCY_PERMISSION
from admin_sync.bundle.source import (
    AlertRoute,
    Assurance,
    Broker,
    Client,
    Environment,
    Grant,
    Partner,
    PartnerRole,
    Permission,
    PolicySource,
    Role,
    Sensitive,
    Window,
)
from admin_sync.check.addresses import allowed
from admin_sync.holdings import allowed_roles, ancestry, closure, groups
from admin_sync.load.document import Document
from admin_sync.load.schema import OidcProvider, WorkloadClient
from admin_sync.load.schema.roles import Role as DeclaredRole

OPENING_PERMISSION: Final = "emergency:open"
"""What it takes to be given the credential of an emergency account, besides two approvals (docs/break-glass.md)."""


PROACTIVE_REFRESH: Final = "proactive_refresh"
"""The `session` of a persona whose open pages keep their session renewed (docs/sessions.md)."""


def policy_source(document: Document) -> PolicySource:
    """Everything the rules decide by. Grants that have expired stay in it, so that nothing else revives them."""
    policies, roles = document.policies, document.roles
    return PolicySource(
        permissions={
            name: Permission(sensitive=one.sensitive, partner_scoped=one.partner_scoped)
            for name, one in roles.permissions.items()
        },
        roles={
            name: Role(permissions=frozenset(one.permissions), includes=frozenset(one.includes))
            for name, one in roles.roles.items()
        },
        environments={
            name: Environment(
                deny_roles_from=frozenset(policies.environments[name].deny_roles_from)
                if name in policies.environments
                else frozenset()
            )
            for name in document.environments
        },
        assurance=Assurance(
            interactive=policies.assurance.interactive,
            sensitive=Sensitive(
                level=policies.assurance.sensitive.level,
                max_age=int(policies.assurance.sensitive.max_age.total_seconds()),
            ),
            roles=dict(policies.assurance.roles),
        ),
        partner_roles={
            name: PartnerRole(permissions=frozenset(one.permissions)) for name, one in roles.partner_roles.items()
        },
        partners={
            alias: Partner(
                persona=one.persona,
                brokers=frozenset(one.brokers),
                roles=frozenset(allowed_roles(document, alias)),
                approve_connections=_approves(document, alias),
                proactive_refresh=_stays(document, alias),
                alert_routes=_alert_routes(document, alias),
                usual_alerts=_usual_alerts(document, alias),
            )
            for alias, one in document.partners.partners.items()
        },
        windows={
            role: Window(
                environments=frozenset(one.environments),
                weekdays=frozenset(one.weekdays),
                opens=one.opens,
                closes=one.closes,
                timezone=one.timezone,
            )
            for role, one in policies.production_windows.items()
        },
        grants=tuple(_grants(document)),
        federated_roles={name: _federated(document, name) for name in document.environments},
        clients=_clients(document),
        brokers=_brokers(document),
        barred=frozenset(one.user.lower() for one in document.bindings.barred),
        emergency_roles=frozenset(name for name, one in roles.roles.items() if _survives_a_freeze(one)),
    )


def _survives_a_freeze(role: DeclaredRole) -> bool:
    """What can end a freeze; and what can do nothing but open an emergency account, which can."""
    alone = not role.includes and set(role.permissions) == {OPENING_PERMISSION}
    return alone or EMERGENCY_PERMISSION in role.permissions


def _brokers(document: Document) -> dict[str, Broker]:
    """The brokers that are switched on here."""
    return {
        name: Broker(
            display_name=one.display_name,
            client_id=one.client_id,
            secret=one.client_secret.env or f"file:{one.client_secret.file}",
            issuer=one.issuer,
            authorize_url=one.authorize_url,
            token_url=one.token_url,
            revoke_url=one.revoke_url,
            scopes=tuple(one.scopes),
            before_expiry=int(one.refresh.before_expiry.total_seconds())
            if isinstance(one.refresh.before_expiry, timedelta)
            else one.refresh.before_expiry,
            rotates_refresh_token=one.refresh.rotates_refresh_token,
            never_expires=one.refresh.expires == "never",
            relink_every=int(one.refresh.relink_every.total_seconds()) if one.refresh.relink_every else 0,
        )
        for name, one in document.brokers.brokers.items()
        if document.enabled(one.enabled_if)
    }


def _approves(document: Document, alias: str) -> bool:
    """Whether a link needs a second person: as the partner says, else as its persona does."""
    partner = document.partners.partners[alias]
    persona = document.partners.personas.get(partner.persona)
    if partner.approve_connections is not None:
        return partner.approve_connections
    return persona is not None and persona.approve_connections


def _stays(document: Document, alias: str) -> bool:
    """Whether the partner's persona wants sessions renewed while a page is open."""
    persona = document.partners.personas.get(document.partners.partners[alias].persona)
    return persona is not None and persona.session == PROACTIVE_REFRESH


def _alert_routes(document: Document, alias: str) -> tuple[AlertRoute, ...]:
    """The partner's routes, each with the alerts it carries: its own list, or else the persona's."""
    partner = document.partners.partners[alias]
    usual = _usual_alerts(document, alias)
    return tuple(
        AlertRoute(
            alerts=frozenset(route.alerts) if route.alerts is not None else usual,
            email=route.email,
            webhook=route.webhook,
            secret=None if route.secret is None else route.secret.env or f"file:{route.secret.file}",
        )
        for route in partner.alert_routes
    )


def _usual_alerts(document: Document, alias: str) -> frozenset[str]:
    persona = document.partners.personas.get(document.partners.partners[alias].persona)
    return frozenset(persona.alerts if persona is not None else ())


def fingerprint(document: Document, rules: Mapping[str, bytes] = MappingProxyType({})) -> str:
    """What tells whether two documents, with the files of rules beside them, decide the same (SHA-256, hexadecimal)."""
    files = {name: hashlib.sha256(text).hexdigest() for name, text in rules.items()}
    plain = orjson.dumps([policy_source(document), files], default=sorted, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(plain).hexdigest()


def _grants(document: Document) -> list[Grant]:
    found = []
    federated = {name: _federated(document, name) for name in document.environments}
    brought = {role: closure(document, role).keys() - {role} for role in document.roles.roles}
    for binding in document.bindings.bindings:
        # The rules let a federated role count where no grant is on record, so an ended grant has to be on record.
        end = 0 if binding.expires is None else max(1, int(binding.expires.timestamp()))
        given = [binding.role] if binding.role else _group_roles(document, binding.group) if binding.group else []
        # Keycloak's token names included roles too, and where a provider may give one of them it must end as well.
        found += [
            Grant(email=binding.subject.user.lower(), environment=environment, role=role, not_after=end)
            for environment in binding.environments
            for role in sorted({*given, *(one for role in given for one in brought[role] & federated[environment])})
        ]
    return found


def _group_roles(document: Document, path: str) -> list[str]:
    """A group's own roles and its ancestors'. What those include is the rules' business."""
    known = groups(document)
    return sorted({role for level in ancestry(path) for role in known[level].roles})


def _federated(document: Document, environment: str) -> frozenset[str]:
    return frozenset(
        role
        for provider in document.roles.identity_providers.values()
        if document.enabled(provider.enabled_if)
        and (provider.environments is None or environment in provider.environments)
        and (not isinstance(provider, OidcProvider) or allowed(document, environment, provider.issuer))
        for path in provider.group_mappings.values()
        for role in _group_roles(document, path)
    )


def _clients(document: Document) -> dict[str, Client]:
    return {
        name: Client(
            environments=frozenset(client.environments or document.environments),
            roles=frozenset(client.service_roles[1]),
        )
        for name, client in document.roles.clients.items()
        if (isinstance(client, WorkloadClient) or client.service_roles[1]) and document.enabled(client.enabled_if)
    }
