"""One row of a roster, whatever it was written in: text by column, and how text becomes an `Employee`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from admin_sync.errors import Finding
from admin_sync.roster.people import Employee

MAX_BYTES: Final = 32 * 1024 * 1024
"""Of a roster file: a hundred thousand people and more."""

COLUMNS: Final = ("email", "name", "manager", "department", "active", "start", "end", "aliases")
REQUIRED: Final = ("email", "name", "manager", "department", "active")

_EMAIL: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})+")
_ACTIVE: Final = {"true": True, "false": False}
_LONGEST: Final = 255

Found = Callable[[str, str], None]
"""Takes the code and the message of a finding about this row."""


@dataclass(frozen=True, slots=True)
class Row:
    """One person as it is written. `line` counts from one; a column that the form does not have is absent."""

    line: int
    fields: Mapping[str, str]


def findings_of(source: str, line: int, into: list[Finding]) -> Found:
    """Notes findings about one line of a source."""
    return lambda code, message: into.append(Finding(source, line, 1, code, message))


def employee(row: Row, found: Found) -> Employee | None:
    """The person of a row, or None after saying everything that is wrong with it."""
    fields = {name: value.strip() for name, value in row.fields.items()}
    wrong = [*_missing(fields), *_unprintable(fields)]
    email = fields.get("email", "").lower()
    manager = fields.get("manager", "").lower()
    aliases = [one.lower() for one in fields.get("aliases", "").replace(",", ";").split(";") if one.strip()]
    for column, values in (("email", [email]), ("manager", [manager]), ("aliases", [one.strip() for one in aliases])):
        if any(value and not is_email(value) for value in values):
            wrong.append(("email", f"{column}: this is no e-mail address in ASCII"))
    active = _ACTIVE.get(fields.get("active", "").lower())
    if active is None and fields.get("active"):
        wrong.append(("active", "active is true or false"))
    days: dict[str, date | None] = {}
    for column in ("start", "end"):
        try:
            days[column] = _day(fields.get(column, ""))
        except ValueError:
            wrong.append(("day", f"{column}: a day is written as 2026-11-23"))
    start, end = days.get("start"), days.get("end")
    if start is not None and end is not None and end < start:
        wrong.append(("end-before-start", "the last day lies before the first"))
    for code, message in wrong:
        found(code, message)
    if wrong or active is None:
        return None
    return Employee(
        email=email,
        name=fields["name"],
        department=fields["department"],
        active=active,
        manager=manager or None,
        aliases=frozenset(one.strip() for one in aliases) - {email},
        start=start,
        end=end,
        line=row.line,
    )


def is_email(text: str) -> bool:
    """Whether this is an address as the configuration takes them."""
    return bool(_EMAIL.fullmatch(text)) and ".." not in text and len(text) <= 254


def _missing(fields: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for column in ("email", "name", "department", "active"):
        if not fields.get(column):
            yield "missing", f"{column} is empty; half a row is refused, because half a person would lose their access"


def _unprintable(fields: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for column, value in fields.items():
        if not value.isprintable():
            yield "unprintable", f"{column} holds a control character"
        elif len(value) > _LONGEST and column != "aliases":
            yield "too-long", f"{column} is longer than {_LONGEST} characters"


def _day(text: str) -> date | None:
    """A calendar day (RFC 3339 full-date), or None for none. Raises ValueError."""
    if not text:
        return None
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        raise ValueError("no day")
    return date.fromisoformat(text)
