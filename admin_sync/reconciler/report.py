"""What one turn did, and what a process remembers from one turn to the next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from admin_sync.model import printable
from admin_sync.reconciler.applying import Applied


@dataclass(slots=True)
class Standing:
    """What this process knows to be so. Lost with it, which costs the next one a look at every realm."""

    applied: dict[str, str] = field(default_factory=dict)
    """The commit that each environment was last brought to."""
    published: str | None = None
    """The commit whose bundle OPA serves."""
    looked: float = float("-inf")
    """When, by the monotonic clock, all realms were last read."""
    ends: datetime | None = None
    """When the next grant ends."""
    duties: dict[str, datetime] = field(default_factory=dict)
    """When each duty is due next."""

    def next(self) -> datetime | None:
        """When something is to be done although nobody rings."""
        return min(filter(None, (self.ends, *self.duties.values())), default=None)


@dataclass(slots=True)
class Report:
    """What one turn did, for logs, metrics and `--json`."""

    commit: str | None = None
    realms: list[Applied] = field(default_factory=list)
    committed: list[str] = field(default_factory=list)
    """Requests whose binding is in the history, by this turn or an earlier one."""
    proposed: dict[str, str] = field(default_factory=dict)
    fulfilled: list[str] = field(default_factory=list)
    usable_after: list[float] = field(default_factory=list)
    """Seconds from the last approval to being in force, of each grant that this turn fulfilled."""
    cleared: str | None = None
    bundle: Mapping[str, Any] | None = None
    problems: list[str] = field(default_factory=list)
    refused: bool = False
    seconds: float = 0.0

    @property
    def well(self) -> bool:
        """Whether nothing is left to be tried again."""
        return not self.problems

    def record(self) -> dict[str, Any]:
        """This report as plain JSON."""
        return {
            "commit": self.commit,
            "realms": [
                {
                    "environment": one.environment,
                    "outcome": str(one.outcome),
                    "said": one.said,
                    "changes": one.changes,
                    "seconds": round(one.seconds, 3),
                    "pending": dict(one.pending),
                }
                for one in self.realms
            ],
            "committed": self.committed,
            "proposed": self.proposed,
            "fulfilled": self.fulfilled,
            "cleared": self.cleared,
            "bundle": self.bundle,
            "problems": self.problems,
            "seconds": round(self.seconds, 3),
        }

    def lines(self) -> Iterator[str]:
        """This report for a person; nothing where nothing happened."""
        for name, address in self.proposed.items():
            yield f"{name}: waits for {address}"
        for one in self.realms:
            if one.changes or not one.well:
                said = f": {one.said}" if one.said else f": {one.changes} changes"
                yield printable(f"{one.environment} {one.outcome}{said} ({one.seconds:.1f} s)")
        if self.cleared is not None:
            yield f"what has ended is out of the file: commit {self.cleared[:12]}"
        if self.bundle is not None:
            yield f"bundle {self.bundle['revision']} {self.bundle['outcome']}"
        for name in self.fulfilled:
            yield f"{name}: in force"
