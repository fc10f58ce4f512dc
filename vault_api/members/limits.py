"""What somebody who may manage members may give, and to whom not. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from identity.principal import Principal
from identity.problem import Problem

_BY_PARTNER = "partner_role:"


def own_end(principal: Principal, partner: str, reasons: tuple[str, ...]) -> datetime | None:
    """Until when somebody may manage members, from the roles by which the policy let them; None for without end."""
    membership = principal.membership(partner)
    ends: list[int] = []
    for reason in reasons:
        role = reason.removeprefix(_BY_PARTNER)
        if role == reason or membership is None or role in membership.roles or role not in membership.lent:
            return None
        ends.append(membership.lent[role])
    return datetime.fromtimestamp(max(ends), UTC) if ends else None


def require_within(until: datetime | None, end: datetime | None) -> None:
    """Refuses what would outlast whoever gives it: a deputy could stay by making somebody else. Raises Problem."""
    if end is not None and (until is None or until > end):
        raise Problem(
            422,
            "longer-than-own",
            "You cannot give a role for longer than you have yours",
            "Choose an end that is not behind the end of your own role.",
            extra={"errors": [{"location": "/until", "code": "longer_than_own"}], "own_end": end.isoformat()},
            reason="longer_than_own",
        )


def require_not_above(
    held: Sequence[tuple[str, datetime | None]], end: datetime | None, reasons: tuple[str, ...]
) -> None:
    """Refuses to change those who may manage members for longer: a deputy does not oust whom they stand in for.

    `held` are somebody's roles with their ends, `end` and `reasons` as for `own_end`. Raises Problem.
    """
    managing = {reason.removeprefix(_BY_PARTNER) for reason in reasons}
    if end is not None and any(role in managing and (until is None or until > end) for role, until in held):
        raise Problem(
            409,
            "outlasts-own",
            "They administer the partner for longer than you do",
            "Ask an administrator whose role has no end, or a later one.",
            reason="outlasts_own",
        )


def require_other(principal: Principal, account: str) -> None:
    """Refuses to change one's own roles: somebody else has to know of it. Raises Problem."""
    if principal.subject == account:
        raise Problem(
            409,
            "own-role",
            "Nobody changes their own roles",
            "Ask another administrator of the partner to do it.",
            reason="own_role",
        )


def require_ahead(until: datetime | None, now: datetime) -> None:
    """Refuses an end that has passed. Raises Problem."""
    if until is not None and until <= now:
        raise Problem(
            422,
            "over-already",
            "That end has passed",
            "Choose a day that is still to come.",
            extra={"errors": [{"location": "/until", "code": "over_already"}]},
            reason="over_already",
        )
