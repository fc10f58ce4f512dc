"""How the report says things, the same in every form of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from admin_sync.model import Json

FATES: Final = {
    "kept": "kept",
    "revoked": "revoked by a reviewer",
    "revoked_undecided": "revoked, nobody decided",
    "undecided": "still undecided",
    "gone": "gone meanwhile",
}
SIGNS: Final = {"orphan": "holder not in the HR roster", "stale": "unused"}


def day(stamp: str | None) -> str:
    """A day, in UTC."""
    return "" if stamp is None else f"{datetime.fromisoformat(stamp).astimezone(UTC):%Y-%m-%d}"


def minute(stamp: str | None) -> str:
    """A minute, in UTC."""
    return "" if stamp is None else f"{datetime.fromisoformat(stamp).astimezone(UTC):%Y-%m-%d %H:%M}"


def target(item: Mapping[str, Json]) -> str:
    """What a binding gives."""
    binding = item["binding"]
    name = next(name for name in ("role", "group", "client_role") if name in binding)
    return f"{name.replace('_', ' ')} {binding[name]}"


def reasons(item: Mapping[str, Json]) -> str:
    """What was said about an item and by whom."""
    return "; ".join(f"{one['verdict']} by {one['reviewer']}: {one['reason']}" for one in item["decisions"])


def last_use(item: Mapping[str, Json]) -> str:
    """When the holder was last seen, over all environments, and what is not known about it."""
    seen = max((one["last"] for one in item["use"].values() if one["last"]), default=None)
    if seen is not None:
        return day(seen)
    since = [one["recorded_since"] for one in item["use"].values()]
    if not since or any(one is None for one in since):
        return "no record"
    return f"not since {day(max(since))}"
