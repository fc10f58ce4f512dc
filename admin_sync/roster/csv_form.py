"""A roster as CSV (RFC 4180): a header that names the columns, one person a line, aliases parted by semicolons.

email,name,manager,department,active,start,end,aliases
ann@tradepulse.example,Ann Chen,lee@tradepulse.example,research,true,2026-01-05,,ann.chen@tradepulse.example
"""

from __future__ import annotations

import csv
import io

from admin_sync.errors import Finding
from admin_sync.roster.rows import COLUMNS, REQUIRED, Row, findings_of


def rows(text: str, source: str) -> tuple[list[Row], list[Finding]]:
    """The rows of a file, and what cannot be read as a row. Lines count from one, the header is one of them."""
    findings: list[Finding] = []
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [name.strip().lower() for name in next(reader, [])]
    except csv.Error as problem:
        findings_of(source, 1, findings)("csv", f"this is no CSV (RFC 4180): {problem}")
        return [], findings
    found = findings_of(source, 1, findings)
    for name in REQUIRED:
        if name not in header:
            found("missing-column", f"there is no column {name}; the first line names the columns")
    if any(name not in COLUMNS for name in header):
        # A misspelt `aliases` that is passed over would let somebody approve for themselves under another address.
        found("unknown-column", f"a column is not one of {', '.join(COLUMNS)}; remove or rename it")
    if len(set(header)) != len(header):
        found("duplicate-column", "a column is named twice")
    if findings:
        return [], findings
    listed: list[Row] = []
    line = reader.line_num + 1
    try:
        for values in reader:
            start, line = line, reader.line_num + 1
            if not values:
                continue
            if len(values) != len(header):
                message = f"{len(values)} values for {len(header)} columns; the file may be cut off"
                findings_of(source, start, findings)("half-row", message)
                continue
            listed.append(Row(start, dict(zip(header, values, strict=True))))
    except csv.Error as problem:
        findings_of(source, line, findings)("csv", f"this is no CSV (RFC 4180): {problem}; the file may be cut off")
    return listed, findings
