"""What becomes of every item when a campaign is closed, and what is refused then. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from admin_sync.certification.item import Item, key_of, moment
from admin_sync.guard import GUARDIANS
from admin_sync.holdings import holdings, permissions_of
from admin_sync.load.document import Document
from admin_sync.model import Json

MASS_SHARE: Final = 1 / 3
"""Of all items. A quarter in which more is taken away is a mistake until somebody says that it is none."""

MASS_ALWAYS: Final = 10


class Verdict(StrEnum):
    """What a reviewer says."""

    KEEP = "keep"
    REVOKE = "revoke"


class Fate(StrEnum):
    """What became of an item."""

    KEPT = "kept"
    REVOKED = "revoked"
    REVOKED_UNDECIDED = "revoked_undecided"
    """Nobody decided, and policy takes it away."""
    UNDECIDED = "undecided"
    """Nobody decided, and policy leaves it; it stays red until the next campaign."""
    GONE = "gone"
    """It was taken away or changed while the campaign was open."""


TAKEN_AWAY: Final = frozenset({Fate.REVOKED, Fate.REVOKED_UNDECIDED})


@dataclass(frozen=True, slots=True)
class Decision:
    """One reviewer's word about one item, with what proved who they were."""

    item: str
    hash: str
    verdict: Verdict
    reason: str
    reviewer: str
    capacity: str
    sub: str
    acr: str
    auth_time: int
    session: str | None
    at: datetime

    def record(self) -> dict[str, Json]:
        """As JSON."""
        return {
            "item": self.item,
            "hash": self.hash,
            "verdict": self.verdict.value,
            "reason": self.reason,
            "reviewer": self.reviewer,
            "capacity": self.capacity,
            "sub": self.sub,
            "acr": self.acr,
            "auth_time": self.auth_time,
            "session": self.session,
            "at": self.at.isoformat(),
        }

    @classmethod
    def of(cls, record: Mapping[str, Json]) -> Decision:
        """What `record` gave. Raises KeyError and ValueError."""
        at = moment(record["at"])
        if at is None:
            raise ValueError("a decision without its time")
        return cls(**{**record, "verdict": Verdict(record["verdict"]), "at": at})


@dataclass(frozen=True, slots=True)
class Outcome:
    """One item with what was said about it and what became of it."""

    item: Item
    decisions: tuple[Decision, ...]
    fate: Fate


def outcomes(
    items: Sequence[Item], decisions: Sequence[Decision], present: Collection[str], undecided: str
) -> list[Outcome]:
    """What becomes of every item.

    present: the keys of the bindings that are in the file now
    undecided: `certification.undecided` of policies.yaml

    A decision about another text than the item's counts for nothing. One revoke outweighs a keep, whoever came first.
    """
    said: dict[str, list[Decision]] = {}
    for one in decisions:
        said.setdefault(one.item, []).append(one)
    found = []
    for item in items:
        voices = tuple(one for one in said.get(item.key, ()) if one.hash == item.hash)
        found.append(Outcome(item, voices, _fate(item, voices, item.key in present, undecided)))
    return found


def _fate(item: Item, voices: Sequence[Decision], present: bool, undecided: str) -> Fate:
    if not present:
        return Fate.GONE
    if any(one.verdict is Verdict.REVOKE for one in voices):
        return Fate.REVOKED
    if voices:
        return Fate.KEPT
    if undecided == "revoke" or (undecided == "revoke_proposed" and item.signs):
        return Fate.REVOKED_UNDECIDED
    return Fate.UNDECIDED


def refusals(
    document: Document, found: Sequence[Outcome], now: datetime, due: datetime, allowed: int | None
) -> Iterator[str]:
    """Why a campaign is not closed now.

    allowed: the exact number of revocations that somebody has said is meant, None if nobody did
    """
    counts = Counter(one.fate for one in found)
    silent = sum(not one.decisions and one.fate is not Fate.GONE for one in found)
    if silent and now < due:
        yield f"nobody has decided about {silent} of {len(found)} items, and they have until {due:%Y-%m-%d %H:%M} UTC"
    taken = counts[Fate.REVOKED] + counts[Fate.REVOKED_UNDECIDED]
    if taken > max(MASS_ALWAYS, int(MASS_SHARE * len(found))) and allowed != taken:
        many = f"{taken} of {len(found)} bindings would be taken away"
        yield f"{many}; if that is meant, give --allow-revocations {taken}"
    yield from _locked_out(document, {one.item.key for one in found if one.fate in TAKEN_AWAY}, now)


def _locked_out(document: Document, taken: Collection[str], now: datetime) -> Iterator[str]:
    if not taken:
        return
    roles = document.roles.roles
    guardians = {role for role in roles if GUARDIANS & {name for name, _ in permissions_of(document, role)}}
    keys = keys_of(document)
    for environment in document.environments:
        able = {
            person: [one for one in held if one.role in guardians]
            for person, held in holdings(document, environment, now).items()
        }
        before = {person for person, held in able.items() if held}
        after = {person for person, held in able.items() if any(keys[one.binding] not in taken for one in held)}
        if before and not after:
            lost = ", ".join(sorted(before))
            yield f"{environment}: nobody would be left who can change access (now: {lost}); give it to somebody first"


def keys_of(document: Document) -> list[str]:
    """The key of every binding, in the order of the file."""
    return [key_of(one) for one in document.bindings.bindings]
