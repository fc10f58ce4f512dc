"""A roster file becomes a `Roster`, or every finding of it at once."""

from __future__ import annotations

import hashlib
from pathlib import Path

from admin_sync.errors import Finding, InvalidInput
from admin_sync.roster import csv_form, scim_form
from admin_sync.roster.judge import judge
from admin_sync.roster.people import Employee, Roster
from admin_sync.roster.rows import MAX_BYTES, employee, findings_of


def read(path: Path) -> Roster:
    """The roster in a file: JSON where its name ends so, otherwise CSV. Raises InvalidInput with every finding."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as problem:
        reason = problem.strerror or type(problem).__name__
        message = f"{reason}; ACCESS_ROSTER_FILE or --roster names the HR roster"
        raise InvalidInput([Finding(str(path), 1, 1, "unreadable", message)]) from None
    return parse(data, path.name)


def parse(data: bytes, source: str) -> Roster:
    """The roster in some bytes. `source` is the file's name, for messages; JSON if it ends in `.json`.

    Raises InvalidInput with every finding of the file, each with its line.
    """
    findings: list[Finding] = []
    whole = findings_of(source, 1, findings)
    if len(data) > MAX_BYTES:
        whole("too-large", f"a roster is at most {MAX_BYTES // 1024 // 1024} MiB")
        raise InvalidInput(findings)
    try:
        # Spreadsheets write a byte-order mark in front of UTF-8.
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = data.count(b"\n", 0, problem.start) + 1
        findings_of(source, line, findings)("encoding", "this is no UTF-8; export the roster as UTF-8")
        raise InvalidInput(findings) from None
    is_json = source.lower().endswith(".json")
    rows, findings = scim_form.rows(text.encode(), source) if is_json else csv_form.rows(text, source)
    people: list[Employee] = []
    for row in rows:
        if (one := employee(row, findings_of(source, row.line, findings))) is not None:
            people.append(one)
    if not rows and not findings:
        findings.append(Finding(source, 1, 1, "empty-roster", "there is nobody in it; an empty roster is no roster"))
    # A manager who stands on a broken row is not unknown.
    findings.extend(one for one in judge(people, source) if one.code != "unknown-manager" or not findings)
    if findings:
        raise InvalidInput(findings)
    return Roster(tuple(people), source, hashlib.sha256(data).hexdigest())
