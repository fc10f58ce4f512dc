"""What the policy engine decided, by environment, from the audit files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson

from admin_sync.bundle.decisions import EVENT
from admin_sync.measures.subject import Subject
from admin_sync.model import Json
from admin_sync.monitor.line import instant
from admin_sync.rotated import lines

_WORD = EVENT.encode()


@dataclass(slots=True)
class Tally:
    """Decisions of one environment, and the reasons of those that said no."""

    outcomes: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)

    def numbers(self) -> dict[str, Json]:
        """Decisions; `denied_share` is between 0 and 1, None where there was no decision."""
        total = self.outcomes.total()
        return {
            "decisions": total,
            "denied": self.outcomes["denied"],
            "failed": self.outcomes["failure"],
            "denied_share": round(self.outcomes["denied"] / total, 4) if total else None,
            "reasons": dict(sorted(self.reasons.items())),
        }


def denials(subject: Subject) -> Mapping[str, Json]:
    """The numbers of every environment and of all together, over the last days. Raises Untaken and OSError.

    A decision may have several reasons, so these may be more than the denials.
    """
    tallies: dict[str, Tally] = {}
    together = Tally()
    for path in subject.audit_files():
        for text in lines(path):
            if _WORD not in text:
                continue
            record = _record(text)
            if record.get("event") == EVENT and instant(record.get("time")) >= subject.since:
                environment = str(record.get("resource") or "?").partition("/")[0]
                for tally in (tallies.setdefault(environment, Tally()), together):
                    _count(tally, record)
    environments = {name: tally.numbers() for name, tally in sorted(tallies.items())}
    return {"days": subject.days, **together.numbers(), "environments": environments}


def _count(tally: Tally, record: Mapping[str, Json]) -> None:
    outcome = str(record.get("outcome"))
    tally.outcomes[outcome] += 1
    if outcome == "denied":
        tally.reasons.update(set(str(record.get("reason") or "none").split()))


def _record(text: bytes) -> Mapping[str, Json]:
    try:
        record = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {}
    return record if isinstance(record, dict) else {}
