"""A whole realm in, a list of changes out, by the admin API: the adapters put to work, in bulk and in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from typing import Final

from admin_sync.diff import Action, Change
from admin_sync.keycloak.adapter import Observer, Writer
from admin_sync.keycloak.choice import PARALLELISM
from admin_sync.keycloak.connection import Connection, KeycloakProblem, NotAllowed
from admin_sync.keycloak.registry import ADAPTERS, SIDE_BY_SIDE
from admin_sync.keycloak.rest.reader import RestReader
from admin_sync.keycloak.state import read_through
from admin_sync.model import Current, Ref


class RestGateway:
    """Reads and writes realms with Keycloak's own admin API, `parallelism` requests at a time."""

    name: Final = "rest"

    def __init__(self, connection: Connection, parallelism: int = PARALLELISM) -> None:
        self._connection = connection
        self._parallelism = parallelism

    def read(self, realm: str) -> Current:
        """The state of one realm. Raises KeycloakProblem, and Refused where two of its objects share a name."""
        return read_through(RestReader(self._connection, realm))

    def write(
        self,
        changes: Sequence[Change],
        realm: str,
        ids: Mapping[Ref, str],
        secret: Callable[[str], str | None],
        observe: Observer,
    ) -> int:
        """Carry changes out in their order; how many were done. See `write`."""
        return write(Writer(self._connection, realm, ids, secret), changes, observe, self._parallelism)


def write(writer: Writer, changes: Sequence[Change], observe: Observer, parallelism: int = PARALLELISM) -> int:
    """Carry changes out in their order; how many were done.

    Stops after the first batch in which one failed, and raises that failure; what was under way
    beside it is finished first. Only failures of the conversation with Keycloak are handled so.
    """
    done = 0
    for batch in _batches(changes):
        failures = _write_batch(writer, batch, observe, parallelism)
        done += len(batch) - len(failures)
        if failures:
            # A refusal of rights is final, so it must not hide behind a failure that is worth a retry.
            raise min(failures, key=lambda problem: not isinstance(problem, NotAllowed))
    return done


def _write_batch(writer: Writer, batch: Sequence[Change], observe: Observer, parallelism: int) -> list[Exception]:
    def one(change: Change) -> Exception | None:
        problem: Exception | None = None
        try:
            ADAPTERS[change.ref.kind].write(writer, change)
        except (KeycloakProblem, LookupError) as caught:
            problem = caught
        observe(change, problem)
        return problem

    if len(batch) == 1 or batch[0].ref.kind not in SIDE_BY_SIDE:
        failures = []
        for change in batch:
            problem = one(change)
            if problem is not None:
                failures.append(problem)
                break
    else:
        with ThreadPoolExecutor(parallelism) as pool:
            failures = [problem for problem in pool.map(one, batch) if problem is not None]
    if not failures:
        try:
            writer.finish_kind()
        except (KeycloakProblem, LookupError) as caught:
            failures.append(caught)
    return failures


def _batches(changes: Sequence[Change]) -> Iterator[Sequence[Change]]:
    """Runs of changes of one kind and direction."""

    def sort(change: Change) -> tuple[str, bool]:
        return change.ref.kind, change.action is Action.DELETE

    for _, run in groupby(changes, key=sort):
        yield list(run)
