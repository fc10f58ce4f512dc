"""Realm roles and groups.

A role's composites are its includes, so that Keycloak's own evaluation agrees with ours. Its
permissions are noted on it as an attribute that nothing decides by: without them a plan could not
say who gains or loses what, for the realm is all it knows of yesterday's configuration.
"""

from __future__ import annotations

from typing import Final

from admin_sync.check.references import group_place
from admin_sync.desired.parts import Parts
from admin_sync.holdings import groups
from admin_sync.load.document import ROLES
from admin_sync.model import MANAGED_BY, Ref
from admin_sync.refs import GROUP, ROLE

PERMISSIONS_ATTRIBUTE: Final = "tradepulse.permissions"


def roles_and_groups(parts: Parts) -> None:
    """Every role and group of the document; they are the same in all environments."""
    document = parts.document
    for name, role in document.roles.roles.items():
        parts.add(
            Ref(ROLE, name),
            document.at(ROLES, "roles", name, key=True),
            {
                "description": role.description,
                "includes": sorted(set(role.includes)),
                "client_includes": [],
                "permissions": sorted(set(role.permissions)),
                "managed_by": MANAGED_BY,
            },
        )
    for path, group in groups(document).items():
        parts.add(
            Ref(GROUP, path),
            document.at(ROLES, *group_place(path), key=True),
            {"roles": sorted(set(group.roles)), "client_roles": [], "managed_by": MANAGED_BY},
        )
