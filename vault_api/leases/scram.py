"""What PostgreSQL keeps of a password (SCRAM-SHA-256, RFC 7677 and RFC 5803).

It is worked out here so that no statement, and no log of statements, ever holds the password.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

from identity.secret import Secret

ITERATIONS = 4096
"""PostgreSQL's own default; the passwords are random, so more would only cost time."""


def new_password() -> Secret:
    """Thirty-two random bytes as 43 characters of base64url, which need no quoting anywhere."""
    return Secret(secrets.token_urlsafe(32))


def verifier(password: Secret, *, salt: bytes | None = None) -> str:
    """`SCRAM-SHA-256$<iterations>:<salt>$<stored key>:<server key>` for an ASCII password."""
    salt = secrets.token_bytes(16) if salt is None else salt
    salted = hashlib.pbkdf2_hmac("sha256", password.reveal(), salt, ITERATIONS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    shown = (base64.b64encode(part).decode() for part in (salt, stored, server))
    return "SCRAM-SHA-256${}:{}${}:{}".format(ITERATIONS, *shown)
