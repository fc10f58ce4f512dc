"""Recorded admin calls, and how they are cut into transactions.

An id that is not known yet is a placeholder, `<nonce>x<number>x`, which the server replaces in paths
and strings. The nonce is random, so nothing that somebody wrote into a configuration is taken for one.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import orjson

from admin_sync.keycloak.bulk.capability import PROTOCOL, Capability
from admin_sync.model import Json, Ref
from admin_sync.refs import BINDING, CLIENT_ROLE, USER

STAGE: Final = 400
"""Operations in each transaction of a plan that does not fit in one, where objects need nothing of each other."""

MIXED: Final = 100
"""The same of all other kinds: Keycloak looks at all that such a transaction holds after each operation."""

INDEPENDENT: Final = frozenset({CLIENT_ROLE, USER, BINDING})
"""Kinds whose objects need nothing of others of their kind."""

_OVERHEAD: Final = 4096
"""Bytes kept free for what surrounds the operations."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One admin call. `path` is relative to the realm; `seen` is what a GET of it must still answer."""

    ref: Ref
    method: str
    path: str
    body: Json = None
    seen: Mapping[str, Json] | None = None
    tolerate: tuple[int, ...] = ()

    def document(self) -> dict[str, Json]:
        """As the provider takes it."""
        found: dict[str, Json] = {"ref": str(self.ref), "method": self.method, "path": self.path}
        if self.body is not None:
            found["body"] = self.body
        if self.seen is not None:
            found["seen"] = self.seen
        if self.tolerate:
            found["tolerate"] = list(self.tolerate)
        return found


@dataclass(slots=True)
class Batch:
    """Operations in the order in which they were recorded, with the names behind their placeholders."""

    nonce: str = field(default_factory=lambda: secrets.token_hex(16))
    operations: list[Operation] = field(default_factory=list)
    names: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    _numbers: dict[tuple[str, tuple[str, ...]], int] = field(default_factory=dict)

    def add(self, operation: Operation) -> str:
        """Record an operation; the placeholder for the id of what it creates."""
        self.operations.append(operation)
        return self.placeholder("operation", str(len(self.operations) - 1))

    def placeholder(self, kind: str, *words: str) -> str:
        """What stands for the id of a named object until the server knows it."""
        name = (kind, words)
        if name not in self._numbers:
            self._numbers[name] = len(self.names)
            self.names.append(name)
        return f"{self.nonce}x{self._numbers[name]}x"

    def stages(self, capability: Capability) -> list[Stage]:
        """Transactions that fit, in order: one if one can hold it all. The operations of an object stay together.

        Where there are several, those of a kind whose objects need nothing of each other hold nothing
        else, so that they may be carried out side by side.
        """
        most = capability.operations
        split = len(self.operations) > most
        encoded = [orjson.dumps(one.document()) for one in self.operations]
        runs: list[tuple[int, int, int]] = []
        for place, one in enumerate(self.operations):
            if runs and self.operations[place - 1].ref == one.ref:
                start, _, size = runs[-1]
                runs[-1] = (start, place + 1, size + len(encoded[place]) + 1)
            else:
                runs.append((place, place + 1, len(encoded[place]) + 1))
        stages: list[Stage] = []
        size = 0
        for start, end, bytes_ in runs:
            last = stages[-1] if stages else None
            if split:
                fit = STAGE if self.operations[start].ref.kind in INDEPENDENT else MIXED
                most = min(fit, capability.operations)
            full = last is not None and (end - last.start > most or size + bytes_ > capability.bytes - _OVERHEAD)
            if split and start:
                before, here = self.operations[start - 1].ref.kind, self.operations[start].ref.kind
                full = full or (before != here and not INDEPENDENT.isdisjoint((before, here)))
            if last is None or full:
                stages.append(Stage(self, start, end))
                size = bytes_
            else:
                last.end = end
                size += bytes_
        return stages


@dataclass(slots=True)
class Stage:
    """Some operations of a batch that share a transaction: from `start` up to and without `end`."""

    batch: Batch
    start: int
    end: int

    @property
    def independent(self) -> str | None:
        """The kind of its objects, if stages of that kind may be carried out side by side."""
        kinds = {one.ref.kind for one in self.operations}
        return kinds.pop() if len(kinds) == 1 and kinds <= INDEPENDENT else None

    @property
    def operations(self) -> Sequence[Operation]:
        """What this transaction does."""
        return self.batch.operations[self.start : self.end]

    def document(self, created: Sequence[str | None]) -> dict[str, Json]:
        """As the provider takes it; `created` are the ids that operations of earlier stages gave."""
        operations = [one.document() for one in self.operations]
        used = {
            int(number) for number in re.findall(f"{self.batch.nonce}x([0-9]+)x", orjson.dumps(operations).decode())
        }
        names: dict[str, Json] = {}
        for number in sorted(used):
            kind, words = self.batch.names[number]
            if kind == "operation":
                place = int(words[0])
                known = created[place] if place < self.start else None
                kind, words = ("id", (known,)) if known else ("operation", (str(place - self.start),))
            names[str(number)] = {"kind": kind, "words": list(words)}
        return {"protocol": PROTOCOL, "nonce": self.batch.nonce, "names": names, "operations": operations}
