"""What the monitor remembers between runs: one JSON file, replaced whole, that its owner alone can read."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson

from admin_sync.errors import Misconfigured, Refused
from admin_sync.monitor.alert import Alert
from admin_sync.monitor.detect import Memory
from admin_sync.monitor.follow import Position
from identity.durable import replace_file

FILE: Final = "monitor.json"
_VERSION: Final = 1


@dataclass(slots=True)
class Waiting:
    """An alert that is not delivered yet: how often it was tried, and when (Unix time) it is tried again."""

    alert: Alert
    attempts: int = 0
    due: float = 0.0
    since: float = 0.0


@dataclass(slots=True)
class State:
    """Where we stopped, the last line of each chain (its number and Unix time), what detectors know, what is to be
    delivered."""

    position: Position | None = None
    heads: dict[str, tuple[int, float]] = field(default_factory=dict)
    memory: Memory = field(default_factory=Memory)
    outbox: dict[str, Waiting] = field(default_factory=dict)
    delivered: int = 0
    given_up: int = 0

    def record(self) -> dict[str, Any]:
        """As JSON."""
        place = self.position
        waiting = [
            {"alert": one.alert.record(), "attempts": one.attempts, "due": one.due, "since": one.since}
            for one in self.outbox.values()
        ]
        return {
            "version": _VERSION,
            "position": None if place is None else asdict(place),
            "heads": self.heads,
            "memory": self.memory.record(),
            "outbox": waiting,
            "delivered": self.delivered,
            "given_up": self.given_up,
        }

    @classmethod
    def of(cls, record: Any) -> State:
        """What `record` gave. Raises TypeError, ValueError and KeyError."""
        if record["version"] != _VERSION:
            raise ValueError("another version's state")
        place = record["position"]
        waiting = [Waiting(Alert.of(one.pop("alert")), **one) for one in record["outbox"]]
        return cls(
            position=None if place is None else Position(**place),
            heads={str(chain): (int(seq), float(at)) for chain, (seq, at) in record["heads"].items()},
            memory=Memory.of(record["memory"]),
            outbox={one.alert.id: one for one in waiting},
            delivered=int(record["delivered"]),
            given_up=int(record["given_up"]),
        )


def load(folder: Path) -> State | None:
    """The state in a folder, None where there is none yet. Raises Misconfigured for one that cannot be read."""
    path = folder / FILE
    try:
        return State.of(orjson.loads(path.read_bytes()))
    except FileNotFoundError:
        return None
    except (TypeError, ValueError, KeyError, AttributeError):
        raise Misconfigured(f"{path} is no state of this monitor; move it away to begin with what comes") from None


def save(folder: Path, state: State) -> None:
    """Replace the state, durably. Raises OSError."""
    replace_file(folder / FILE, orjson.dumps(state.record()))


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Be the one monitor that uses a folder. Raises Refused where there is another, and OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refused(f"another monitor uses {folder}") from None
        yield
    finally:
        os.close(descriptor)
