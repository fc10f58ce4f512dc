"""Partners: an organization each, a group in it for each role it may hand out, and its administrators.

The vault's salts are attributes of the organization. They are made when the organization is, and
never again: a salt that is gone has shredded what it sealed, and a new one in its place would only
hide that. Their values never leave the adapter; a state knows their versions alone.
"""

from __future__ import annotations

from admin_sync.desired.parts import Parts
from admin_sync.desired.people import person
from admin_sync.holdings import administrator_roles, allowed_roles
from admin_sync.load.document import PARTNERS
from admin_sync.model import MANAGED_BY, Ref
from admin_sync.refs import ORGANIZATION, ORGANIZATION_GROUP, partner_binding


def partners(parts: Parts) -> None:
    """Organizations with their groups and administrators; the same partners in all environments."""
    document = parts.document
    for alias, partner in document.partners.partners.items():
        ref = Ref(ORGANIZATION, alias)
        origin = document.at(PARTNERS, "partners", alias, key=True)
        known = parts.current.resources.get(ref)
        salts, newest = ["1"], "1"
        if known is not None and (known.managed or known.attrs["salts"]):
            salts, newest = known.attrs["salts"], known.attrs["current_salt"]
            if newest not in salts:
                parts.warnings.append(f"{ref}: its current salt is missing; nothing it sealed can be opened, see docs")
        parts.add(
            ref,
            origin,
            {
                "display_name": partner.name,
                "enabled": True,
                "domains": sorted(partner.domains),
                "persona": partner.persona,
                "salts": salts,
                "current_salt": newest,
                "admins": sorted({email.lower() for email in partner.admins if not document.barred(email)}),
                "managed_by": MANAGED_BY,
            },
        )
        for role in allowed_roles(document, alias):
            permissions = sorted(set(document.roles.partner_roles[role].permissions))
            group = {"permissions": permissions, "managed_by": MANAGED_BY}
            parts.add(Ref(ORGANIZATION_GROUP, f"{alias}/{role}"), origin, group)
        admins = [email for email in partner.admins if not document.barred(email)]
        if partner.admins and not admins:
            parts.warnings.append(f"{ref}: everybody who administers it is barred; name somebody else ({origin})")
        for number, email in enumerate(partner.admins):
            if email not in admins:
                continue
            where = document.at(PARTNERS, "partners", alias, "admins", number)
            for role in administrator_roles(document, alias):
                binding = partner_binding(email, alias, role)
                if person(parts, email, where, binding):
                    parts.add(binding, where, {"user": email.lower(), "partner": alias, "role": role})
