"""A report as Markdown. Names in it come from logs; they are escaped. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from admin_sync.auth_health.report import Report
from admin_sync.auth_health.tables import Table, tables

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|])")


def markdown(report: Report) -> str:
    """The text, with a table for everything."""
    return "\n".join(_lines(report)) + "\n"


def headline(report: Report) -> str:
    """How the day was, in one sentence."""
    bad = [one for one in report.standings if one.state == "bad"]
    kept = "Everything that was promised and measured holds."
    if bad:
        kept = f"Not as promised: {', '.join(one.title[0].lower() + one.title[1:] for one in bad)}."
    return kept if report.complete else f"{kept} The day is not over yet."


def _lines(report: Report) -> Iterator[str]:
    yield f"# Auth health of {report.day:%Y-%m-%d}"
    yield ""
    yield f"{headline(report)} Made {report.made_at:%Y-%m-%d %H:%M} UTC; the day is in UTC."
    for table in tables(report):
        yield ""
        yield f"## {table.title}"
        yield ""
        yield from _table(table)
    if report.answers.words:
        yield ""
        yield "## What people said"
        yield ""
        yield from (f"- {_text(words)}" for words in report.answers.words)
    silent = [one for one in report.sources if one.problem]
    if silent:
        yield ""
        yield "## What could not be read"
        yield ""
        yield from (f"- {_text(one.name)}: {_text(one.problem or '')}" for one in silent)


def _table(table: Table) -> Iterator[str]:
    yield f"| {' | '.join(_text(one) for one in table.columns)} |"
    yield f"| --- |{' ---: |' * (len(table.columns) - 1)}"
    for row in table.rows:
        yield f"| {' | '.join(_text(one) for one in row)} |"


def _text(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", text.replace("\n", " "))
