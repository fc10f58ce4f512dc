"""Put a bundle in the place of the last one, so that a reader sees either the old one or the new.

A serial that is not above the published one is refused, and so is a bundle that would end a freeze
without being told to: neither may happen because two runs overlap or a clock is wrong.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from admin_sync.bundle.build import Bundle
from admin_sync.bundle.errors import FreezeInForce, PublishFailed, StaleSerial
from admin_sync.bundle.published import CURRENT, PREVIOUS, Meta, read_published
from admin_sync.bundle.sign import is_genuine


class Outcome(StrEnum):
    """What `publish` did."""

    PUBLISHED = "published"
    RENEWED = "renewed"
    """The content is the same, but less than half of its validity was left."""
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class Publication:
    """What `publish` did, what is published now, and what was published before."""

    outcome: Outcome
    meta: Meta
    before: Meta | None


def publish(
    bundle: Bundle, directory: Path, *, thaw: bool = False, clock: Callable[[], float] = time.time
) -> Publication:
    """Make `bundle` the published one of `directory`, and keep the one before as `bundle.previous.tar.gz`.

    Raises StaleSerial if what is published is not older, FreezeInForce if it is frozen, `bundle` is
    not and `thaw` was not asked for, and PublishFailed if the directory cannot be written.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with _alone_in(directory):
            return _publish(bundle, directory, thaw=thaw, now=clock())
    except OSError as error:
        raise PublishFailed(
            f"cannot publish to {directory}: {error.strerror or error}; what was published before is still in place"
        ) from error


def _publish(bundle: Bundle, directory: Path, *, thaw: bool, now: float) -> Publication:
    before, new = read_published(directory), bundle.meta
    outcome = Outcome.PUBLISHED
    if before is not None:
        if new.serial <= before.serial:
            raise StaleSerial(
                f"{directory / CURRENT} has serial {before.serial}, which {new.serial} is not above: "
                "somebody published meanwhile, or this clock is behind. Build again, and check the clock if it persists"
            )
        if before.frozen and not new.frozen and not thaw:
            raise FreezeInForce(
                f"{directory / CURRENT} is frozen (revision {before.revision}); "
                "run `admin-sync bundle thaw` to end the freeze"
            )
        # A damaged or forged file may say anything of itself; it is replaced and not called unchanged.
        same = (new.digest, new.frozen) == (before.digest, before.frozen)
        if same and is_genuine(directory / CURRENT, key=bundle.key, opa=bundle.opa):
            outcome = Outcome.RENEWED
            if before.valid_until - now >= (before.valid_until - before.built_at) / 2:
                return Publication(Outcome.UNCHANGED, before, before)
    _replace(directory, bundle.content)
    return Publication(outcome, new, before)


def _replace(directory: Path, content: bytes) -> None:
    """Every step leaves a whole bundle under the published name, also when the power fails."""
    current, fresh, old = directory / CURRENT, directory / f".{CURRENT}.new", directory / f".{PREVIOUS}.new"
    with fresh.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    if current.exists():
        old.unlink(missing_ok=True)
        old.hardlink_to(current)
        old.replace(directory / PREVIOUS)
    fresh.replace(current)
    _sync(directory)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _alone_in(directory: Path) -> Iterator[None]:
    """Two publishers at once would each compare with a bundle that the other is replacing."""
    with (directory / ".publish.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
