"""How far each realm is reconciled, in a small file beside the audit file, and that one run is under way at most."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import orjson

from admin_sync.lock import LockHeld
from identity.durable import replace_file


class Progress:
    """Realm -> the time (milliseconds since 1970) up to which every stored event had its line."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> dict[str, int]:
        """What the last run left; nothing where there is no readable file, which only costs a longer look."""
        try:
            content = orjson.loads(self._path.read_bytes())
            return {realm: time for realm, time in content["realms"].items() if type(time) is int and time >= 0}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}

    def write(self, realms: Mapping[str, int]) -> None:
        """Replace it. Raises OSError."""
        replace_file(self._path, orjson.dumps({"version": 1, "realms": dict(sorted(realms.items()))}) + b"\n")


@contextmanager
def alone(audit: Path) -> Iterator[Progress]:
    """The progress of an audit file, for one run at a time. Raises LockHeld and OSError.

    Two runs at once would each find the same event missing, and write it twice.
    """
    audit.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    place = audit.with_name(f"{audit.name}.reconcile.lock")
    descriptor = os.open(place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LockHeld(f"another run reconciles {audit} right now; wait until it is through") from None
        yield Progress(audit.with_name(f"{audit.name}.reconciled.json"))
    finally:
        os.close(descriptor)
