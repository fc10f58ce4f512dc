"""People of the development realm: one-time passwords for those who cannot log in yet, and an invitation.

Both print to the terminal that asked (`docker compose run`), never to the log of a container that stays.
"""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path

from admin_sync.keycloak.connection import Connection
from admin_sync.keycloak.library import library
from admin_sync.settings import settings
from stack.invitation import register
from stack.people import without_login

FILE = Path("/var/lib/tradepulse/people/logins.txt")


def main() -> int:
    """Give a one-time password to everybody local who has no way to log in, and print all that were given."""
    os.umask(0o077)
    admin = library(Connection(settings(os.environ).account()), _realm())
    with FILE.open("a", buffering=1) as file:
        for person, name in without_login(admin):
            word = secrets.token_urlsafe(12)
            # Written first: a password that is set and that nobody knows locks the person out.
            file.write(f"{name} {word}\n")
            admin.set_user_password(person, word, temporary=True)
    print(FILE.read_text(), end="")
    return 0


def invited(email: str, partner: str, role: str) -> int:
    """Invite a member of a partner; prints name and one-time password as JSON."""
    once = register(Connection(settings(os.environ).account()), _realm(), email=email, partner=partner, role=role)
    print(json.dumps({"username": email, "once": once}))
    return 0


def _realm() -> str:
    realm = os.environ["TRADEPULSE_ISSUER"].rsplit("/", 1)[-1]
    if os.environ["TRADEPULSE_ENVIRONMENT"] != "dev":
        raise SystemExit("people are made by hand in development alone; elsewhere they come from their provider")
    return realm
