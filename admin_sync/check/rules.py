"""Values that the decision rules cannot work with: found here, before a realm is changed and not after."""

from __future__ import annotations

from collections.abc import Iterator

from admin_sync.bundle.source import Sensitive, Window
from admin_sync.errors import Finding
from admin_sync.load.document import POLICIES, Document


def windows(document: Document) -> Iterator[Finding]:
    """A window opens at a time of a zone that exists."""
    for role, window in document.policies.production_windows.items():
        try:
            Window(
                environments=frozenset(window.environments),
                weekdays=frozenset(window.weekdays),
                opens=window.opens,
                closes=window.closes,
                timezone=window.timezone,
            )
        except ValueError as problem:
            place = document.at(POLICIES, "production_windows", role, key=True)
            yield Finding.at(place, "window", str(problem))


def sensitive(document: Document) -> Iterator[Finding]:
    """A sensitive permission asks for a login that can exist."""
    wanted = document.policies.assurance.sensitive
    try:
        Sensitive(level=wanted.level, max_age=int(wanted.max_age.total_seconds()))
    except ValueError as problem:
        yield Finding.at(document.at(POLICIES, "assurance", "sensitive", "max_age"), "duration", str(problem))
