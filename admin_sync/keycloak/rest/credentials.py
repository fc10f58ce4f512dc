"""Who holds a second factor, asked account by account, many at once."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from admin_sync.keycloak.connection import Connection, segment

SECOND_FACTORS: Final = frozenset({"webauthn", "webauthn-passwordless", "otp"})
"""Keycloak's types of credentials that are a second factor, as `Factor.java` has them. Recovery codes are none."""


def holders(connection: Connection, realm: str, people: Mapping[str, str]) -> frozenset[str]:
    """Which of some people hold one; `people` are the server's ids by e-mail address. Raises KeycloakProblem."""

    def holds(server_id: str) -> bool:
        # An account that is gone by now answers with nothing and holds nothing.
        listed = connection.get(f"/{segment(realm)}/users/{segment(server_id)}/credentials") or ()
        return any(one.get("type") in SECOND_FACTORS for one in listed)

    if not people:
        return frozenset()
    with ThreadPoolExecutor(connection.parallel) as pool:
        return frozenset(email for email, held in zip(people, pool.map(holds, people.values()), strict=True) if held)
