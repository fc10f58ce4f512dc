"""Tables of results, for a terminal and for Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from bench.results import Result, Row


def figure(value: float | None) -> str:
    """A figure with about three digits that mean something; a dash for none."""
    if value is None:
        return "-"
    if value >= 1000:
        return f"{value:,.0f}".replace(",", " ")
    if value >= 100:
        return f"{value:.0f}"
    if value == int(value):
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _factor(row: Row, value: float | None) -> str:
    """How many times better we are than a peer's figure: `x2.1`; below one where the peer is better."""
    if value is None or row.ours is None or min(value, row.ours) <= 0:
        return ""
    times = value / row.ours if row.better == "lower" else row.ours / value
    return f" x{times:.1f}" if times < 100 else f" x{times:.0f}"


def cells(result: Result) -> list[list[str]]:
    """The header and one line for each row; behind a peer's figure, how many times better ours is."""
    peers = list(dict.fromkeys(name for row in result.rows for name in row.peers))
    lines = [["case", "unit", "ours", *peers]]
    for row in result.rows:
        theirs = [figure(row.peers.get(name)) + _factor(row, row.peers.get(name)) for name in peers]
        lines.append([row.case, row.unit, figure(row.ours), *theirs])
    return lines


def text(lines: Sequence[Sequence[str]]) -> str:
    """The lines with their columns below each other."""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    shown = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join([shown[0], "  ".join("-" * width for width in widths), *shown[1:]])


def markdown(lines: Sequence[Sequence[str]]) -> str:
    """The lines as a Markdown table."""
    rule = ["---"] * len(lines[0])
    return "\n".join("| " + " | ".join(line) + " |" for line in [lines[0], rule, *lines[1:]])


def reasons(result: Result) -> list[str]:
    """Why figures are missing: one line for each reason, with whom it is about."""
    found = {f"{name}: {why}" for row in result.rows for name, why in row.why_null.items()}
    return sorted(found)
