"""A roster as a SCIM list response (RFC 7644, section 3.4.2) of users (RFC 7643, sections 4.1 and 4.3).

Of each user are read `userName` or the primary e-mail as main address, the other e-mails as aliases,
`displayName` or `name.formatted`, `active`, and of the enterprise extension `department` and `manager.value`,
which is the `id` of another user of the same file (or an address). SCIM has no first and last day; an extension of
our own, `EMPLOYMENT`, has `start` and `end`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from admin_sync.errors import Finding
from admin_sync.roster.rows import MAX_BYTES, Row, findings_of, is_email
from identity.strict_json import StrictJsonError, loads

LIST: Final = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
ENTERPRISE: Final = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
EMPLOYMENT: Final = "urn:tradepulse:params:scim:schemas:extension:employment:2.0:User"

_MARK: Final = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[\]{}]')


def rows(data: bytes, source: str) -> tuple[list[Row], list[Finding]]:
    """The rows of a file, and what cannot be read as a row; each with the line on which its user begins."""
    findings: list[Finding] = []
    whole = findings_of(source, 1, findings)
    try:
        document = loads(data, max_bytes=MAX_BYTES)
    except StrictJsonError as problem:
        whole("json", f"{problem}; the file may be cut off")
        return [], findings
    users = document.get("Resources") if isinstance(document, dict) else None
    schemas = document.get("schemas") if isinstance(document, dict) else None
    if not isinstance(users, list) or not isinstance(schemas, list) or LIST not in schemas:
        whole("scim", f"this is no SCIM list response: an object with schemas [{LIST}] and Resources")
        return [], findings
    if document.get("totalResults") != len(users):
        # A page of a list is not the list: whoever is on the next page has not left.
        whole("half-list", f"totalResults is not {len(users)}, the number of Resources; export all pages as one list")
        return [], findings
    lines = _lines(data.decode())
    addresses = _addresses(users)
    listed: list[Row] = []
    for number, user in enumerate(users):
        line = lines[number] if number < len(lines) else 1
        found = findings_of(source, line, findings)
        if not isinstance(user, dict):
            found("scim", "a user is an object")
            continue
        try:
            listed.append(Row(line, _fields(user, addresses)))
        except (TypeError, AttributeError):
            found("scim", "an attribute is not of the type that RFC 7643 gives it")
    return listed, findings


def _addresses(users: list[Any]) -> dict[str, str]:
    """Main addresses by the users' ids. A user that cannot be read has none, and is found wrong by itself."""
    addresses: dict[str, str] = {}
    for user in users:
        with suppress(TypeError, AttributeError, KeyError):
            if isinstance(user["id"], str):
                addresses[user["id"]] = _address(user)
    return addresses


def _fields(user: Mapping[str, Any], addresses: Mapping[str, str]) -> dict[str, str]:
    enterprise = user.get(ENTERPRISE) or {}
    employment = user.get(EMPLOYMENT) or {}
    main = _address(user)
    others = [_text(one.get("value")) for one in user.get("emails") or ()]
    manager = _text((enterprise.get("manager") or {}).get("value"))
    active = user.get("active")
    if active is not None and not isinstance(active, bool):
        raise TypeError("active is a boolean")
    return {
        "email": main,
        "name": _text(user.get("displayName") or (user.get("name") or {}).get("formatted")),
        # Neither an id of the file nor an address: left as it is, so that it is found wrong with its line.
        "manager": addresses.get(manager, manager),
        "department": _text(enterprise.get("department")),
        "active": "" if active is None else str(active).lower(),
        "start": _text(employment.get("start")),
        "end": _text(employment.get("end")),
        "aliases": ";".join(one for one in others if one.lower() != main.lower()),
    }


def _address(user: Mapping[str, Any]) -> str:
    """The main address: the user name where it is one, otherwise the primary or only e-mail."""
    name = user.get("userName")
    if isinstance(name, str) and is_email(name):
        return name
    emails = [one for one in user.get("emails") or () if isinstance(one, dict)]
    primary = [one for one in emails if one.get("primary") is True] or emails
    return _text(primary[0].get("value")) if len(primary) == 1 else ""


def _text(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise TypeError("text expected")
    return value


def _lines(text: str) -> list[int]:
    """The line on which each element of the top-level `Resources` begins. The text is valid JSON."""
    begun: list[int] = []
    depth, key, inside = 0, "", False
    line, last = 1, 0
    for mark in _MARK.finditer(text):
        sign = mark.group()
        if sign in "{[":
            depth += 1
            inside = inside or (depth == 2 and sign == "[" and key == '"Resources"')
            if inside and depth == 3:
                line, last = line + text.count("\n", last, mark.start()), mark.start()
                begun.append(line)
        elif sign in "}]":
            depth -= 1
            inside = inside and depth >= 2
        elif depth == 1:
            key = sign
    return begun
