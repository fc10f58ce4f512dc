"""A whole realm in, a list of changes out, by the admin API: the adapters put to work, in bulk and in order."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from typing import Final, TypeVar

from admin_sync.diff import Action, Change, runs
from admin_sync.keycloak.adapter import Observer, Writer
from admin_sync.keycloak.choice import PARALLELISM
from admin_sync.keycloak.connection import Connection, KeycloakProblem, NotAllowed, NotReachable, Refused
from admin_sync.keycloak.iam.role import defer_includes
from admin_sync.keycloak.problems import gravest
from admin_sync.keycloak.registry import ADAPTERS, SIDE_BY_SIDE
from admin_sync.keycloak.rest import imports
from admin_sync.keycloak.rest.credentials import holders
from admin_sync.keycloak.rest.reader import RestReader, Thing
from admin_sync.keycloak.state import read_through
from admin_sync.model import Current, Json, Ref, Resource
from admin_sync.refs import BINDING, CLIENT_ROLE, GROUP, ROLE

Failure = KeycloakProblem | LookupError
Work = TypeVar("Work", Change, imports.Chunk)


class RestGateway:
    """Reads and writes realms with Keycloak's own admin API, `parallelism` requests at a time."""

    name: Final = "rest"

    def __init__(self, connection: Connection, parallelism: int = PARALLELISM) -> None:
        self._connection = connection
        self._parallelism = parallelism
        self._last: RestReader | None = None
        self._untouched: Mapping[Thing, list[Json]] = {}

    def read(self, realm: str) -> Current:
        """The state of one realm. Raises KeycloakProblem, and Refused where two of its objects share a name.

        Right after a write that went well, members that it cannot have touched are not asked for again:
        that look tells whether what was written is there, and the next run looks at everything.
        """
        known, self._untouched = self._untouched, {}
        self._last = RestReader(self._connection, realm, known)
        return read_through(self._last)

    def second_factors(self, realm: str, people: Mapping[str, str]) -> frozenset[str]:
        """Which of some people hold a second factor: a request for each, since the admin API knows no other way."""
        return holders(self._connection, realm, people)

    def write(
        self,
        changes: Sequence[Change],
        realm: str,
        ids: Mapping[Ref, str],
        secret: Callable[[str], str | None],
        observe: Observer,
    ) -> int:
        """Carry changes out in their order; how many were done.

        Stops after the first batch in which one failed, and raises that failure; what was under way
        beside it is finished first. Only failures of the conversation with Keycloak are handled so.
        """
        last, self._last, self._untouched = self._last, None, {}
        run = _Run(self._connection, Writer(self._connection, realm, ids, secret), observe, self._parallelism)
        for position, batch in enumerate(batches := list(runs(changes))):
            later = (change for other in batches[position + 1 :] for change in other)
            failures = run.batch(batch, later)
            if failures:
                raise gravest(failures)
        if last is not None and last.realm == realm:
            self._untouched = untouched(last.members, changes, ids)
        return run.done


def untouched(
    members: Mapping[Thing, list[Json]], changes: Iterable[Change], ids: Mapping[Ref, str]
) -> Mapping[Thing, list[Json]]:
    """The members that changes cannot have touched; none where a change may reach further than it says."""
    touched: set[Thing] = set()
    for change in changes:
        if change.ref.kind == BINDING:
            attrs = (change.after or change.before or Resource(change.ref)).attrs
            if "user" not in attrs or "partner" in attrs:
                return {}
            if "group" in attrs:
                touched.add(("group", ids.get(Ref(GROUP, attrs["group"]))))
            else:
                touched.add(
                    ("client_role", (attrs["owner"], attrs["role"])) if "owner" in attrs else ("role", attrs["role"])
                )
        elif change.action is Action.DELETE or change.ref.kind not in _WITHOUT_MEMBERS:
            return {}
    return {thing: listed for thing, listed in members.items() if thing not in touched}


_WITHOUT_MEMBERS: Final = frozenset({ROLE, CLIENT_ROLE, GROUP})
"""Kinds whose creation and change leave everybody with what they have."""


class _Run:
    """One plan being carried out."""

    def __init__(self, connection: Connection, writer: Writer, observe: Observer, parallelism: int) -> None:
        self.done = 0
        self._connection = connection
        self._writer = writer
        self._observe = observe
        self._parallelism = parallelism
        self._covered: set[Ref] = set()
        self._lock = threading.Lock()
        self._halt = threading.Event()

    def batch(self, batch: Sequence[Change], later: Iterator[Change]) -> list[Failure]:
        """Carry out the changes of one kind and direction; what went wrong."""
        rest = [change for change in batch if change.ref not in self._covered]
        failures: list[Failure] = []
        for_import = imports.chunks(self._writer, rest, later)
        if for_import:
            failures = self._side_by_side(for_import, self._import)
            rest = [change for change in rest if change.ref not in self._covered]
        for wave in _waves(rest):
            if failures:
                return failures
            failures = self._side_by_side(wave, self._one)
        if not failures:
            try:
                self._writer.finish_kind()
            except (KeycloakProblem, LookupError) as caught:
                failures.append(caught)
        return failures

    def _side_by_side(self, work: Sequence[Work], one: Callable[[Work], Failure | None]) -> list[Failure]:
        """Several at once; after the first failure nothing new is begun."""

        def unless_halted(item: Work) -> Failure | None:
            if self._halt.is_set():
                return None
            try:
                problem = one(item)
            except BaseException:
                # The lock was lost, the audit log failed, or somebody interrupted us.
                self._halt.set()
                raise
            if problem is not None:
                self._halt.set()
            return problem

        if len(work) == 1:
            problem = unless_halted(work[0])
            return [] if problem is None else [problem]
        with ThreadPoolExecutor(self._parallelism) as pool:
            return [problem for problem in pool.map(unless_halted, work) if problem is not None]

    def _one(self, change: Change) -> Failure | None:
        problem: Failure | None = None
        try:
            ADAPTERS[change.ref.kind].write(self._writer, change)
        except (KeycloakProblem, LookupError) as caught:
            problem = caught
        self._note(change, problem)
        return problem

    def _import(self, chunk: imports.Chunk) -> Failure | None:
        """Import a chunk; what Keycloak did not take of it is left to plain calls, which say what was wrong."""
        try:
            answer = self._connection.ask(
                f"{self._writer.path}/partialImport", {"ifResourceExists": "SKIP", **chunk.body}
            )
        except Refused:
            return None
        except NotReachable as problem:
            # Keycloak answers 500 for a reference that it cannot follow; nothing of the chunk was kept.
            return None if problem.status == 500 else problem
        except NotAllowed as problem:
            return problem
        ids, made = chunk.made(answer)
        for ref, server_id in ids:
            self._writer.remember(ref, server_id)
        with self._lock:
            self._covered.update(change.ref for change in made)
        for change in made:
            if change.ref.kind == ROLE:
                defer_includes(self._writer, change)
            self._note(change, None)
        return None

    def _note(self, change: Change, problem: Failure | None) -> None:
        if problem is None:
            with self._lock:
                self.done += 1
        self._observe(change, problem)


def _waves(batch: Sequence[Change]) -> Iterator[Sequence[Change]]:
    """Parts of a batch that may be written at once: of groups one level after the other, of some kinds one by one."""
    if not batch:
        return
    if batch[0].ref.kind in SIDE_BY_SIDE:
        yield batch
    elif batch[0].ref.kind == GROUP:
        # Parents come before their children when groups are made, and after them when they are deleted.
        deleted = batch[0].action is Action.DELETE

        def level(change: Change) -> int:
            return change.ref.name.count("/")

        for _, wave in groupby(sorted(batch, key=level, reverse=deleted), key=level):
            yield list(wave)
    else:
        yield from ([change] for change in batch)
