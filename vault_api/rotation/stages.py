"""Who goes when: canary partners, a tenth, everybody. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence

CANARY = "canary"
DEFAULT_STAGES = (CANARY, "10%", "100%")

_SHARE = re.compile(r"(100|[1-9][0-9]?)%\Z")


def order(partners: Sequence[str]) -> Sequence[str]:
    """The partners in an order that is nobody's choice and always the same: by the SHA-256 of their names."""
    return sorted(set(partners), key=lambda name: hashlib.sha256(name.encode()).digest())


def check_stages(stages: Sequence[str]) -> str | None:
    """Why these are no stages, None if they are: `canary` first if at all, then growing shares up to 100%."""
    shares = [_SHARE.match(stage) for stage in stages if stage != CANARY]
    if not shares or CANARY in stages[1:]:
        return "stages are `canary` first, or not at all, and then shares of the partners"
    if any(share is None for share in shares):
        return "a stage is `canary` or a whole share such as 10%"
    numbers = [int(share[1]) for share in shares if share is not None]
    if numbers != sorted(set(numbers)) or numbers[-1] != 100:
        return "the shares grow, and the last one is 100%"
    return None


def assign(partners: Sequence[str], stages: Sequence[str], canaries: Sequence[str]) -> Mapping[str, int]:
    """The stage of every partner, counted from one. A share counts whoever is in a stage before it.

    Without named canaries the first partner of the order is the canary.
    """
    ordered = order(partners)
    stage_of: dict[str, int] = {}
    for number, stage in enumerate(stages, 1):
        if stage == CANARY:
            chosen: Sequence[str] = [name for name in ordered if name in canaries] or ordered[:1]
        else:
            # Rounded up: a tenth of three partners is one, not none.
            share = -(-len(ordered) * int(stage.rstrip("%")) // 100)
            missing = max(0, share - len(stage_of))
            chosen = [name for name in ordered if name not in stage_of][:missing]
        stage_of.update(dict.fromkeys(chosen, number))
    return stage_of
