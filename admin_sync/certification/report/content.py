"""The whole campaign as JSON: what was asked, what was said by whom, and what became of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from admin_sync.certification.item import stamped
from admin_sync.certification.outcome import Outcome
from admin_sync.certification.report.figures import counted, reviewers
from admin_sync.model import Json

VERSION = 1
"""Of this shape; a reader that knows another refuses it."""


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a campaign was held under."""

    quarter: str
    opened_at: datetime
    opened_by: str
    due: datetime
    closed_at: datetime
    closed_by: str
    commit: str | None
    """The commit that took bindings away, None where nothing was."""
    pull_request: str | None
    """Where that commit waits to be merged, None where it is in force."""
    roster: Mapping[str, Json]
    """Its source, SHA-256 and the number of people in it."""
    policy: Mapping[str, Json]
    recorded_since: Mapping[str, str]
    """How far back the record of use goes, by realm."""


def content(circumstances: Circumstances, found: Sequence[Outcome]) -> dict[str, Json]:
    """The report."""
    return {
        "version": VERSION,
        "campaign": {
            "quarter": circumstances.quarter,
            "opened_at": stamped(circumstances.opened_at),
            "opened_by": circumstances.opened_by,
            "due": stamped(circumstances.due),
            "closed_at": stamped(circumstances.closed_at),
            "closed_by": circumstances.closed_by,
        },
        "commit": circumstances.commit,
        "pull_request": circumstances.pull_request,
        "roster": dict(circumstances.roster),
        "policy": dict(circumstances.policy),
        "recorded_since": dict(circumstances.recorded_since),
        "figures": counted(found),
        "reviewers": reviewers(found),
        "items": [
            {
                **one.item.record(),
                "hash": one.item.hash,
                "fate": one.fate.value,
                "decisions": [decision.record() for decision in one.decisions],
            }
            for one in found
        ],
    }
