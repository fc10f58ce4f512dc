"""Whether a roster can be the next one. A broken export must never read as "everybody has left".

The figures are deliberately narrow, because being asked once too often is cheap and a mass revocation is not.
Whoever knows better (a closed branch, an acquisition) says how many may go.
"""

from __future__ import annotations

from datetime import date
from typing import Final

from admin_sync.roster.people import Roster

LEAVING_SHARE: Final = 0.2
"""Of those who were employed; more in one roster is no staff turnover but a broken export."""

LEAVING_ALWAYS: Final = 2
"""So many may always leave, so that a small firm is not asked each time."""

GROWTH: Final = 2.0
"""Times as many people; more is a roster that holds everybody twice under other addresses, or somebody else's."""

GROWTH_ALWAYS: Final = 20


def implausible(
    previous: Roster | None, new: Roster, today: date, *, leavers_allowed: int | None = None
) -> tuple[str, ...]:
    """Why `new` cannot be the roster that follows `previous`; empty if it can.

    previous: the last roster that was acted upon, None if there was none
    leavers_allowed: how many people somebody has said may leave at once; the share above if None
    """
    reasons: list[str] = []
    now = {one.email for one in new if one.employed(today)}
    if not now:
        reasons.append(f"nobody in {new.source} is employed today")
    if len(now) > 1 and not any(one.manager for one in new):
        reasons.append(f"nobody in {new.source} has a manager")
    if previous is None:
        return tuple(reasons)
    before = {one.email for one in previous if one.employed(today)}
    # Whoever changed their main address has not left.
    gone = {email for email in before if not new.employed(email, today)}
    limit = max(LEAVING_ALWAYS, int(LEAVING_SHARE * len(before))) if leavers_allowed is None else leavers_allowed
    if len(gone) > limit:
        reasons.append(f"{len(gone)} of {len(before)} employed people are gone at once, and at most {limit} may be")
    if len(now) > GROWTH * len(before) and len(now) - len(before) > GROWTH_ALWAYS:
        reasons.append(f"{len(now)} people are employed, and {len(before)} were before")
    return tuple(reasons)
