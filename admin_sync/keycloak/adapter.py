"""The seam between the pure diff and Keycloak: one adapter per kind of object.

An adapter reads every object of its kind from a `Reader`, which has already fetched what can be
had in bulk, and carries out one change at a time. A new kind is one file with an adapter and one
line in `admin_sync.keycloak.registry`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import Any, Protocol

from admin_sync.check.references import RESERVED_CLIENTS, RESERVED_ROLES
from admin_sync.diff import Change
from admin_sync.keycloak.connection import Connection, segment
from admin_sync.model import MANAGED_ATTRIBUTE, MANAGED_BY, Json, Ref, Resource


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

    @cached_property
    def users(self) -> list[Json]:
        """Every account but those of clients, with its attributes, in pages."""
        return list(self.connection.pages(f"{self.path}/users", briefRepresentation=False))

    @cached_property
    def organizations(self) -> list[Json]:
        """Every organization with its attributes, in pages."""
        return list(self.connection.pages(f"{self.path}/organizations", briefRepresentation=False))

    @cached_property
    def organization_groups(self) -> Mapping[str, list[Json]]:
        """The groups of each of our organizations, by alias."""
        paths = {
            found["alias"]: f"{self.path}/organizations/{found['id']}/groups"
            for found in self.organizations
            if is_managed(found)
        }
        listed = self.connection.together(paths.values(), briefRepresentation=False)
        return {alias: listed[path] for alias, path in paths.items()}


class Writer:
    """Where changes go, with the lookups that writing needs (names to server ids)."""

    def __init__(
        self,
        connection: Connection,
        realm: str,
        ids: Mapping[Ref, str] | None = None,
        secret: Callable[[str], str | None] = lambda alias: None,
    ) -> None:
        self.connection = connection
        self.realm = realm
        self.path = f"/{segment(realm)}"
        self.secret = secret
        """The client secret of an identity provider by its alias; it is looked up only where it is sent."""
        self._ids = dict(ids or {})
        self._lock = threading.Lock()
        self._deferred: list[Callable[[], None]] = []

    def remember(self, ref: Ref, server_id: str | None) -> None:
        """Note the server's id of something that was just created."""
        if server_id is not None:
            with self._lock:
                self._ids[ref] = server_id

    def id_of(self, ref: Ref, look_up: Callable[[], str | None]) -> str:
        """The server's id of an object, looked up once. Raises LookupError when there is none."""
        with self._lock:
            known = self._ids.get(ref)
        if known is None:
            known = look_up()
            if known is None:
                raise LookupError(f"{ref} is not in {self.realm}")
            self.remember(ref, known)
        return known

    def defer(self, work: Callable[[], None]) -> None:
        """Do something after the other changes of the same kind, which it may depend on."""
        with self._lock:
            self._deferred.append(work)

    def finish_kind(self) -> None:
        """Do what was deferred."""
        with self._lock:
            work, self._deferred = self._deferred, []
        for one in work:
            one()


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


def is_managed(representation: Mapping[str, Any]) -> bool:
    """Whether an object carries our mark, in whichever of Keycloak's two spellings of attributes."""
    return attribute(representation, MANAGED_ATTRIBUTE) == MANAGED_BY


def is_managed_role(representation: Mapping[str, Any]) -> bool:
    """`is_managed` for a realm role; a mark that somebody put on one of Keycloak's own changes nothing."""
    name = representation["name"]
    return is_managed(representation) and name not in RESERVED_ROLES and not name.startswith("default-roles-")


def is_managed_client(representation: Mapping[str, Any]) -> bool:
    """`is_managed` for a client; a mark that somebody put on one of Keycloak's own changes nothing."""
    return is_managed(representation) and representation["clientId"] not in RESERVED_CLIENTS


def attribute(representation: Mapping[str, Any], name: str) -> str | None:
    """The only or first value of an attribute."""
    value = (representation.get("attributes") or {}).get(name)
    if isinstance(value, list):
        value = value[0] if value else None
    return value if isinstance(value, str) else None
