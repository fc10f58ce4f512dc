"""Takes what every OPA reports, its status and its decisions, and lands it in the audit.

OPA sends decisions in batches and keeps each until it is acknowledged, so a batch is acknowledged
only when every line of it is durable. A batch that comes again, because an answer was lost, is known
by the ids of its decisions, also by a receiver that was started anew.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
import zlib
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from admin_sync.bundle.decisions import EVENT, audited, decision_id, entries, is_decision
from admin_sync.model import Json
from identity.audit.event import AuditEvent
from identity.audit.log import AuditLog

LARGEST = 4 * 1024 * 1024
"""Bytes of a request as it arrives, and four times that when it is unpacked."""

_REMEMBERED = 200_000
_TAIL = 64 * 1024 * 1024
_AT_ONCE = 2_000
_OPAS = 1_000


class Refused(Exception):
    """A report that cannot be taken; `status` is the HTTP status that says so."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


@dataclass(frozen=True, slots=True)
class Opa:
    """What one OPA said last: which revision it decides by, and what keeps it from a newer one.

    `received` is in Unix seconds, `activated` is OPA's own timestamp.
    """

    id: str
    version: str
    revision: str
    activated: str
    problem: str
    received: float


class Receiver:
    """The state behind the two addresses that OPA reports to. `clock` gives Unix seconds."""

    def __init__(self, log: AuditLog, *, seen: Path | None = None, clock: Callable[[], float] = time.time) -> None:
        self._log = log
        self._clock = clock
        self._lock = threading.Lock()
        self._known: OrderedDict[str, None] = OrderedDict()
        self._opas: dict[str, Opa] = {}
        self.repeated = 0
        """Decisions that came again."""
        if seen is not None:
            self._known.update(dict.fromkeys(recorded(seen)))

    def decisions(self, body: bytes, *, packed: bool) -> int:
        """Audit a batch and return how many lines it gave.

        Raises Refused, and AuditUnavailable unless all are durable.
        """
        try:
            batch = entries(_unpacked(body, packed=packed).decode("utf-8", "replace"))
        except ValueError as problem:
            raise Refused(400, "an upload of decisions is a JSON array") from problem
        # One batch at a time: the same one may be arriving twice.
        with self._lock:
            fresh: dict[str, AuditEvent] = {}
            nameless: list[AuditEvent] = []
            for entry in batch:
                name = decision_id(entry)
                if not is_decision(entry):
                    continue
                if name is None:
                    nameless.append(audited(entry))
                elif name in self._known or name in fresh:
                    self.repeated += 1
                else:
                    fresh[name] = audited(entry)
            waiting = [*fresh.items(), *((None, event) for event in nameless)]
            for start in range(0, len(waiting), _AT_ONCE):
                self._record(waiting[start : start + _AT_ONCE])
        return len(waiting)

    def _record(self, part: list[tuple[str | None, AuditEvent]]) -> None:
        async def all_of() -> list[dict[str, Json] | BaseException]:
            return await asyncio.gather(*(self._log.append(event) for _, event in part), return_exceptions=True)

        results = asyncio.run(all_of())
        for (name, _), result in zip(part, results, strict=True):
            if name is not None and not isinstance(result, BaseException):
                self._known[name] = None
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        for result in results:
            if isinstance(result, BaseException):
                raise result

    def status(self, body: bytes, *, packed: bool) -> None:
        """Remember what an OPA says of itself, and audit it where it differs from what it said before.

        Raises Refused, and AuditUnavailable when the difference cannot be recorded.
        """
        try:
            document = json.loads(_unpacked(body, packed=packed))
            said = _said(document, self._clock())
        except (ValueError, TypeError, AttributeError, RecursionError) as problem:
            raise Refused(400, "a status report is what OPA sends as one") from problem
        with self._lock:
            before = self._opas.get(said.id)
            if said.revision and (before is None or before.revision != said.revision):
                self._log.append_sync(_changed("bundle.activated", "success", said, None))
            if said.problem and (before is None or before.problem != said.problem):
                self._log.append_sync(_changed("bundle.refused", "failure", said, said.problem))
            self._opas[said.id] = said
            # An OPA that is started anew has another id; those that never come back must not pile up.
            while len(self._opas) > _OPAS:
                del self._opas[min(self._opas, key=lambda name: self._opas[name].received)]

    def report(self) -> dict[str, Json]:
        """Every OPA that has reported, for `doctor` and whoever watches."""
        with self._lock:
            opas: list[Json] = [asdict(self._opas[name]) for name in sorted(self._opas)]
        return {"opas": opas, "repeated": self.repeated, "audit": self._log.problem()}


def _unpacked(body: bytes, *, packed: bool) -> bytes:
    if not packed:
        return body
    unpacker = zlib.decompressobj(wbits=31)
    try:
        content = unpacker.decompress(body, 4 * LARGEST)
    except zlib.error as problem:
        raise Refused(400, "the body is not what gzip makes") from problem
    if unpacker.unconsumed_tail:
        raise Refused(413, f"unpacked, a report has at most {4 * LARGEST} bytes")
    if not unpacker.eof:
        raise Refused(400, "the body was cut off")
    return content


def _said(document: Json, now: float) -> Opa:
    labels = document.get("labels") or {}
    bundle = (document.get("bundles") or {}).get("tradepulse") or {}
    logs = document.get("decision_logs") or {}
    problem = str(bundle.get("message") or "")
    if not problem and logs.get("code"):
        problem = f"decision log: {logs.get('message') or logs['code']}"
    return Opa(
        id=str(labels["id"])[:128] if "id" in labels else "unnamed",
        version=str(labels.get("version", ""))[:64],
        revision=str(bundle.get("active_revision") or "")[:128],
        activated=str(bundle.get("last_successful_activation") or "")[:64],
        problem=problem[:512],
        received=round(now, 3),
    )


def _changed(event: str, outcome: str, said: Opa, why: str | None) -> AuditEvent:
    return AuditEvent(
        event=event,
        outcome=outcome,
        actor=f"opa:{said.id}",
        action="activate",
        resource=f"bundle {said.revision or 'none'}",
        reason=why,
    )


def recorded(path: Path) -> list[str]:
    """The ids of the decisions at the end of an audit file, oldest first; none if there is no such file."""
    found: list[str] = []
    mark = f'"{EVENT}"'.encode()
    with suppress(OSError), path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - _TAIL))
        for line in file:
            if mark in line:
                with suppress(ValueError, AttributeError):
                    name = decision_id(json.loads(line))
                    if name is not None:
                        found.append(name)
    return found[-_REMEMBERED:]
