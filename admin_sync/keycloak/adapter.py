"""The seam between the pure diff and Keycloak: one adapter per kind of object.

An adapter reads every object of its kind from a `Reader`, which fetches in bulk, and carries out one
change at a time. A new kind is one file with an adapter and one
line in `admin_sync.keycloak.registry`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from admin_sync.check.references import RESERVED_CLIENTS, RESERVED_ROLES
from admin_sync.diff import Change
from admin_sync.keycloak.connection import segment
from admin_sync.model import MANAGED_ATTRIBUTE, MANAGED_BY, Json, Ref, Resource


class Reader(Protocol):
    """The state of one realm as adapters see it, each part fetched once, in Keycloak's own representations.

    What is asked for together comes together, so that whoever implements this may fetch it in as few
    requests as it can. Every list holds each object once and is complete.
    """

    @property
    def realm(self) -> str:
        """The realm's name."""
        ...

    @property
    def representation(self) -> Json:
        """The realm's own representation, or None if there is no such realm."""
        ...

    @property
    def export(self) -> Json:
        """Clients, roles, groups, flows, scopes, providers and clients' accounts, as partial-export gives them."""
        ...

    @property
    def users(self) -> Sequence[Json]:
        """Every account but those of clients, with its attributes."""
        ...

    @property
    def organizations(self) -> Sequence[Json]:
        """Every organization with its attributes and domains."""
        ...

    @property
    def organization_groups(self) -> Mapping[str, list[Json]]:
        """The top-level groups of each of our organizations, with their attributes and roles, by its alias."""
        ...

    def linked_users(self, aliases: Iterable[str]) -> Mapping[str, list[Json]]:
        """The accounts that are linked to an identity provider, by its alias."""
        ...

    def role_members(self, names: Iterable[str]) -> Mapping[str, list[Json]]:
        """The accounts that a realm role was given to directly, clients' accounts included, by its name."""
        ...

    def client_role_members(self, roles: Iterable[tuple[str, str]]) -> Mapping[tuple[str, str], list[Json]]:
        """The accounts that a client's role was given to directly, by (client id, role name)."""
        ...

    def group_members(self, ids: Iterable[str]) -> Mapping[str, list[Json]]:
        """The accounts directly in a group, clients' accounts included, by the group's id."""
        ...

    def organization_group_members(self, groups: Iterable[tuple[str, str]]) -> Mapping[tuple[str, str], list[Json]]:
        """The accounts in a group of an organization, by (organization id, group id)."""
        ...


Observer = Callable[[Change, Exception | None], None]
"""Called after each change with what went wrong, or None. What it raises stops the run."""


class Calls(Protocol):
    """The admin calls that an adapter makes while it writes: of a connection, or of a recorder of them."""

    def get(self, path: str, **query: str | int | bool) -> Json: ...
    def query(self, path: str, **query: str | int | bool) -> Json: ...
    def pages(self, path: str, **query: str | int | bool) -> Iterator[Json]: ...
    def post(self, path: str, body: Json = None) -> str | None: ...
    def put(self, path: str, body: Json = None) -> None: ...
    def delete(self, path: str, body: Json = None) -> None: ...


class Writer:
    """Where changes go, with the lookups that writing needs (names to server ids)."""

    def __init__(
        self,
        connection: Calls,
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
