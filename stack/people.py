"""One-time passwords for the local people of the development realm who cannot log in yet.

    .venv/bin/python -m stack.people      (a step of `make up`)

Passwords are random; Keycloak asks for another one at the first login. They are appended to
`logins.txt` among the secrets and go nowhere else. People who come from another identity provider have none.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator

from admin_sync.keycloak.connection import Connection, segment
from admin_sync.settings import settings
from stack.layout import Layout
from stack.settings import REALM, read


def connect(layout: Layout) -> Connection:
    """A connection to this stack's Keycloak as admin-sync."""
    return Connection(settings(read(layout)).account())


def without_login(admin: Connection, realm: str) -> Iterator[tuple[str, str]]:
    """Path and user name of every local person of `realm` who has no way to log in."""
    base = f"/{segment(realm)}/users"
    # No filter here: with one, Keycloak also lists the accounts of services.
    for user in admin.pages(base, briefRepresentation=True):
        person = f"{base}/{segment(user['id'])}"
        if not admin.get(f"{person}/credentials") and not admin.get(f"{person}/federated-identity"):
            yield person, user["username"]


def logins(layout: Layout) -> dict[str, str]:
    """The one-time passwords given so far, by user name. One that was used is no longer of use."""
    path = layout.secret("logins.txt")
    lines = path.read_text().splitlines() if path.exists() else []
    return dict(line.split(" ", 1) for line in lines if line and not line.startswith("#"))


def main() -> None:
    """Give passwords in the development realm of the layout that the environment names."""
    layout = Layout.here()
    admin = connect(layout)
    path = layout.secret("logins.txt")
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "w", buffering=1) as file:
        if file.tell() == 0:
            file.write(f"# {REALM}: user name and one-time password; Keycloak asks for another at the first login\n")
        for person, name in without_login(admin, REALM):
            password = secrets.token_urlsafe(12)
            # Written first: a password that is set and that nobody knows locks the person out.
            file.write(f"{name} {password}\n")
            admin.put(f"{person}/reset-password", {"type": "password", "value": password, "temporary": True})


if __name__ == "__main__":
    main()
