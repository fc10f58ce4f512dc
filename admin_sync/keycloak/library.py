"""python-keycloak, for what is asked once in a while: its typed calls on our account and our token.

What is asked thousands of times goes through `connection`, which costs a quarter of the processor
time for each request (docs/decisions/0015). The import alone takes 0.2 s, so callers import this
module where they need it.
"""

from __future__ import annotations

from typing import Any

from keycloak import KeycloakAdmin, KeycloakError
from keycloak.exceptions import KeycloakConnectionError

from admin_sync.keycloak.connection import Connection
from admin_sync.keycloak.problems import NotReachable


def library(connection: Connection, realm: str) -> KeycloakAdmin:
    """The library's admin client for one realm. It holds one token of ours, good for about a minute."""
    token = {"access_token": connection.bearer(), "expires_in": 60}
    return KeycloakAdmin(server_url=connection.url, realm_name=realm, token=token, timeout=30)


def server_info(connection: Connection, realm: str) -> dict[str, Any] | None:
    """What Keycloak says of itself; None where our account may not see it. Raises NotReachable and NotAllowed."""
    try:
        return dict(library(connection, realm).get_server_info())
    except KeycloakConnectionError as problem:
        raise NotReachable(f"Keycloak did not answer ({type(problem).__name__}); check that it runs") from None
    except KeycloakError as problem:
        if problem.response_code in (401, 403, 404):
            return None
        raise NotReachable(f"Keycloak failed to describe itself ({problem.response_code}); check its log") from None
