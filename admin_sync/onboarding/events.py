"""What happened to people, one JSON object a line, in the order in which it happened.

    {"event": "hired", "email": "ann@tradepulse.example", "name": "Ann Chen", "department": "research",
     "manager": "lee@tradepulse.example", "start": "2026-12-01", "aliases": ["ann.chen@tradepulse.example"]}
    {"event": "moved", "email": "ann@tradepulse.example", "department": "trading", "manager": "kim@tradepulse.example"}
    {"event": "renamed", "email": "ann@tradepulse.example", "to": "ann.li@tradepulse.example", "name": "Ann Li"}
    {"event": "left", "email": "ann@tradepulse.example", "end": "2027-03-31"}

Each sets what it says, so a line that comes twice changes nothing more.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any, Final

from admin_sync.errors import Finding, InvalidInput
from admin_sync.roster.judge import judge
from admin_sync.roster.people import Employee, Roster, canonical
from admin_sync.roster.rows import Found, Row, employee, findings_of, is_email
from identity.strict_json import StrictJsonError, loads_object

FIELDS: Final[Mapping[str, tuple[frozenset[str], frozenset[str]]]] = {
    "hired": (frozenset({"name", "department"}), frozenset({"manager", "start", "aliases"})),
    "moved": (frozenset(), frozenset({"manager", "department"})),
    "renamed": (frozenset({"to"}), frozenset({"name"})),
    "left": (frozenset({"end"}), frozenset()),
}
"""What each event has to say besides `email`, and what it may say."""


def apply(base: Roster, data: bytes, source: str) -> Roster:
    """The roster after some events. Raises InvalidInput with every finding, each with its line."""
    findings: list[Finding] = []
    people = {one.email: one for one in base}
    for line, raw in enumerate(data.split(b"\n"), 1):
        if not raw.strip():
            continue
        found = findings_of(source, line, findings)
        try:
            event = loads_object(raw)
        except StrictJsonError as problem:
            found("json", f"{problem}; the file may be cut off")
            continue
        if _shaped(event, found):
            _one(people, event, line, found)
    if not findings:
        findings.extend(judge(people.values(), source))
    if findings:
        raise InvalidInput(findings)
    digest = hashlib.sha256(bytes.fromhex(base.digest) + data).hexdigest()
    return Roster(tuple(people.values()), source, digest)


def _shaped(event: Mapping[str, Any], found: Found) -> bool:
    name = event.get("event")
    if not isinstance(name, str) or name not in FIELDS:
        found("event", f"event is one of {', '.join(FIELDS)}")
        return False
    needed, allowed = FIELDS[name]
    said = event.keys() - {"event", "email"}
    right = True
    for key in sorted(needed - said):
        found("missing", f"{name} needs {key}")
        right = False
    if said - needed - allowed:
        found("unknown-field", f"{name} says {', '.join(sorted(needed | allowed))} of an email, and nothing else")
        right = False
    for key in sorted(said | {"email"}):
        value = event.get(key)
        listed = isinstance(value, list) and all(isinstance(one, str) for one in value)
        if not (listed if key == "aliases" else isinstance(value, str)):
            found("wrong-type", f"{key} is {'a list of texts' if key == 'aliases' else 'text'}")
            right = False
    return right


def _one(people: dict[str, Employee], event: Mapping[str, Any], line: int, found: Found) -> None:
    address = canonical(event["email"])
    known = next((one for one in people.values() if address in one.addresses), None)
    if event["event"] == "hired":
        fields = {"email": event["email"], "active": "true", "manager": "", "aliases": "", "start": ""}
        fields |= {key: event[key] for key in ("name", "department", "manager", "start") if key in event}
        fields["aliases"] = ";".join([*event.get("aliases", ()), *(known.aliases if known else ())])
        made = employee(Row(line, fields), found)
        if made is not None:
            # Who comes back keeps their main address, so that nobody is two people.
            people[known.email if known else made.email] = replace(made, email=known.email) if known else made
        return
    if known is None:
        found("unknown-person", f"{event['event']}: nobody in the roster has this address")
        return
    people[known.email] = replace(known, line=line)
    if event["event"] == "moved":
        manager = event.get("manager", known.manager or "").lower()
        if manager and not is_email(manager):
            found("email", "manager: this is no e-mail address in ASCII")
            return
        department = event.get("department", known.department)
        people[known.email] = replace(known, manager=manager or None, department=department, line=line)
    elif event["event"] == "left":
        try:
            people[known.email] = replace(known, end=date.fromisoformat(event["end"]), line=line)
        except ValueError:
            found("day", "end: a day is written as 2026-11-23")
    elif canonical(event["to"]) != canonical(known.email):
        if not is_email(event["to"]):
            found("email", "to: this is no e-mail address in ASCII")
            return
        new = event["to"].lower()
        if any(canonical(new) in other.addresses for other in people.values() if other.email != known.email):
            found("duplicate", "to: this address is somebody else's already")
            return
        del people[known.email]
        aliases = (known.aliases | {known.email}) - {new}
        people[new] = replace(known, email=new, aliases=aliases, name=event.get("name", known.name), line=line)
        for other in list(people.values()):
            if other.manager is not None and canonical(other.manager) == canonical(known.email):
                people[other.email] = replace(other, manager=new)
