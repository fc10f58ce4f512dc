"""Partners, their personas, and the roles that exist inside a partner."""

from __future__ import annotations

from collections.abc import Iterator

from admin_sync.check.references import missing, unknown
from admin_sync.errors import Finding
from admin_sync.load.document import PARTNERS, ROLES, Document


def partner_references(document: Document) -> Iterator[Finding]:
    roles = unknown(document, PARTNERS, "partner_role", document.roles.partner_roles)
    brokers = unknown(document, PARTNERS, "broker", document.brokers.brokers)
    personas = set(document.partners.personas) | document.dropped
    for name, persona in document.partners.personas.items():
        yield from roles(("personas", name, "allowed_partner_roles"), persona.allowed_partner_roles or ())
    for alias, partner in document.partners.partners.items():
        yield from brokers(("partners", alias, "brokers"), partner.brokers)
        if partner.persona not in personas:
            yield missing(
                document, PARTNERS, ("partners", alias, "persona"), kind="persona", name=partner.persona, known=personas
            )


def partner_roles(document: Document) -> Iterator[Finding]:
    """A partner role has partner-scoped permissions only, and a name that no platform role has."""
    permissions = unknown(document, ROLES, "permission", document.roles.permissions)
    for name, role in document.roles.partner_roles.items():
        place = ("partner_roles", name, "permissions")
        yield from permissions(place, role.permissions)
        for number, permission in enumerate(role.permissions):
            section = document.roles.permissions.get(permission)
            if section is not None and not section.partner_scoped:
                at = document.at(ROLES, *place, number)
                yield Finding.at(
                    at, "not-partner-scoped", f"{permission} reaches beyond one partner; a partner role cannot have it"
                )
        if name in document.roles.roles:
            at = document.at(ROLES, "partner_roles", name, key=True)
            yield Finding.at(at, "ambiguous-role", f"{name!r} is a platform role as well; rename one of them")


def domains(document: Document) -> Iterator[Finding]:
    """An e-mail domain, and a display name, lead to one partner."""
    owners: dict[str, str] = {}
    names: dict[str, str] = {}
    for alias, partner in document.partners.partners.items():
        for number, domain in enumerate(partner.domains):
            first = owners.setdefault(domain, alias)
            if first != alias or domain in partner.domains[:number]:
                at = document.at(PARTNERS, "partners", alias, "domains", number)
                yield Finding.at(at, "duplicate-domain", f"{domain} already leads to partner {first}")
        other = names.setdefault(partner.name, alias)
        if other != alias:
            at = document.at(PARTNERS, "partners", alias, "name")
            yield Finding.at(at, "duplicate-name", f"partner {other} is called the same")
