"""How far campaigns are, and whether the next is overdue."""

from __future__ import annotations

from datetime import timedelta

from admin_sync.access.campaigns.office import Office
from admin_sync.certification.calendar import overdue
from admin_sync.certification.item import stamped
from admin_sync.model import Json


async def progress(office: Office, every: timedelta) -> dict[str, Json]:
    """Every campaign in numbers, the latest first. Raises DatabaseUnavailable."""
    now = await office.moment()
    campaigns = await office.campaigns()
    counts = await office.counts()
    last = max((one.closed_at for one in campaigns if one.closed_at is not None), default=None)
    return {
        "overdue": overdue(last, every, now),
        "last_closed": stamped(last),
        "next_due": stamped(None if last is None else last + every),
        "campaigns": [
            {
                "quarter": one.quarter,
                "state": one.state,
                "opened_at": stamped(one.opened_at),
                "due": stamped(one.due),
                "late": one.state != "closed" and one.due <= now,
                "closed_at": stamped(one.closed_at),
                "items": counts.get(one.quarter, (0, 0))[0],
                "decided": counts.get(one.quarter, (0, 0))[1],
                "figures": one.figures,
                "evidence": one.evidence,
            }
            for one in campaigns
        ],
    }
