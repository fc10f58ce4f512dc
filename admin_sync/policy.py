"""The document as the source of the policy bundle: what OPA decides by."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import Final

from admin_sync.access import ancestry, groups
from admin_sync.bundle.source import (
    Assurance,
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
from admin_sync.desired.partners import allowed_roles
from admin_sync.load.document import Document
from admin_sync.load.schema import OidcProvider, WorkloadClient

EMERGENCY_PERMISSION: Final = "iam:modify"
"""Whose roles keep working in a freeze: the ones that can end it."""


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
                persona=one.persona, brokers=frozenset(one.brokers), roles=frozenset(allowed_roles(document, alias))
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
        emergency_roles=frozenset(name for name, one in roles.roles.items() if EMERGENCY_PERMISSION in one.permissions),
    )


def fingerprint(document: Document) -> str:
    """What tells whether two documents make the same rules (SHA-256, hexadecimal)."""
    plain = json.dumps(asdict(policy_source(document)), sort_keys=True, default=sorted)
    return hashlib.sha256(plain.encode()).hexdigest()


def _grants(document: Document) -> list[Grant]:
    found = []
    for binding in document.bindings.bindings:
        # The rules let a federated role count where no grant is on record, so an ended grant has to be on record.
        end = 0 if binding.expires is None else max(1, int(binding.expires.timestamp()))
        given = [binding.role] if binding.role else _group_roles(document, binding.group) if binding.group else []
        found += [
            Grant(email=binding.subject.user.lower(), environment=environment, role=role, not_after=end)
            for environment in binding.environments
            for role in given
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
            environments=frozenset(client.environments or document.environments), roles=frozenset(client.roles)
        )
        for name, client in document.roles.clients.items()
        if isinstance(client, WorkloadClient) and document.enabled(client.enabled_if)
    }
