"""The people of the story, made the way a partner's administrator would invite them."""

from __future__ import annotations

import secrets

from admin_sync.keycloak.connection import Connection
from stack.invitation import register
from stack.login import FirstLogin


def invite(connection: Connection, realm: str, *, email: str, partner: str, role: str) -> FirstLogin:
    """A member of a partner with one role in it and a one-time password; told twice, the person starts anew."""
    once = register(connection, realm, email=email, partner=partner, role=role)
    return FirstLogin(email, once, secrets.token_urlsafe(18))
