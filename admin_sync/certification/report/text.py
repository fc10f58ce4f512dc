"""The report as Markdown: figures, what is taken away, what is still open, and how reviewers worked. Pure.

All items are in the JSON and in the page; this is what fits into a pull request.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from admin_sync.certification.report.words import FATES, SIGNS, day, reasons, target
from admin_sync.model import Json, printable

MOST_ROWS: Final = 200
"""Rows of one table; a forge cuts off what is longer than 64 KiB, in the middle of a row."""


def markdown(report: Mapping[str, Json]) -> str:
    """The report."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Mapping[str, Json]) -> Iterator[str]:
    campaign, figures, items = report["campaign"], report["figures"], report["items"]
    yield f"# Access certification {campaign['quarter']}"
    yield ""
    yield (
        f"{figures['items']} bindings of {figures['holders']} people, opened {day(campaign['opened_at'])} by "
        f"{_cell(campaign['opened_by'])}, closed {day(campaign['closed_at'])} by {_cell(campaign['closed_by'])}."
    )
    yield ""
    yield from _table(
        ("Outcome", "Bindings"), ((FATES[name], str(count)) for name, count in figures["fates"].items() if count)
    )
    signs = (SIGNS[name] + f" ({count})" for name, count in figures["signs"].items() if count)
    yield f"Signs against a binding: {', '.join(signs) or 'none'}. Commit: {report['commit'] or 'none was needed'}."
    if report["pull_request"]:
        yield f"It waits to be merged: {_cell(report['pull_request'])}"
    roster = report["roster"]
    yield f"Roster: {_cell(roster['source'])}, {roster['people']} people, SHA-256 `{roster['sha256']}`."
    for heading, rows in (
        ("Taken away", [one for one in items if one["fate"] in ("revoked", "revoked_undecided")]),
        ("Still undecided", [one for one in items if one["fate"] == "undecided"]),
        ("Gone meanwhile", [one for one in items if one["fate"] == "gone"]),
        ("Kept against a sign", [one for one in items if one["fate"] == "kept" and one["signs"]]),
    ):
        if rows:
            yield from ("", f"## {heading} ({len(rows)})", "")
            yield from _items(rows)
    if report["reviewers"]:
        yield from ("", "## Reviewers", "")
        yield from _table(
            ("Reviewer", "Decisions", "Kept", "Revoked", "Seconds between"),
            (
                (
                    one["reviewer"] + (" (hasty)" if one["hasty"] else ""),
                    *(str(one[name]) for name in ("decisions", "kept", "revoked")),
                    "" if one["seconds_between"] is None else str(one["seconds_between"]),
                )
                for one in report["reviewers"]
            ),
        )


def _items(rows: Sequence[Mapping[str, Json]]) -> Iterator[str]:
    yield from _table(
        ("Holder", "What", "Where", "Signs", "Decision"),
        (
            (
                one["binding"]["subject"]["user"],
                target(one),
                ", ".join(one["binding"]["environments"]),
                ", ".join(SIGNS[sign] for sign in one["signs"]),
                reasons(one),
            )
            for one in rows[:MOST_ROWS]
        ),
    )
    if len(rows) > MOST_ROWS:
        yield f"{len(rows) - MOST_ROWS} more are in report.json and report.html."


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{' --- |' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(map(_cell, row))} |"
    yield ""


def _cell(text: str) -> str:
    """Text that ends no cell, makes no link and no heading: reasons are written by people."""
    plain = printable(str(text).replace("\n", " "))
    for sign in "\\`*_[]<>|#!":
        plain = plain.replace(sign, f"\\{sign}")
    return plain
