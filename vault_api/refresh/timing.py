"""Pure: when a token is refreshed, and how long a failure waits. All times are aware, all spans in seconds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from vault_api.brokers.schemas import RefreshPolicy

DEFAULT_LIFETIME = 3600.0
"""How long a token lives whose broker does not say; RFC 6749 leaves it open, and for ever would be never refreshed."""

FIRST_RETRY = 2.0
LONGEST_RETRY = 900.0


@dataclass(frozen=True, slots=True)
class Plan:
    """When an access token ends, when a worker refreshes it, and from when a release wants that first."""

    expires_at: datetime | None
    due_at: datetime | None
    refresh_by: datetime | None


def plan(policy: RefreshPolicy, *, now: datetime, lifetime: float | None, draw: float) -> Plan:
    """The plan for a token that was given at `now`.

    `draw` from [0, 1) spreads the due time over a quarter of the margin, so that connections which
    were linked together are not refreshed together.
    """
    if lifetime is None:
        if policy.never_expires:
            return Plan(None, None, None)
        lifetime = DEFAULT_LIFETIME
    expires_at = now + timedelta(seconds=lifetime)
    if policy.never_expires:
        return Plan(expires_at, None, None)
    margin = policy.margin(lifetime)
    return Plan(
        expires_at,
        expires_at - timedelta(seconds=margin * (1 + draw / 4)),
        expires_at - timedelta(seconds=margin / 2),
    )


def last_moment(*, stored_at: datetime, expires_at: datetime) -> datetime:
    """Until when a token is used up rather than put at risk: a twentieth of its life before the end, at most 30 s."""
    life = (expires_at - stored_at).total_seconds()
    return expires_at - timedelta(seconds=min(max(life, 0.0) / 20, 30.0))


def retry_after(attempts: int, *, draw: float) -> float:
    """Seconds until the next try after so many failures: doubling, bounded, spread by a fifth either way."""
    return min(FIRST_RETRY * 2.0 ** min(attempts, 30), LONGEST_RETRY) * (0.8 + 0.4 * draw)
