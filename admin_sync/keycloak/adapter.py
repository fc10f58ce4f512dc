"""The seam between the pure diff and Keycloak: one adapter per kind of object.

An adapter reads every object of its kind from a `Reader`, which has already fetched what can be
had in bulk, and carries out one change at a time. A new kind is one file with an adapter and one
line in `admin_sync.keycloak.registry`.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Protocol

from admin_sync.diff import Change
from admin_sync.keycloak.connection import Connection, segment
from admin_sync.model import Json, Resource


class Reader:
    """The state of one realm, fetched lazily and each part once."""

    def __init__(self, connection: Connection, realm: str) -> None:
        self.connection = connection
        self.realm = realm
        self.path = f"/{segment(realm)}"

    @cached_property
    def representation(self) -> Json:
        """The realm's own representation, or None if there is no such realm."""
        return self.connection.get(self.path)

    @cached_property
    def export(self) -> Json:
        """Clients, roles, groups, flows, scopes and providers in one request; secrets masked."""
        return self.connection.query(f"{self.path}/partial-export", exportClients=True, exportGroupsAndRoles=True)


class Writer:
    """Where changes go, with the lookups that writing needs (names to server ids)."""

    def __init__(self, connection: Connection, realm: str) -> None:
        self.connection = connection
        self.realm = realm
        self.path = f"/{segment(realm)}"


class Adapter(Protocol):
    """Reads and writes one kind of object."""

    @property
    def kind(self) -> str:
        """The `Ref.kind` that this adapter serves."""
        ...

    def read(self, reader: Reader) -> Iterable[Resource]:
        """Every object of the kind, normalised the way its desired form is."""
        ...

    def write(self, writer: Writer, change: Change) -> None:
        """Carry out one change. Safe to repeat: what is already so counts as done."""
        ...
