"""What is counted from the outcomes of a campaign. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from statistics import median
from typing import Final

from admin_sync.certification.item import Sign
from admin_sync.certification.outcome import Decision, Fate, Outcome, Verdict
from admin_sync.model import Json

HASTY: Final = 2.0
"""Seconds per decision. Whoever is faster in the middle of their decisions has not read what they decided about."""

ENOUGH: Final = 10
"""Decisions from which on a pace says something."""


def counted(found: Sequence[Outcome]) -> dict[str, Json]:
    """Items by fate, by sign and by environment, and how many people hold them."""
    fates = Counter(one.fate for one in found)
    signs = Counter(sign for one in found for sign in one.item.signs)
    environments: dict[str, Counter[Fate]] = {}
    for one in found:
        for name in one.item.environments:
            environments.setdefault(name, Counter())[one.fate] += 1
    decided = sum(bool(one.decisions) for one in found)
    return {
        "items": len(found),
        "holders": len({one.item.holder for one in found}),
        "decided": decided,
        "decided_share": round(decided / len(found), 4) if found else None,
        "fates": {fate.value: fates[fate] for fate in Fate},
        "signs": {sign.value: signs[sign] for sign in Sign},
        "orphaned_identities": len({one.item.holder for one in found if Sign.ORPHAN in one.item.signs}),
        "unknown_provisioner": sum(not one.item.provisioners for one in found),
        "environments": {name: {fate.value: counts[fate] for fate in Fate} for name, counts in environments.items()},
    }


def reviewers(found: Sequence[Outcome]) -> list[dict[str, Json]]:
    """How every reviewer worked, the busiest first."""
    said: dict[str, list[Decision]] = {}
    for one in found:
        for decision in one.decisions:
            said.setdefault(decision.reviewer, []).append(decision)
    rows = [_reviewer(name, decisions) for name, decisions in said.items()]
    return sorted(rows, key=lambda row: (-row["decisions"], row["reviewer"]))


def _reviewer(name: str, decisions: Sequence[Decision]) -> dict[str, Json]:
    times = sorted(one.at.timestamp() for one in decisions)
    pace = round(median(after - before for before, after in pairwise(times)), 1) if len(times) > 1 else None
    keeps = sum(one.verdict is Verdict.KEEP for one in decisions)
    return {
        "reviewer": name,
        "decisions": len(decisions),
        "kept": keeps,
        "revoked": len(decisions) - keeps,
        "reasons": len({one.reason for one in decisions}),
        "seconds_between": pace,
        # A rubber stamp: nothing was ever taken away, and nothing was read.
        "hasty": len(decisions) >= ENOUGH and keeps == len(decisions) and pace is not None and pace < HASTY,
    }
