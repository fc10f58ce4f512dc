"""Put a bundle in the place of the last one, so that a reader sees either the old one or the new.

A serial that is not above the published one is refused, and so is a bundle that would end a freeze
without being told to: neither may happen because two runs overlap or a clock is wrong. Where the
bundle is published, and how the switch is made, is the target's matter (`target.py`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from admin_sync.bundle.build import Bundle
from admin_sync.bundle.errors import FreezeInForce, StaleSerial
from admin_sync.bundle.published import Meta, meta_or_none
from admin_sync.bundle.sign import is_genuine
from admin_sync.bundle.target import Target


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
    bundle: Bundle, target: Target, *, thaw: bool = False, clock: Callable[[], float] = time.time
) -> Publication:
    """Make `bundle` the published one of `target`.

    Raises StaleSerial if what is published is not older, FreezeInForce if it is frozen, `bundle` is
    not and `thaw` was not asked for, Overtaken if somebody else published in the same moment, and
    PublishFailed if the target does not take it.
    """
    with target.alone():
        found, new = target.read(), bundle.meta
        before = None if found is None else meta_or_none(found.content)
        outcome = Outcome.PUBLISHED
        if found is not None and before is not None:
            _may_follow(new, before, target, thaw=thaw)
            # A damaged or forged file may say anything of itself; it is replaced and not called unchanged.
            same = (new.digest, new.frozen) == (before.digest, before.frozen)
            if same and is_genuine(found.content, key=bundle.key, opa=bundle.opa):
                outcome = Outcome.RENEWED
                if before.valid_until - clock() >= (before.valid_until - before.built_at) / 2:
                    return Publication(Outcome.UNCHANGED, before, before)
        target.replace(bundle.content, new.revision, found)
        return Publication(outcome, new, before)


def _may_follow(new: Meta, before: Meta, target: Target, *, thaw: bool) -> None:
    if new.serial <= before.serial:
        raise StaleSerial(
            f"what is published at {target.name} has serial {before.serial}, which {new.serial} is not above: "
            "somebody published meanwhile, or this clock is behind. Build again, and check the clock if it persists"
        )
    if before.frozen and not new.frozen and not thaw:
        raise FreezeInForce(
            f"what is published at {target.name} is frozen (revision {before.revision}); "
            "run `admin-sync bundle thaw` to end the freeze"
        )
