"""Roles inside a partner in words, and until when somebody is to have one, as a form says it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

SPANS: Final = (
    ("", "Without an end"),
    ("86400", "1 day"),
    ("604800", "7 days"),
    ("2592000", "30 days"),
    ("7776000", "90 days"),
    ("31536000", "1 year"),
)
"""How long a form offers a role for, in seconds and in words."""

_SPANS: Final = {seconds for seconds, _ in SPANS}
_ROLES: Final[Mapping[str, tuple[str, str]]] = {
    "partner-admin": ("Administrator", "links, approves and revokes brokers, and decides who belongs to the partner"),
    "partner-trader": ("Trader", "links brokers and trades through them"),
    "partner-analyst": ("Analyst", "sees connections and the audit trail, never a token"),
}
_FACTORS: Final = {"security_key": "Security key", "app": "Authenticator app", "none": "None yet"}
_PLACES: Final = {
    "/email": ("email", "Write one address, in plain letters."),
    "/role": ("role", "Choose a role of the list."),
    "/until": ("until", "Choose a day that is still to come, and not behind the end of your own role."),
}


def role_name(role: str) -> str:
    """What people call a role."""
    return _ROLES[role][0] if role in _ROLES else role


def role_means(role: str) -> str:
    """What a role is for; empty for one that only the configuration knows."""
    return _ROLES[role][1] if role in _ROLES else ""


def factor_name(factor: str) -> str:
    """What people call a second factor."""
    return _FACTORS.get(factor, factor)


def until_of(given: Mapping[str, str], now: datetime) -> tuple[datetime | None, dict[str, str]]:
    """The end that a form asks for, None for none, and what of it is wrong by the name of the field.

    A day counts to its end, in UTC, as all times of the workspace; it counts more than a span.
    """
    day, lasts = given.get("until", "").strip(), given.get("lasts", "")
    if day:
        try:
            end = datetime.fromisoformat(day).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=UTC)
        except ValueError:
            return None, {"until": "Write a day, such as 2027-01-31."}
        end += timedelta(days=1)
        return (end, {}) if end > now else (None, {"until": "Choose a day that is still to come."})
    if lasts not in _SPANS:
        return None, {"lasts": "Choose one of the list."}
    return (now + timedelta(seconds=int(lasts))).replace(microsecond=0) if lasts else None, {}


def mistakes(members: Mapping[str, Any]) -> dict[str, str]:
    """What the vault finds wrong with what was given, in words, by the name of the field."""
    listed = members.get("errors")
    found: dict[str, str] = {}
    for one in listed if isinstance(listed, list) else ():
        place = one.get("location") if isinstance(one, dict) else None
        if place in _PLACES:
            name, says = _PLACES[str(place)]
            found[name] = says
    return found


def steps(
    partner: str, you: Mapping[str, Any] | None, members: Mapping[str, Any], connections: int
) -> tuple[tuple[str, bool, str, str, str], ...]:
    """What there is to do at the beginning: what, whether it is done, why, what to press, and where that leads."""
    people = len(members["members"])
    keyed = you is not None and you["factor"] == "security_key"
    invited = len(members["invitations"]) > 0
    found = [
        (
            "Belong to the partner",
            True,
            f"You are a member of {members['name']}.",
            "",
            "",
        ),
        (
            "Register a security key",
            keyed,
            "It is the strongest way to prove that it is you, and no page can trick you out of it."
            if not keyed
            else "Your login is proved by a security key.",
            "How to register one",
            f"/partners/{partner}/start/key",
        ),
        (
            "Link the first broker",
            connections > 0,
            "Its token is sealed in the vault, renewed before it ends, and given only to whom you allow.",
            "Link a broker",
            f"/partners/{partner}/link",
        ),
    ]
    if members["may_manage"]:
        found.append(
            (
                "Have a second person",
                people > 1 or invited,
                "Somebody has to be there when you are not; and what matters is decided by two.",
                "Invite somebody",
                f"/partners/{partner}/members/invite",
            )
        )
    return tuple(found)
