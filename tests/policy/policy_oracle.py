"""A second opinion: what the rules should answer, worked out in Python from the source and not from the data.

It is written from the description of the rules, shares no code with the renderer, and looks for the
end of a window by walking the clock minute by minute.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from admin_sync.bundle.source import LEVELS, WEEKDAYS, PolicySource, Window

CURABLE = {"assurance_too_low", "authentication_too_old"}


@dataclass
class Stamp:
    """The part of the bundle's meta that decides."""

    frozen: bool
    valid_until: int


@dataclass
class Way:
    """One way to the permission: why it would be allowed, what is wrong with it, and when it ends."""

    name: str
    faults: set[str]
    ends: set[int]
    level: int


def minutes(text: str) -> int:
    hours, _, rest = text.partition(":")
    return int(hours) * 60 + int(rest)


def is_open(window: Window, instant: int) -> bool:
    wall = datetime.fromtimestamp(instant, ZoneInfo(window.timezone))
    minute = wall.hour * 60 + wall.minute
    opens, closes = minutes(window.opens), minutes(window.closes)
    today, yesterday = WEEKDAYS[wall.weekday()], WEEKDAYS[(wall - timedelta(days=1)).weekday()]
    if opens < closes:
        return today in window.weekdays and opens <= minute < closes
    return (today in window.weekdays and minute >= opens) or (yesterday in window.weekdays and minute < closes)


def offset(window: Window, instant: int) -> timedelta | None:
    return datetime.fromtimestamp(instant, ZoneInfo(window.timezone)).utcoffset()


def close_of(window: Window, now: int) -> int:
    """The instant at which this opening ends, or a second from now if the clocks change before that."""
    wall = datetime.fromtimestamp(now, ZoneInfo(window.timezone))
    opens, closes = minutes(window.opens), minutes(window.closes)
    started_today = opens < closes or wall.hour * 60 + wall.minute >= opens
    edge = now - wall.second
    for _ in range(2 * 26 * 60):
        edge += 60
        then = datetime.fromtimestamp(edge, ZoneInfo(window.timezone))
        if offset(window, edge) != offset(window, now):
            return now + 1
        days = (then.date() - wall.date()).days
        ends_after = 0 if opens < closes or not started_today else 1
        if days * 1440 + then.hour * 60 + then.minute == ends_after * 1440 + closes:
            return edge
    raise AssertionError("a window that never closes")


def ways_of_role(source: PolicySource, role: str, permission: str) -> Iterator[tuple[int, frozenset[str]]]:
    """Level and windows of every way from a role to a permission, its own and through includes."""
    own_level = LEVELS.index(source.assurance.roles.get(role, "aal1"))
    own_windows = frozenset({role} & set(source.windows))
    if permission in source.roles[role].permissions:
        yield own_level, own_windows
    for included in source.roles[role].includes:
        for level, windows in ways_of_role(source, included, permission):
            yield max(own_level, level), own_windows | windows


def least(ways: Iterator[tuple[int, frozenset[str]]]) -> list[tuple[int, frozenset[str]]]:
    found = set(ways)
    return [w for w in found if not any(o != w and o[0] <= w[0] and o[1] <= w[1] for o in found)]


def expected(source: PolicySource, stamp: Stamp, question: dict[str, Any], now: int) -> dict[str, Any]:
    """The answer's `allow`, `reasons`, `valid_until` and `step_up` for a well-formed question."""
    vetoes = set(_vetoes(source, question))
    ways = [] if vetoes else list(_ways(source, stamp, question, now))
    sound = [way for way in ways if not way.faults]
    if sound:
        ends = {end for way in sound for end in way.ends}
        until = min(ends | {stamp.valid_until if stamp.valid_until > now else now + 2})
        return {"allow": True, "reasons": sorted({w.name for w in sound}), "valid_until": until, "step_up": None}
    reasons = vetoes or {fault for way in ways for fault in way.faults}
    if not reasons:
        reasons = {"no_role_grants_permission"}
        subject = question["subject"]
        scoped = source.permissions[question["permission"]].partner_scoped
        if scoped and subject["kind"] == "person" and question["partner"] not in subject["organizations"]:
            reasons.add("not_a_member_of_partner")
    curable = [way.level for way in ways if way.faults <= CURABLE]
    step_up = None
    if curable:
        sensitive = source.permissions[question["permission"]].sensitive
        step_up = {"acr": LEVELS[min(curable)], "max_age": source.assurance.sensitive.max_age if sensitive else None}
    return {"allow": False, "reasons": sorted(reasons), "valid_until": now + 2, "step_up": step_up}


def _vetoes(source: PolicySource, question: dict[str, Any]) -> Iterator[str]:
    subject, environment = question["subject"], question["environment"]
    permission = source.permissions.get(question["permission"])
    if permission is None:
        yield "unknown_permission"
    if environment not in source.environments:
        yield "unknown_environment"
    elif subject["environment"] in source.environments[environment].deny_roles_from:
        yield "roles_denied_from_environment"
    if subject["environment"] != environment:
        yield "environment_mismatch"
    if permission is not None and permission.partner_scoped:
        partner = source.partners.get(question["partner"] or "")
        broker = (question["resource"] or {}).get("broker")
        if question["partner"] is None:
            yield "partner_required"
        elif partner is None:
            yield "unknown_partner"
        elif broker is not None and broker not in partner.brokers:
            yield "broker_not_allowed"
    if subject["kind"] == "person" and (subject["email"] or "").lower() in source.barred:
        yield "barred"
    if subject["kind"] == "service":
        client = source.clients.get(subject["client"])
        if client is None:
            yield "unknown_client"
        elif environment not in client.environments:
            yield "client_not_in_environment"


def _ways(source: PolicySource, stamp: Stamp, question: dict[str, Any], now: int) -> Iterator[Way]:
    subject, environment, name = question["subject"], question["environment"], question["permission"]
    permission, is_person = source.permissions[name], subject["kind"] == "person"
    restricted = {"frozen"} if stamp.frozen else set()
    restricted |= {"bundle_expired"} if stamp.valid_until <= now else set()
    interactive = LEVELS.index(source.assurance.interactive)
    if permission.sensitive:
        interactive = max(interactive, LEVELS.index(source.assurance.sensitive.level))
    fresh_until = None
    if is_person and subject["auth_time"] is not None and subject["auth_time"] <= now + 30:
        fresh_until = subject["auth_time"] + source.assurance.sensitive.max_age

    def login(level: int) -> set[str]:
        faults = set()
        if is_person and LEVELS.index(subject["assurance_level"]) < level:
            faults.add("assurance_too_low")
        if is_person and permission.sensitive and not (fresh_until and fresh_until > now):
            faults.add("authentication_too_old")
        return faults

    login_ends = {fresh_until} if permission.sensitive and fresh_until and fresh_until > now else set()
    for role in set(subject["groups"]) & set(source.roles):
        for needed, windows in least((max(level, interactive), w) for level, w in ways_of_role(source, role, name)):
            way = Way(f"role:{role}", login(needed), set(login_ends), needed)
            way.faults |= _standing(source, question, role, now, way.ends)
            if not (is_person and role in source.emergency_roles):
                way.faults |= restricted
            binding = [source.windows[w] for w in windows if environment in source.windows[w].environments]
            if not all(is_open(window, now) for window in binding):
                way.faults.add("outside_production_window")
            way.ends |= {close_of(window, now) for window in binding if is_open(window, now)}
            yield way
    if is_person and permission.partner_scoped:
        good, lent = (subject[where].get(question["partner"], {}) for where in ("organizations", "lent"))
        for role in {*good, *lent} & set(source.partner_roles):
            if name in source.partner_roles[role].permissions:
                needed = max(interactive, LEVELS.index(source.assurance.roles.get(role, "aal1")))
                faults = login(needed) | restricted
                over = None if role in good else lent[role]
                if over is not None and over <= now:
                    faults.add("partner_role_ended")
                elif role not in source.partners[question["partner"]].roles:
                    faults.add("partner_role_not_allowed")
                yield Way(f"partner_role:{role}", faults, login_ends | ({over} if over else set()), needed)


def _standing(source: PolicySource, question: dict[str, Any], role: str, now: int, ends: set[int]) -> set[str]:
    """What is wrong with holding the role here; adds to `ends` when that holding ends."""
    subject, environment = question["subject"], question["environment"]
    if subject["kind"] == "service":
        return set() if role in source.clients[subject["client"]].roles else {"role_not_granted_to_client"}
    email = (subject["email"] or "").lower()
    held = [
        g.not_after for g in source.grants if (g.email.lower(), g.environment, g.role) == (email, environment, role)
    ]
    if not held:
        return set() if role in source.federated_roles.get(environment, ()) else {"grant_missing"}
    if 0 in held:
        return set()
    ends.add(max(held))
    return set() if max(held) > now else {"grant_expired"}
