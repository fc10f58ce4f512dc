"""One-time passwords for the local people of the development realm who cannot log in yet.

    .venv/bin/python -m stack.people      (a step of `make up`)

Passwords are random; Keycloak asks for another one at the first login. They are appended to
`logins.txt` among the secrets and go nowhere else. People who come from another identity provider have none.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator

from keycloak import KeycloakAdmin

from admin_sync.keycloak.connection import Connection
from admin_sync.keycloak.library import library
from admin_sync.settings import settings
from stack.layout import Layout
from stack.settings import REALM, read


def connect(layout: Layout) -> Connection:
    """A connection to this stack's Keycloak as admin-sync."""
    return Connection(settings(read(layout)).account())


def without_login(admin: KeycloakAdmin) -> Iterator[tuple[str, str]]:
    """Id and user name of every local person of the client's realm who has no way to log in yet."""
    # No filter here: with one, Keycloak also lists the accounts of services.
    for user in admin.get_users({"briefRepresentation": True}):
        if not admin.get_credentials(user["id"]) and not admin.get_user_social_logins(user["id"]):
            yield user["id"], user["username"]


def logins(layout: Layout) -> dict[str, str]:
    """The one-time passwords given so far, by user name. One that was used is no longer of use."""
    path = layout.secret("logins.txt")
    lines = path.read_text().splitlines() if path.exists() else []
    return dict(line.split(" ", 1) for line in lines if line and not line.startswith("#"))


def main() -> None:
    """Give passwords in the development realm of the layout that the environment names."""
    layout = Layout.here()
    admin = library(connect(layout), REALM)
    path = layout.secret("logins.txt")
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "w", buffering=1) as file:
        if file.tell() == 0:
            file.write(f"# {REALM}: user name and one-time password; Keycloak asks for another at the first login\n")
        for person, name in without_login(admin):
            password = secrets.token_urlsafe(12)
            # Written first: a password that is set and that nobody knows locks the person out.
            file.write(f"{name} {password}\n")
            admin.set_user_password(person, password, temporary=True)


if __name__ == "__main__":
    main()
