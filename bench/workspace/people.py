"""People who can log in: members of a partner with a password and a security key in software, gone afterwards."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

from admin_sync.break_glass.passkey import SoftwareKey
from admin_sync.keycloak.connection import Connection, segment
from stack.settings import REALM

PARTNER = "acme-capital"
_PATH = f"/{segment(REALM)}"
_ROLE = "partner-admin"


@dataclass(frozen=True, slots=True)
class Person:
    """An account."""

    id: str
    email: str
    password: str = field(repr=False)
    key: SoftwareKey = field(repr=False)


class Realm:
    """Makes accounts in the realm of a stack."""

    def __init__(self, admin: Connection) -> None:
        self._admin = admin
        place = next(one["id"] for one in admin.pages(f"{_PATH}/organizations") if one["alias"] == PARTNER)
        self._partner = f"{_PATH}/organizations/{place}"
        groups = admin.get(f"{self._partner}/groups")
        self._group = next(one["id"] for one in groups if one["name"] == _ROLE)

    @contextmanager
    def people(self, count: int) -> Iterator[list[Person]]:
        """So many administrators of the partner."""
        made: list[Person] = []
        try:
            with ThreadPoolExecutor(4) as pool:
                made += pool.map(lambda _number: self._person(), range(count))
            yield made
        finally:
            for person in made:
                self._admin.delete(f"{_PATH}/users/{segment(person.id)}")

    def _person(self) -> Person:
        email, password, key = f"{secrets.token_hex(6)}@acme.example", secrets.token_urlsafe(12), SoftwareKey.new()
        account = {
            "username": email,
            "email": email,
            "emailVerified": True,
            "enabled": True,
            "firstName": "Bench",
            "lastName": "Mark",
        }
        credentials = [{"type": "password", "value": password, "temporary": False}, key.stored()]
        identity = self._admin.post(f"{_PATH}/users", {**account, "credentials": credentials})
        if identity is None:
            raise RuntimeError("Keycloak named no new account")
        # A new account is asked for a factor of its own; this one has it.
        user = f"{_PATH}/users/{segment(identity)}"
        self._admin.put(user, {**self._admin.get(user), "requiredActions": []})
        self._admin.post(f"{self._partner}/members", identity)
        self._admin.put(f"{self._partner}/groups/{self._group}/members/{identity}")
        return Person(identity, email, password, key)
