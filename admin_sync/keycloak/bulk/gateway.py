"""A realm in one request, its changes in one transaction or as few as they fit in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import orjson

from admin_sync.diff import Action, Change, runs
from admin_sync.keycloak.adapter import Observer, Writer
from admin_sync.keycloak.base.realm import KIND as REALM
from admin_sync.keycloak.bulk.batch import Batch, Stage
from admin_sync.keycloak.bulk.capability import Capability, place
from admin_sync.keycloak.bulk.reader import BulkReader
from admin_sync.keycloak.bulk.recorder import Recorder, RecordingWriter
from admin_sync.keycloak.connection import Connection, KeycloakProblem, NotAllowed, Refused
from admin_sync.keycloak.problems import gravest
from admin_sync.keycloak.registry import ADAPTERS
from admin_sync.keycloak.rest.credentials import holders
from admin_sync.keycloak.rest.gateway import RestGateway
from admin_sync.keycloak.state import read_through
from admin_sync.model import Current, Ref, printable

AT_ONCE: Final = 3
"""Transactions at once where they need nothing of each other."""


class BulkGateway:
    """Reads and writes realms with our provider in Keycloak.

    `otherwise` reads a realm that the provider does not serve (its people are kept outside Keycloak, or
    this account may not see all of it); None makes that an error. `note` gets a line for each transaction.
    """

    name: Final = "bulk"

    def __init__(
        self,
        connection: Connection,
        capability: Capability,
        otherwise: RestGateway | None = None,
        note: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._connection = connection
        self._capability = capability
        self._otherwise = otherwise
        self._note = note
        self._known: dict[str, BulkReader] = {}

    def read(self, realm: str) -> Current:
        """The state of one realm. Raises KeycloakProblem, and Refused where two of its objects share a name."""
        self._known.pop(realm, None)
        try:
            document = self._connection.get(f"{place(realm)}/state")
        except (Refused, NotAllowed) as problem:
            if self._otherwise is None:
                raise
            self._note(
                f"{realm}: read by Keycloak's own API, since its bulk provider does not serve it ({_said(problem)})"
            )
            return self._otherwise.read(realm)
        reader = BulkReader(realm, document)
        current = read_through(reader)
        self._known[realm] = reader
        return current

    def second_factors(self, realm: str, people: Mapping[str, str]) -> frozenset[str]:
        """Which of some people hold a second factor: out of the document that was read, without a request.

        A provider from before it told so, and a realm that it does not serve, are asked account by account.
        """
        reader = self._known.get(realm)
        listed = reader.second_factors if reader is not None else None
        if listed is None:
            return holders(self._connection, realm, people)
        return frozenset(email for email, server_id in people.items() if server_id in listed)

    def write(
        self,
        changes: Sequence[Change],
        realm: str,
        ids: Mapping[Ref, str],
        secret: Callable[[str], str | None],
        observe: Observer,
    ) -> int:
        """Carry changes out; how many were done. Each transaction is all or nothing.

        What is observed as done is committed. A realm that does not exist yet is made before all
        else, in a request of its own. Raises what stopped it: KeycloakProblem or LookupError.
        """
        made = 0
        if changes and changes[0].ref.kind == REALM and changes[0].action is Action.CREATE:
            self._make(changes[0], realm, secret, observe)
            made, changes = 1, changes[1:]
        batch = self._record(changes, realm, ids, secret)
        # What was read is about to be untrue.
        self._known.pop(realm, None)
        return made + self._commit(batch, changes, realm, observe)

    def _make(self, change: Change, realm: str, secret: Callable[[str], str | None], observe: Observer) -> None:
        try:
            ADAPTERS[REALM].write(Writer(self._connection, realm, {}, secret), change)
        except (KeycloakProblem, LookupError) as problem:
            observe(change, problem)
            raise
        observe(change, None)

    def _record(
        self, changes: Sequence[Change], realm: str, ids: Mapping[Ref, str], secret: Callable[[str], str | None]
    ) -> Batch:
        batch = Batch()
        recorder = Recorder(self._connection, realm, batch, self._known.get(realm))
        writer = RecordingWriter(recorder, batch, realm, ids, secret)
        for run in runs(changes):
            for change in run:
                recorder.ref = change.ref
                ADAPTERS[change.ref.kind].write(writer, change)
            writer.finish_kind()
        return batch

    def _commit(self, batch: Batch, changes: Sequence[Change], realm: str, observe: Observer) -> int:
        stages = batch.stages(self._capability)
        last = {operation.ref: number for number, operation in enumerate(batch.operations)}
        # A change that needs nothing of the server is done when what comes before it is.
        waiting = [(change, last.get(change.ref, -1)) for change in changes]
        created: list[str | None] = [None] * len(batch.operations)
        done = 0
        for number, wave in _waves(stages):
            for place_, stage in enumerate(wave, start=number):
                which = f"stage {place_} of {len(stages)}, " if len(stages) > 1 else ""
                self._note(f"{realm}: {which}{stage.end - stage.start} operations in one transaction")
            problems: list[KeycloakProblem] = []
            for stage, outcome in zip(wave, self._side_by_side(realm, wave, created), strict=True):
                if isinstance(outcome, KeycloakProblem):
                    problems.append(outcome)
                    continue
                created[stage.start : stage.end] = outcome
                for change in [one for one, end in waiting if stage.start <= end < stage.end]:
                    observe(change, None)
                    done += 1
                waiting = [one for one in waiting if not stage.start <= one[1] < stage.end]
            if problems:
                problem = gravest(problems)
                blamed = _blamed(problem)
                for change in [one for one, _ in waiting if str(one.ref) == blamed]:
                    observe(change, problem)
                raise problem
        for change, _ in waiting:
            observe(change, None)
            done += 1
        return done

    def _side_by_side(
        self, realm: str, wave: Sequence[Stage], created: Sequence[str | None]
    ) -> list[list[str | None] | KeycloakProblem]:
        def one(stage: Stage) -> list[str | None] | KeycloakProblem:
            try:
                return self._apply(realm, stage, created)
            except KeycloakProblem as problem:
                return problem

        if len(wave) == 1:
            return [one(wave[0])]
        with ThreadPoolExecutor(len(wave)) as pool:
            return list(pool.map(one, wave))

    def _apply(self, realm: str, stage: Stage, created: Sequence[str | None]) -> list[str | None]:
        try:
            answer = self._connection.ask(f"{place(realm)}/apply", stage.document(created))
        except (Refused, NotAllowed) as problem:
            raise _told(problem) from None
        if not isinstance(answer, dict) or answer.get("applied") != stage.end - stage.start:
            raise KeycloakProblem("the bulk provider's answer cannot be read; look at the realm before going on")
        return list(answer["created"])


def _waves(stages: Sequence[Stage]) -> Iterator[tuple[int, list[Stage]]]:
    """Stages that may be carried out side by side, a few at once, with the number of the first of them."""
    wave: list[Stage] = []
    for number, stage in enumerate(stages, start=1):
        if wave and (len(wave) == AT_ONCE or stage.independent is None or stage.independent != wave[0].independent):
            yield number - len(wave), wave
            wave = []
        wave.append(stage)
    if wave:
        yield len(stages) - len(wave) + 1, wave


def _answered(problem: Exception) -> dict[str, Any]:
    """The provider's own words in a refusal."""
    try:
        found = orjson.loads(getattr(problem, "body", "") or "")
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _blamed(problem: Exception) -> str | None:
    ref = _answered(problem).get("ref")
    return ref if isinstance(ref, str) else None


def _said(problem: Exception) -> str:
    return printable(str(_answered(problem).get("message") or problem))


def _told(problem: Refused | NotAllowed) -> KeycloakProblem:
    """A refusal in the words of the provider, which names the operation, and what that means for the realm."""
    said = _answered(problem)
    if "message" not in said:
        return problem
    where = f"{said['ref']} (operation {said['operation']}, {said['status']}): " if "ref" in said else ""
    text = printable(f"Keycloak refused {where}{said['message']}; nothing of this transaction was done")
    if isinstance(problem, NotAllowed):
        return NotAllowed(text, problem.body)
    return Refused(text, problem.status, problem.body)
