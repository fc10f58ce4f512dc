"""The two cookies: of a session, and of a login that is under way (RFC 6265bis, the prefix `__Host-`).

Browsers take `Secure` cookies from `http://localhost` too, so development needs no exception. `Lax`, because a person
arrives from Keycloak's pages and from links in messages; what changes something is guarded by `guard.py`.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from workspace.session.seal import SECRET_BYTES

SESSION: Final = "__Host-tradepulse"
LOGIN: Final = "__Host-tradepulse-login"

LOGIN_SECONDS: Final = 1800
"""How long a login may take: what Keycloak gives it too."""


def fresh() -> bytes:
    """A new secret."""
    return secrets.token_bytes(SECRET_BYTES)


def secret_in(request: Request, name: str) -> bytes | None:
    """The secret in a cookie of a request; None if there is none that we made."""
    text = request.cookies.get(name, "")
    try:
        secret = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)) if text.isascii() else b""
    except (binascii.Error, ValueError):
        return None
    return secret if len(secret) == SECRET_BYTES else None


def give(response: Response, name: str, secret: bytes, *, seconds: int | None = None) -> None:
    """Set a cookie; for the browser's session where `seconds` is None."""
    text = base64.urlsafe_b64encode(secret).rstrip(b"=").decode()
    response.set_cookie(name, text, max_age=seconds, path="/", secure=True, httponly=True, samesite="lax")


def take(response: Response, name: str) -> None:
    """Remove a cookie."""
    response.delete_cookie(name, path="/", secure=True, httponly=True, samesite="lax")
