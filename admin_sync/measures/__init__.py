"""How well access is protected, in numbers: `admin-sync metrics`, one function for each measure.

    audit files │ configuration │ Keycloak ─ measure ─▶ numbers by name

    subject.py   what a measure may ask for: each part is had when it is first wanted
    sessions.py  share of interactive sessions with a hardware factor
    credentials.py  share of service accounts that hold no secret, or nothing at all
    access.py    how long people wait for a yes or a no; whether a certification is overdue
    decisions.py what the policy engine refused, by environment
    identities.py  people with grants and accounts whom the HR roster does not have
    exposition.py  the same numbers in Prometheus' text format

A new measure is a function from `Subject` to numbers and a line in `MEASURES`. One that cannot be taken raises
`Untaken` with the reason, and the others are taken all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from admin_sync.measures.access import certifications, time_to_decide
from admin_sync.measures.credentials import credentials_of_clients
from admin_sync.measures.decisions import denials
from admin_sync.measures.identities import orphans
from admin_sync.measures.sessions import factors_of_sessions
from admin_sync.measures.subject import Subject, Untaken
from admin_sync.model import Json

__all__ = ["MEASURES", "Measure", "Subject", "Untaken"]


@dataclass(frozen=True, slots=True)
class Measure:
    """One line of the table: a stable name, what it says, and the function that takes it."""

    name: str
    says: str
    take: Callable[[Subject], Mapping[str, Json]]
    numbers: tuple[str, ...] = ()
    """Those over everything that alert rules wait for (`observability/alerts`)."""


MEASURES: Final[Sequence[Measure]] = (
    Measure(
        "hardware_factors",
        "share of interactive sessions that proved a hardware factor, and any second factor",
        factors_of_sessions,
    ),
    Measure(
        "workload_identity",
        "share of service accounts that a platform vouches for, and of those without a static secret",
        credentials_of_clients,
        ("static_secret",),
    ),
    Measure("time_to_decide", "mean time to approve or reject a request for access, in seconds", time_to_decide),
    Measure("policy_denials", "what the policy engine refused, by environment", denials),
    Measure(
        "orphaned_identities",
        "people with grants, and accounts, whom the HR roster does not have",
        orphans,
        ("orphaned",),
    ),
    Measure(
        "certification",
        "whether a certification is overdue, and what is undecided in it",
        certifications,
        ("overdue", "late"),
    ),
)
