"""A member of a partner, registered the way a partner's administrator would invite them."""

from __future__ import annotations

import secrets

from admin_sync.keycloak.connection import Connection, segment

ENROL = ["UPDATE_PASSWORD", "tradepulse-choose-factor"]


def register(connection: Connection, realm: str, *, email: str, partner: str, role: str) -> str:
    """The one-time password of a member with one role in a partner; told twice, the person starts anew.

    Raises LookupError where the partner or the role is not there.
    """
    base = f"/{segment(realm)}"
    for found in connection.get(f"{base}/users", email=email, exact=True) or []:
        connection.delete(f"{base}/users/{found['id']}")
    once = secrets.token_urlsafe(18)
    first, _, company = email.partition("@")
    user = connection.post(
        f"{base}/users",
        {
            "username": email,
            "email": email,
            "emailVerified": True,
            "enabled": True,
            "firstName": first.capitalize(),
            "lastName": company.partition(".")[0].capitalize(),
            "requiredActions": ENROL,
            "credentials": [{"type": "password", "value": once, "temporary": True}],
        },
    )
    # Keycloak searches names and domains, never aliases.
    ids = [each["id"] for each in connection.pages(f"{base}/organizations") if each["alias"] == partner]
    if not ids or user is None:
        raise LookupError(f"there is no partner {partner} in {realm}; run `admin-sync apply` first")
    connection.post(f"{base}/organizations/{ids[0]}/members", user)
    groups = connection.get(f"{base}/organizations/{ids[0]}/groups") or []
    group = next((each["id"] for each in groups if each["name"] == role), None)
    if group is None:
        raise LookupError(f"partner {partner} has no role {role}; run `admin-sync apply` first")
    connection.put(f"{base}/organizations/{ids[0]}/groups/{group}/members/{user}")
    return once
