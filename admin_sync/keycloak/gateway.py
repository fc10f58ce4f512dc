"""A whole realm in, a list of changes out: the adapters put to work, in bulk and in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from typing import Final

from admin_sync.diff import Action, Change
from admin_sync.errors import Refused
from admin_sync.keycloak.adapter import Reader, Writer
from admin_sync.keycloak.connection import Connection, KeycloakProblem, NotAllowed
from admin_sync.keycloak.registry import ADAPTERS, ORDER, SIDE_BY_SIDE
from admin_sync.model import Ambiguous, Current, index, printable

PARALLEL: Final = 8
"""Writes at once within a kind. On two cores of server more of them gain nothing."""

Observer = Callable[[Change, Exception | None], None]
"""Called after each change with what went wrong, or None. What it raises stops the run."""


def read(connection: Connection, realm: str) -> Current:
    """The state of one realm. Raises KeycloakProblem, and Refused where two of its objects share a name."""
    reader = Reader(connection, realm)
    if reader.representation is None:
        return Current(realm, exists=False, resources=index(()))
    resources = [resource for kind in ORDER for resource in ADAPTERS[kind].read(reader)]
    try:
        return Current(realm, exists=True, resources=index(resources))
    except Ambiguous as problem:
        raise Refused(
            f"{printable(str(problem))} in {realm}; rename or remove the one that should not be there"
        ) from None


def write(writer: Writer, changes: Sequence[Change], observe: Observer) -> int:
    """Carry changes out in their order; how many were done.

    Stops after the first batch in which one failed, and raises that failure; what was under way
    beside it is finished first. Only failures of the conversation with Keycloak are handled so.
    """
    done = 0
    for batch in _batches(changes):
        failures = _write_batch(writer, batch, observe)
        done += len(batch) - len(failures)
        if failures:
            # A refusal of rights is final, so it must not hide behind a failure that is worth a retry.
            raise min(failures, key=lambda problem: not isinstance(problem, NotAllowed))
    return done


def _write_batch(writer: Writer, batch: Sequence[Change], observe: Observer) -> list[Exception]:
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
        with ThreadPoolExecutor(PARALLEL) as pool:
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
