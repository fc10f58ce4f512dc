"""Adapters write as they do to a connection; what they would send is recorded.

What they ask on the way is answered from the state that was read, else by the server as it is now,
with what the batch has already put laid over it. Every answer that a replacement was made from
goes along with it, and the server refuses the batch if it is not true any more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from admin_sync.keycloak.adapter import Writer
from admin_sync.keycloak.bulk.batch import Batch, Operation
from admin_sync.keycloak.bulk.reader import BulkReader
from admin_sync.keycloak.connection import Connection, segment
from admin_sync.keycloak.iam.group import walk
from admin_sync.model import Json, Ref
from admin_sync.refs import CLIENT, CLIENT_ROLE, GROUP, ORGANIZATION, ORGANIZATION_GROUP, ROLE, USER

_NAMED: Final = {
    ROLE: "role",
    CLIENT: "client",
    CLIENT_ROLE: "client_role",
    GROUP: "group",
    USER: "user",
    ORGANIZATION: "organization",
    ORGANIZATION_GROUP: "organization_group",
    "service_account": "service_account",
    "client_scope_id": "client_scope",
}
"""Kinds of reference that the server can look up by name, and what it calls them."""

_SETTLED_ELSEWHERE: Final = frozenset({"clientPolicies", "clientProfiles", "defaultGroups", "defaultRole"})
"""Fields of a representation that other operations of the same batch may change before it."""


class Recorder:
    """Stands in for a `Connection` to one realm: writes are recorded, reads are answered."""

    def __init__(self, connection: Connection, realm: str, batch: Batch, known: BulkReader | None) -> None:
        self._connection = connection
        self._root = f"/{segment(realm)}"
        self._batch = batch
        self._answers: dict[str, Json] = _representations(known)
        self._seen: set[str] = set()
        self._put: set[str] = set()
        self.ref = Ref("realm", realm)
        """The object that is being written."""

    def get(self, path: str, **query: str | int | bool) -> Json:
        """What the server would answer at this point of the batch."""
        inner = self._inner(path)
        if self._batch.nonce in inner:
            # It does not exist yet, and nothing hangs on it that the adapter did not put there.
            return None
        if query:
            return self._connection.get(path, **query)
        if inner not in self._answers:
            self._answers[inner] = self._connection.get(path)
        self._seen.add(inner)
        found = self._answers[inner]
        return dict(found) if isinstance(found, dict) else found

    def query(self, path: str, **query: str | int | bool) -> Json:
        """A POST without side effects, answered by the server as it is now."""
        return self._connection.query(path, **query)

    def pages(self, path: str, **query: str | int | bool) -> Iterator[Json]:
        """A list of the server as it is now."""
        return self._connection.pages(path, **query)

    def together(self, paths: Iterable[str], **query: str | int | bool) -> dict[str, list[Json]]:
        """Lists of the server as it is now."""
        return self._connection.together(paths, **query)

    def post(self, path: str, body: Json = None) -> str | None:
        """Record a creation; a placeholder for its id."""
        inner = self._inner(path)
        # Whoever is a member already need not become one.
        tolerate = (409,) if inner.startswith("organizations/") and inner.endswith("/members") else ()
        return self._batch.add(Operation(self.ref, "POST", inner, body, tolerate=tolerate))

    def put(self, path: str, body: Json = None) -> None:
        """Record a replacement, with what it was made from."""
        inner = self._inner(path)
        self._batch.add(Operation(self.ref, "PUT", inner, body, seen=self._basis(inner)))
        if isinstance(self._answers.get(inner), dict) and isinstance(body, Mapping):
            self._answers[inner] = {**self._answers[inner], **body}
        self._put.add(inner)

    def delete(self, path: str, body: Json = None) -> None:
        """Record a deletion; what is gone by then counts as done."""
        self._batch.add(Operation(self.ref, "DELETE", self._inner(path), body, tolerate=(404,)))

    def _inner(self, path: str) -> str:
        if path != self._root and not path.startswith(f"{self._root}/"):
            raise LookupError(f"{path} is not a path of this realm")
        return path[len(self._root) + 1 :]

    def _basis(self, inner: str) -> dict[str, Json] | None:
        found = self._answers.get(inner)
        if inner not in self._seen or inner in self._put or not isinstance(found, dict):
            return None
        return {
            name: value
            for name, value in found.items()
            if name not in _SETTLED_ELSEWHERE and not name.endswith(("Flow", "FlowAlias"))
        }


class RecordingWriter(Writer):
    """A `Writer` over a recorder: ids that nobody knows yet are placeholders, and work put off keeps its object."""

    def __init__(
        self, recorder: Recorder, batch: Batch, realm: str, ids: Mapping[Ref, str], secret: Callable[[str], str | None]
    ) -> None:
        super().__init__(recorder, realm, ids, secret)
        self._recorder = recorder
        self._batch = batch

    def id_of(self, ref: Ref, look_up: Callable[[], str | None]) -> str:
        """The server's id where it is known, else a placeholder. Raises LookupError for a kind that cannot be named."""
        known = self._ids.get(ref)
        if known is not None:
            return known
        kind = _NAMED.get(ref.kind)
        if kind is None:
            return super().id_of(ref, look_up)
        words = ref.name.split("/", 1) if kind in ("client_role", "organization_group") else (ref.name,)
        return self._batch.placeholder(kind, *words)

    def defer(self, work: Callable[[], None]) -> None:
        """Do something later, in the name of the object that is being written now."""
        ref = self._recorder.ref

        def then() -> None:
            self._recorder.ref = ref
            work()

        super().defer(then)


def _representations(known: BulkReader | None) -> dict[str, Json]:
    """What the admin API answers about single objects, as far as the state that was read tells it truly."""
    if known is None or known.representation is None:
        return {}
    answers: dict[str, Json] = {"": known.representation}
    export: Mapping[str, Any] = known.export
    for role in (export.get("roles") or {}).get("realm") or ():
        answers[f"roles/{segment(role['name'])}"] = {
            name: role[name] for name in ("name", "description", "attributes") if name in role
        }
    for group in walk(export.get("groups") or ()):
        answers[f"groups/{group['id']}"] = {name: group[name] for name in ("name", "attributes") if name in group}
    for organization in known.organizations:
        answers[f"organizations/{organization['id']}"] = organization
    return answers
