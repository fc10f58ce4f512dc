"""A list of names: UTF-8, comma-separated (RFC 4180), with the header `subject,email`."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from admin_sync.errors import Finding, InvalidInput, Misconfigured
from admin_sync.model import Position

MAX_BYTES: Final = 64 << 20

_HEADER: Final = ["subject", "email"]
_SUBJECT: Final = re.compile(r"[!-~]{1,255}\Z")
_EMAIL: Final = re.compile(r"[^@\s,\x00-\x1f\x7f]{1,64}@[A-Za-z0-9.-]{1,255}\Z")


@dataclass(frozen=True, slots=True)
class Name:
    """What a legacy token calls an account, and the address of that account here, in lower case."""

    subject: str
    email: str
    line: int


def names(path: Path) -> list[Name]:
    """The names in a file, in its order. Raises InvalidInput with every mistake, Misconfigured if it cannot be read."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise Misconfigured(f"{path} is larger than {MAX_BYTES >> 20} MiB; link in parts")
        text = path.read_text(encoding="utf-8")
    except OSError as problem:
        raise Misconfigured(f"{path}: {problem.strerror}") from None
    except UnicodeDecodeError:
        raise Misconfigured(f"{path} is not UTF-8") from None
    found: list[Name] = []
    findings = list(_read(path, text, found))
    if findings:
        raise InvalidInput(findings)
    return found


def _read(path: Path, text: str, found: list[Name]) -> Iterator[Finding]:
    def wrong(line: int, code: str, message: str) -> Finding:
        return Finding.at(Position(str(path), line, 1), code, message)

    rows = csv.reader(text.splitlines(), strict=True)
    subjects: dict[str, int] = {}
    emails: dict[str, int] = {}
    try:
        for row in rows:
            line = rows.line_num
            if line == 1:
                if row != _HEADER:
                    yield wrong(1, "header", "the first line is subject,email")
                    return
            elif len(row) != len(_HEADER):
                yield wrong(line, "columns", f"a line has a subject and an e-mail address, not {len(row)} values")
            elif not _SUBJECT.match(row[0]):
                yield wrong(line, "subject", "a subject is 1 to 255 visible ASCII characters")
            elif not _EMAIL.match(row[1]):
                yield wrong(line, "email", "not an e-mail address")
            else:
                name = Name(row[0], row[1].lower(), line)
                for seen, key, what in ((subjects, name.subject, "subject"), (emails, name.email, "address")):
                    if key in seen:
                        yield wrong(line, "twice", f"the {what} is in line {seen[key]} already")
                    seen.setdefault(key, line)
                found.append(name)
    except csv.Error as problem:
        yield wrong(rows.line_num, "csv", str(problem))
    if not text.strip():
        yield wrong(1, "header", "the file is empty; the first line is subject,email")
