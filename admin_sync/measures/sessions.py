"""How interactive sessions were proved, from the audit files.

A session is interactive where somebody logged in to it; tokens of services and workloads have none. It
counts once, by the strongest factor that was proved in it: a step-up later on is the same session.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from admin_sync.measures.subject import Subject
from admin_sync.model import Json
from admin_sync.monitor.line import Line, lines

HARDWARE = "hwk"
"""A proof by a key that cannot leave its device (RFC 8176)."""

SECOND = frozenset({HARDWARE, "swk", "otp", "recovery", "mfa"})
"""Methods of which one is a second factor."""


@dataclass(slots=True)
class Tally:
    """The sessions of one realm: each with the methods that were proved in it."""

    methods: dict[str, set[str]] = field(default_factory=dict)

    def add(self, line: Line) -> None:
        """Count a login."""
        self.methods.setdefault(line.session or "", set()).update(line.amr)

    def numbers(self) -> dict[str, Json]:
        """Sessions, and shares between 0 and 1; None where there was no session."""
        total = len(self.methods)
        hardware = sum(HARDWARE in proved for proved in self.methods.values())
        second = sum(not SECOND.isdisjoint(proved) for proved in self.methods.values())
        return {
            "sessions": total,
            "hardware": hardware,
            "second_factor": second,
            "hardware_share": round(hardware / total, 4) if total else None,
            "second_factor_share": round(second / total, 4) if total else None,
        }


def factors_of_sessions(subject: Subject) -> Mapping[str, Json]:
    """The numbers of every realm and of all together, over the last days. Raises Untaken and OSError."""
    tallies: dict[str, Tally] = {}
    together = Tally()
    start = subject.since
    for path in subject.audit_files():
        for line in lines(path):
            if line.event == "login" and line.success and line.session and line.time >= start:
                tallies.setdefault(line.realm, Tally()).add(line)
                together.add(line)
    return {
        "days": subject.days,
        **together.numbers(),
        "realms": {name: tally.numbers() for name, tally in sorted(tallies.items())},
    }
