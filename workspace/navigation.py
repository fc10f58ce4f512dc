"""What somebody finds in the menu: the pages of their partners, and those for staff. Pure.

The menu allows nothing. It leaves out what would only say no; the services decide.
"""

from __future__ import annotations

from dataclasses import dataclass

from identity.principal import Principal


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the menu. `section` is the heading that it stands under."""

    section: str
    label: str
    path: str


def entries(principal: Principal) -> tuple[Entry, ...]:
    """The menu, in its order."""
    found = [Entry("", "Home", "/")]
    for alias in sorted(principal.organizations):
        found.append(Entry(alias, "Connections", f"/partners/{alias}/connections"))
        found.append(Entry(alias, "Members", f"/partners/{alias}/members"))
        found.append(Entry(alias, "Alerts", f"/partners/{alias}/alerts"))
        found.append(Entry(alias, "Audit trail", f"/partners/{alias}/audit"))
        found.append(Entry(alias, "First steps", f"/partners/{alias}/start"))
    if is_staff(principal):
        found.append(Entry("Access", "Ask for access", "/access/ask"))
        found.append(Entry("Access", "Requests", "/access/requests"))
        found.append(Entry("Access", "To decide", "/access/to-decide"))
        found.append(Entry("Access", "Grants", "/access/grants"))
        found.append(Entry("Access", "Certification", "/access/campaigns"))
        found.append(Entry("Access", "Emergencies", "/access/break-glass"))
        found.append(Entry("Platform", "Auth health", "/auth-health"))
        found.append(Entry("Partners", "Onboarding", "/onboarding"))
        found.append(Entry("Partners", "See as a partner", "/simulation"))
    return tuple(found)


def is_staff(principal: Principal) -> bool:
    """Whether somebody works for the platform, as far as the menu is concerned: no member of any partner."""
    return principal.kind == "person" and not principal.organizations
